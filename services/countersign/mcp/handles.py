"""What a target hands to a client to come back with: ids of its own requests, states of calls, ids of tasks. Pure.

Sources: MCP 2025-03-26 to 2025-11-25 (requests of servers, tasks), 2026-07-28 (multi round-trip requests), the Tasks
extension.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from countersign.jsontext import Document, Edit, JsonValue, Number, drop_elements, parse
from countersign.mcp.answers import Answer, AnswerKind
from countersign.mcp.call import KnownKeys
from countersign.mcp.eras import META_RELATED_TASK
from countersign.mcp.errors import AnswerRefused, bad_params
from countersign.mcp.message import META_KEYS, Message, MessageKind
from countersign.model.methods import ANSWERED_METHODS

HANDLE_KEYS = frozenset({"requestState", "task", "taskId"})
"""Keys without which no result shows a handle."""

MOST_TASKS = 1_000
"""About how many tasks one subscription may ask to be told: each is looked up."""

_TELL_OF_TASKS = frozenset({"notifications/tasks", "notifications/tasks/status"})
_RELATED_KEYS = KnownKeys("taskId")
_DEEPEST = 1_000  # More than gateway.yaml can permit.
_MS_US = 1_000
_LONGEST_US = 2**53 - 1


class HandleKind(StrEnum):
    """What a handle is for: to answer a target's request, to go on with a call, to ask about a task.

    An own task is one that a client made itself of what its target asked.
    """

    REQUEST = "request"
    STATE = "state"
    TASK = "task"
    OWN_TASK = "own_task"


@dataclass(frozen=True, slots=True)
class Handle:
    """One handle. ``value`` of a request is the JSON text of its id, which keeps its type; else it is the text itself.

    ``method`` is that of a request, where MCP knows it. ``lifetime_us`` is for how long a task is known, as far as its
    target says. ``answer`` is what a client answers a request with (JSON text).
    """

    kind: HandleKind
    value: str = field(repr=False)
    method: str = ""
    lifetime_us: int = 0
    answer: str = field(default="", repr=False)


def shown_handles(
    document: Document, answers: Iterable[Answer], methods: Iterable[str | None], *, in_results: bool = True
) -> tuple[Handle, ...]:
    """Return the handles in what a target sent; ``methods`` are what each of its messages answers, as far as known.

    Whoever may ask about a task knows it already: such answers show none. Results need not be looked at when none of
    :data:`HANDLE_KEYS` is in the text. Raises :class:`AnswerRefused` for a state that no client could hand back.
    """
    found: list[Handle] = []
    for answer, method in zip(answers, methods, strict=True):
        if answer.kind is AnswerKind.REQUEST:
            known = answer.method if answer.method in ANSWERED_METHODS else ""
            found.append(Handle(HandleKind.REQUEST, answer.id_json, known))
        elif answer.kind is AnswerKind.RESULT and in_results:
            result = _result(document, answer)
            state = result.get("requestState")
            if state is not None:
                if not _is_text(state):
                    raise AnswerRefused("a requestState must be a string")
                found.append(Handle(HandleKind.STATE, str(state)))
            if method is None or not method.startswith("tasks/"):
                found += _task(result, "ttlMs")
                found += _task(result.get("task"), "ttl")
    return tuple(found)


def listed_tasks(document: Document, answer: Answer, method: str | None) -> tuple[str, ...]:
    """Return the ids of the tasks that an answer lists. Raises :class:`AnswerRefused` for an entry without one."""
    if answer.kind is not AnswerKind.RESULT or method not in (None, "tasks/list"):
        return ()
    tasks = _result(document, answer).get("tasks")
    if method is None and not isinstance(tasks, list):
        return ()
    if not isinstance(tasks, list):
        raise AnswerRefused("result.tasks must be an array")
    ids = [task.get("taskId") if isinstance(task, dict) else None for task in tasks]
    if not all(map(_is_text, ids)):
        if method is None:
            return ()
        raise AnswerRefused("every entry of result.tasks must be an object with one taskId")
    return tuple(map(str, ids))


def told_task(document: Document, answer: Answer) -> str | None:
    """Return the id of the task of which a notification tells; empty when it names none, ``None`` for anything else."""
    if answer.kind is not AnswerKind.NOTIFICATION or answer.method not in _TELL_OF_TASKS:
        return None
    params = _members(_message(document, answer).get("params"))
    task_id = params.get("taskId")
    return str(task_id) if _is_text(task_id) else ""


def filter_tasks(document: Document, answer: Answer, method: str | None, owns: Callable[[str], bool]) -> list[Edit]:
    """Make the edits that leave of a listing of tasks those for whose id ``owns`` is true."""
    ids = listed_tasks(document, answer, method)
    hidden = {index for index, task_id in enumerate(ids) if not owns(task_id)}
    return drop_elements(document, (*answer.path, "result", "tasks"), hidden) if hidden else []


def presented_handles(message: Message) -> tuple[Handle, ...]:
    """Return the states and tasks that a client's message comes back with; of most messages only that there are none.

    Raises :class:`~countersign.mcp.errors.McpRefused` for one that is no string.
    """
    call = message.call
    if call is None or message.kind is MessageKind.RESPONSE or not call.params_json:
        return ()
    # The keys may be spelt with escapes.
    if not any(needle in call.params_json for needle in ("requestState", "taskId", "related-task", "\\u")):
        return ()
    params = _members(parse(call.params_json, max_depth=_DEEPEST).root)
    found: list[Handle] = []
    if params.get("requestState") is not None:
        found.append(_presented(HandleKind.STATE, params["requestState"]))
    if call.method.startswith("tasks/") and "taskId" in params:
        found.append(_presented(HandleKind.TASK, params["taskId"]))
    if call.method == "subscriptions/listen":
        asked = _members(params.get("notifications")).get("taskIds")
        if isinstance(asked, list) and len(asked) > MOST_TASKS:
            raise bad_params(f"a subscription may name {MOST_TASKS:,} tasks at most")
        found += [_presented(HandleKind.TASK, one) for one in (asked if isinstance(asked, list) else ())]
    if message.kind is MessageKind.REQUEST:
        found += _related(params)
    return tuple(found)


def related_tasks(message: Message) -> tuple[Handle, ...]:
    """Return the task to which a client's notification or answer says that it belongs, if it says so.

    It may be one of its target's or the client's own (MCP 2025-11-25, Tasks). Of requests see
    :func:`presented_handles`. Raises :class:`~countersign.mcp.errors.McpRefused` for one that is no string.
    """
    call = message.call
    if call is None or message.kind is MessageKind.REQUEST:
        return ()
    # Of an answer nobody looked yet for keys that are nearly this one.
    text = call.params_json.casefold() if message.kind is MessageKind.RESPONSE else call.params_json
    if not any(needle in text for needle in ("related-task", "\\u")):
        return ()
    params = _members(parse(call.params_json, max_depth=_DEEPEST).root)
    return _related(_members(params.get("result")) if message.kind is MessageKind.RESPONSE else params)


def made_tasks(message: Message) -> tuple[Handle, ...]:
    """Return the task that a client makes of what its target asked; its answer then says so."""
    call = message.call
    if call is None or message.kind is not MessageKind.RESPONSE or "task" not in call.params_json:
        return ()
    result = _members(_members(parse(call.params_json, max_depth=_DEEPEST).root).get("result"))
    task = _members(result.get("task"))
    return tuple(_task(task, "ttl", HandleKind.OWN_TASK)) if _is_text(task.get("taskId")) else ()


def answered_request(message: Message) -> Handle:
    """Return the handle that a client's answer must have been shown: the id, with its type."""
    return Handle(HandleKind.REQUEST, message.id_json, answer=message.answer_json)


def _related(holder: dict[str, JsonValue]) -> tuple[Handle, ...]:
    meta = _members(holder.get("_meta"))
    if META_KEYS.twin_in(meta):
        raise bad_params("a key of _meta differs from a known one only in case")
    if META_RELATED_TASK not in meta:
        return ()
    related = _members(meta[META_RELATED_TASK])
    if _RELATED_KEYS.twin_in(related):
        raise bad_params("a key of a related task differs from a known one only in case")
    return (_presented(HandleKind.TASK, related.get("taskId")),)


def _task(task: JsonValue, ttl_key: str, kind: HandleKind = HandleKind.TASK) -> list[Handle]:
    members = _members(task)
    if "taskId" not in members:
        return []
    if not _is_text(members["taskId"]):
        raise AnswerRefused("a taskId must be a string")
    ttl = members.get(ttl_key, Number("0"))
    digits = str(ttl) if isinstance(ttl, Number) else ""
    # No time, or none that is one: as long as may be.
    lifetime_us = min(int(digits) * _MS_US, _LONGEST_US) if digits.isdecimal() and len(digits) < 16 else _LONGEST_US
    return [Handle(kind, str(members["taskId"]), "", lifetime_us)]


def _presented(kind: HandleKind, value: JsonValue) -> Handle:
    if not _is_text(value):
        raise bad_params(f"what stands for a {kind.value} must be a string")
    return Handle(kind, str(value))


def _result(document: Document, answer: Answer) -> dict[str, JsonValue]:
    # Read by name, so that what was only counted says that it was not read.
    return _members(_message(document, answer).get("result"))


def _message(document: Document, answer: Answer) -> dict[str, JsonValue]:
    message: JsonValue = document.root
    for position in answer.path:
        message = message[position] if isinstance(message, list) else None
    return _members(message)


def _members(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _is_text(value: JsonValue) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)
