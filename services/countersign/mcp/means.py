"""What the client of a message can do while it waits, as the message itself says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from countersign.jsontext import Document, JsonValue, Number, parse, value_span
from countersign.mcp.eras import META_CAPABILITIES, Era
from countersign.mcp.errors import MISSING_CLIENT_CAPABILITY, McpRefused
from countersign.mcp.message import Message, MessageKind

TASKS_EXTENSION = "io.modelcontextprotocol/tasks"
LINK_REQUEST = "approval"
"""The key of our only entry of ``inputRequests``: the link at which a person sees how the approval stands."""

STATE_MEMBERS = ("requestState", "inputResponses")
"""Members of ``params`` by which a client goes on with a request (MCP 2026-07-28, multi round-trip requests)."""

_ROUND_METHODS = frozenset({"tools/call", "prompts/get", "resources/read"})
_DEEPEST = 1_000  # More than gateway.yaml can permit.


@dataclass(frozen=True, slots=True)
class Means:
    """What a client can do, and what it hands back.

    ``takes_rounds``: it makes the request again by itself when told to (``input_required``). ``elicits_urls``: it can
    show a person a link meanwhile. ``takes_tasks``: it reads the answer of this request from a task. ``has_progress``:
    it gave a progress token. ``state`` is the ``requestState`` that it hands back, ours or the target's; empty when
    there is none, or when it is no string. ``nested`` is the JSON text of an object of the :data:`STATE_MEMBERS` as
    they were sent: the target's own, unless ``state`` is ours. ``link_action`` is what the person did with our link:
    ``accept``, ``decline`` or ``cancel``; empty for anything else. It never means that they agree to anything.
    """

    era: Era
    takes_rounds: bool = False
    elicits_urls: bool = False
    takes_tasks: bool = False
    has_progress: bool = False
    state: str = ""
    nested: str = "{}"
    link_action: str = ""


def read_means(message: Message) -> Means:
    """Read what the client of a message can do (MCP 2026-07-28; the Tasks extension)."""
    call = message.call
    if call is None or not call.params_json:
        return Means(message.era)
    # Read when the message was; only the parts that nothing else needs are read again here.
    document = parse(call.params_json, max_depth=_DEEPEST)
    params = _members(document.root)
    has_progress = "progressToken" in _members(params.get("_meta"))
    if message.era is not Era.MODERN or message.kind is not MessageKind.REQUEST:
        return Means(message.era, has_progress=has_progress)
    can = _members(_members(params.get("_meta")).get(META_CAPABILITIES))
    takes_rounds = call.method in _ROUND_METHODS
    return Means(
        message.era,
        takes_rounds=takes_rounds,
        # An empty capability is that of forms only (MCP 2026-07-28, Elicitation).
        elicits_urls=takes_rounds and isinstance(_members(can.get("elicitation")).get("url"), dict),
        # Whoever declares more than that it does declares another extension than we know (its schema is strict).
        takes_tasks=call.method == "tools/call" and _members(can.get("extensions")).get(TASKS_EXTENSION) == {},
        has_progress=has_progress,
        state=_text(params.get("requestState")),
        nested=_nested(document),
        link_action=_link_action(params),
    )


def read_state(message: Message) -> str:
    """Return ``Means.state`` and read nothing else: of most messages, only that there is none."""
    call = message.call
    if call is None or message.era is not Era.MODERN:
        return ""
    # The key, or what it says, may be spelt with escapes.
    if "requestState" not in call.params_json and "\\u" not in call.params_json:
        return ""
    return _text(_members(parse(call.params_json, max_depth=_DEEPEST).root).get("requestState"))


def read_task_id(message: Message) -> str:
    """Return the task that a request is about; empty when it is about none (the Tasks extension)."""
    call = message.call
    if call is None or not call.method.startswith("tasks/") or not call.params_json:
        return ""
    return _text(_members(parse(call.params_json, max_depth=_DEEPEST).root).get("taskId"))


def undeclared_tasks(message: Message) -> McpRefused | None:
    """Return how servers must answer a request about a task from a client that declares none with it; else ``None``.

    In the legacy era clients declare what they can do but once.
    """
    call = message.call
    if message.era is not Era.MODERN or call is None or not call.method.startswith("tasks/") or not call.params_json:
        return None
    meta = _members(_members(parse(call.params_json, max_depth=_DEEPEST).root).get("_meta"))
    if TASKS_EXTENSION in _members(_members(meta.get(META_CAPABILITIES)).get("extensions")):
        return None
    data = json.dumps({"requiredCapabilities": {"extensions": {TASKS_EXTENSION: {}}}})
    text = f"tasks are for clients that declare {TASKS_EXTENSION}"
    return McpRefused(400, MISSING_CLIENT_CAPABILITY, text, data_json=data)


def prefers_async(headers: Mapping[str, str]) -> bool:
    """Whether a plain HTTP client asks not to be kept waiting (``Prefer: respond-async``, RFC 7240 section 4.1)."""
    preferences = headers.get("prefer", "").split(",")
    return any(one.partition(";")[0].strip().lower() == "respond-async" for one in preferences)


def _members(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) and not isinstance(value, Number) else ""


def _nested(document: Document) -> str:
    spans = {key: value_span(document, (key,)) for key in STATE_MEMBERS}
    written = (f'"{key}":{document.text[span[0] : span[1]]}' for key, span in spans.items() if span is not None)
    return f"{{{','.join(written)}}}"


def _link_action(params: Mapping[str, JsonValue]) -> str:
    action = _members(_members(params.get("inputResponses")).get(LINK_REQUEST)).get("action")
    return str(action) if action in ("accept", "decline", "cancel") else ""
