"""The two protocol eras, their versions, and the methods and keys that the gateway must know by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum

from countersign.mcp.errors import UNSUPPORTED_PROTOCOL_VERSION, McpRefused


class Era(StrEnum):
    """Legacy has sessions and a handshake (2025-03-26 to 2025-11-25); modern is stateless (2026-07-28)."""

    LEGACY = "legacy"
    MODERN = "modern"


BATCH_VERSION = "2025-03-26"
"""The only version with batches, and the one to assume when no version is stated (MCP 2025-06-18, Transports)."""

LEGACY_VERSIONS = (BATCH_VERSION, "2025-06-18", "2025-11-25")
MODERN_VERSION = "2026-07-28"
SUPPORTED_VERSIONS = (*LEGACY_VERSIONS, MODERN_VERSION)

META_RELATED_TASK = "io.modelcontextprotocol/related-task"
META_VERSION = "io.modelcontextprotocol/protocolVersion"
META_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
META_CLIENT_INFO = "io.modelcontextprotocol/clientInfo"
META_LOG_LEVEL = "io.modelcontextprotocol/logLevel"
META_SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
PROTOCOL_META = frozenset(
    {
        META_VERSION,
        META_CAPABILITIES,
        META_CLIENT_INFO,
        META_LOG_LEVEL,
        "progressToken",
        "traceparent",
        "tracestate",
    }
)
"""Members of ``_meta`` that say who calls, and how it is told and traced: nothing of what is to be done."""

NOTIFICATION_PREFIX = "notifications/"

REQUEST_METHODS = frozenset(
    {
        "completion/complete",
        "initialize",
        "logging/setLevel",
        "ping",
        "prompts/get",
        "prompts/list",
        "resources/list",
        "resources/read",
        "resources/subscribe",
        "resources/templates/list",
        "resources/unsubscribe",
        "server/discover",
        "subscriptions/listen",
        "tasks/cancel",
        "tasks/get",
        "tasks/list",
        "tasks/result",
        "tasks/update",
        "tools/call",
        "tools/list",
    }
)
"""Methods that are requests in some version: without an id they are neither a request nor a known notification."""

LEGACY_METHODS = frozenset(
    {
        "initialize",
        "logging/setLevel",
        "ping",
        "resources/subscribe",
        "resources/unsubscribe",
        "tasks/list",
        "tasks/result",
    }
)
"""Requests that the modern era has no more (MCP 2026-07-28, changelog)."""

MIRRORED_PARAMS: Mapping[str, str] = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/cancel": "taskId",
    "tasks/get": "taskId",
    "tasks/result": "taskId",
    "tasks/update": "taskId",
}
"""Which member of ``params`` the header ``Mcp-Name`` repeats."""


def unsupported_version(requested: str, supported: Sequence[str] = SUPPORTED_VERSIONS) -> McpRefused:
    """Make the refusal of a version that nobody here speaks; clients choose anew from the list in its data.

    To who states its version in each request, only versions that are spoken so are of use.
    """
    data = json.dumps({"supported": list(supported), "requested": requested})
    return McpRefused(400, UNSUPPORTED_PROTOCOL_VERSION, "unsupported protocol version", data_json=data)
