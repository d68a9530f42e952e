"""One operation that a principal asks of a target."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class NameKind(StrEnum):
    """What the name of a call names; rules select by it."""

    NONE = "none"
    TOOL = "tool"
    PROMPT = "prompt"
    RESOURCE = "resource"


@dataclass(frozen=True, slots=True)
class Call:
    """What policy judges: for MCP one JSON-RPC request or notification, or a bare GET or DELETE of the endpoint.

    ``method`` is the JSON-RPC method (``tools/call``), or ``GET`` / ``DELETE``. ``name`` is the tool, prompt or
    resource URI, as ``name_kind`` says; empty when the method has none. ``params_json`` is the text of ``params``
    exactly as it was sent, empty when absent.
    """

    target: str
    method: str
    name: str = ""
    name_kind: NameKind = NameKind.NONE
    params_json: str = ""
