"""What the one door for all targets is called, and the headers by which authz vouches for callers to our services."""

from __future__ import annotations

HUB_NAME = "mcp"
"""Where a target's name would stand: no target may be called so."""

PRINCIPAL_HEADER = "x-countersign-principal"
"""Who calls, sealed by authz: whatever a caller sends under this name is removed or overwritten before it is read."""

SOURCE_HEADER = "x-countersign-source"
"""From which address the caller of the hub came. Authz believes it on routes of the inner listener only."""

DISMISSED_HEADER = "x-countersign-dismissed"
"""What the hub is about to answer by itself to a request that reached no target: ``STATUS REASON``, for the record.

Authz reads it on one route of the inner listener only, on which it lets nothing pass.
"""

SESSION_HEADER = "x-countersign-session"
"""The id of the recorded session of a call, towards the bridge."""
