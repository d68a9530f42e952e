"""What differs through the gateway, and why that is right. One that explains nothing any more fails `make matrix`."""

from __future__ import annotations

from tests.matrix.comparing import Reason

_GONE = (
    "Methods that 2026-07-28 has no more are refused by the gateway itself: the same code -32601 in other words, and"
    " without the server's `data`."
)

REASONS = (
    Reason("ping", _GONE),
    Reason("level info", _GONE),
)
