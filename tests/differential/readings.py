"""What somebody read of a request: the messages, each with its kind, its method, its id and its params."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from countersign.jsontext import Number, parse
from countersign.mcp import HttpRequest, McpRefused, Message, MessageKind, read_request
from tests.differential.drafts import Case

MAX_DEPTH = 64
"""As gateway.yaml has it unless told otherwise."""

NAMED = {"tools/call": "name", "prompts/get": "name", "completion/complete": "ref"}
NAMED |= dict.fromkeys(("resources/read", "resources/subscribe", "resources/unsubscribe"), "uri")

_MADE_READY = {"initialize": ("capabilities",), "notifications/progress": ("progress", "total")}
"""Params that SDKs hand on in another form than they came: a short form written out, a number. They do nothing."""

UNTOLD = object()
"""In place of params or an id that a peer does not tell."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One message. ``params`` is ``None`` when absent; numbers in it are as their reader holds them.

    ``typed`` are the params that a handler is given, where that is not ``params`` itself. ``era`` is empty where the
    reader does not say.
    """

    kind: str
    method: str
    rpc_id: Any
    params: Any
    era: str = ""
    typed: Any = None


def joined(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Headers by name, as authz has them from Envoy."""
    found: dict[str, str] = {}
    for name, value in headers:
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def judged(case: Case) -> list[Reading] | None:
    """What the judge lets pass; ``None`` when it refuses the request."""
    try:
        request = read_request("orders", HttpRequest("POST", joined(case.headers), case.body), max_depth=MAX_DEPTH)
    except McpRefused:
        return None
    return [_reading(message, case.body) for message in request.messages]


def _reading(message: Message, body: bytes) -> Reading:
    call = message.call
    if call is None:
        return Reading("response", "", message.rpc_id, None, message.era.value)
    # The very bytes: what is judged is a piece of what is forwarded.
    assert call.params_json.encode() in body
    params = parse(call.params_json, max_depth=MAX_DEPTH).root if call.params_json else None
    assert message.kind in (MessageKind.REQUEST, MessageKind.NOTIFICATION)
    key = NAMED.get(call.method)
    if key is not None:
        assert isinstance(params, dict)
        named: Any = params[key]
        assert call.name in (named.values() if isinstance(named, dict) else (named,))
    return Reading(message.kind.value, call.method, message.rpc_id, params, message.era.value)


def differs(ours: Reading, theirs: Reading, *, doubles: bool) -> str:
    """In what two readings of one message differ; empty when in nothing.

    ``doubles`` tells that their numbers are IEEE 754 doubles, as JavaScript's are.
    """
    if ours.kind != theirs.kind:
        return "kind"
    if ours.kind == "response":
        return "" if same(ours.rpc_id, theirs.rpc_id, doubles=doubles) else "id"
    if ours.method != theirs.method:
        return "method"
    if theirs.rpc_id is not UNTOLD and not same(ours.rpc_id, theirs.rpc_id, doubles=doubles):
        return "id"
    if theirs.era and ours.era != theirs.era:
        return "era"
    if theirs.params is not UNTOLD and not same(ours.params, theirs.params, doubles=doubles):
        return "params"
    return _differs_typed(ours, theirs.typed, doubles=doubles) if theirs.typed is not None else ""


def _differs_typed(ours: Reading, typed: Mapping[str, Any], *, doubles: bool) -> str:
    """What a handler is given must be the judged params, or less of them."""
    params = ours.params if isinstance(ours.params, dict) else {}
    for key, value in typed.items():
        if key in _MADE_READY.get(ours.method, ()):
            continue
        if key not in params:
            return f"typed: {key} out of nowhere"
        if key in ("arguments", "name", "uri", "taskId", "requestState", "inputResponses"):
            if not same(params[key], value, doubles=doubles):
                return f"typed: {key}"
        elif not _within(params[key], value, doubles=doubles):
            return f"typed: {key}"
    return ""


def _within(ours: Any, theirs: Any, *, doubles: bool) -> bool:
    """Whether all that they hold is ours, at the same place; a number may be held in another way."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return all(key in ours and _within(ours[key], value, doubles=doubles) for key, value in theirs.items())
    if isinstance(theirs, list) and isinstance(ours, list) and len(ours) == len(theirs):
        return all(_within(one, other, doubles=doubles) for one, other in zip(ours, theirs, strict=True))
    if isinstance(ours, Number) and type(theirs) is int and Decimal(ours) == theirs:
        return True
    return same(ours, theirs, doubles=doubles or isinstance(theirs, float))


def same(ours: Any, theirs: Any, *, doubles: bool) -> bool:
    """Whether two values are one, type by type; ``ours`` holds its numbers as they were written."""
    if isinstance(ours, Number):
        return not isinstance(theirs, bool) and isinstance(theirs, (int, float)) and same_number(ours, theirs, doubles)
    if isinstance(ours, int) and not isinstance(ours, bool):
        return isinstance(theirs, (int, float)) and not isinstance(theirs, bool) and ours == theirs
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key], doubles=doubles) for key in ours)
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(
            same(one, other, doubles=doubles) for one, other in zip(ours, theirs, strict=True)
        )
    return bool(ours == theirs)


def same_number(ours: str, theirs: float, doubles: bool) -> bool:
    """Whether a number as it was written is the one that they hold: exactly where they can, else the nearest double."""
    if doubles:
        return float(ours) == float(theirs)
    if isinstance(theirs, int):
        return ours.lstrip("-").isdigit() and int(ours) == theirs
    return float(ours) == theirs


def is_rounded(value: Any) -> bool:
    """Whether some number of a value is none that a double holds to the last digit of an integer."""
    if isinstance(value, Number):
        try:
            return value.lstrip("-").isdigit() and Decimal(value) != Decimal(float(value))
        except (OverflowError, ValueError, ArithmeticError):
            return True
    if isinstance(value, dict):
        return any(map(is_rounded, value.values()))
    return isinstance(value, list) and any(map(is_rounded, value))
