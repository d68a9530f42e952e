"""Read what a target sends: which JSON-RPC message it is, and whether it may answer the request at hand."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from countersign.jsontext import Document, JsonValue, Number
from countersign.mcp.eras import Era
from countersign.mcp.errors import AnswerRefused, McpRefused
from countersign.mcp.message import METHOD_PATTERN, check_frame, read_id

MAX_ANSWER_MESSAGES = 256
"""Messages in one array; a batch of requests is smaller, but a stream's server may put several in one event."""

UNCORRELATED_IDS = frozenset({"", '"server-error"'})
"""Ids of errors about a request whose id was never read: null, and what the official Python SDK 1.x wrote instead."""


class AnswerKind(StrEnum):
    """What a target may send."""

    RESULT = "result"
    ERROR = "error"
    NOTIFICATION = "notification"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Answer:
    """One message of a target.

    ``method`` is empty for results and errors. ``id_json`` compares to that of a request; it is empty for
    notifications and for errors with a null id. ``path`` is where the message stands in its document: ``()``, or its
    position in an array.
    """

    kind: AnswerKind
    method: str
    id_json: str
    path: tuple[int, ...] = ()

    @property
    def is_final(self) -> bool:
        """Whether this ends a request rather than accompanies it."""
        return self.kind in (AnswerKind.RESULT, AnswerKind.ERROR)


def classify(document: Document) -> Answer:
    """Tell what one message is. Raises :class:`AnswerRefused` when it is not one JSON-RPC 2.0 message."""
    return _classify(document.root, ())


def check_answer(
    document: Document, *, era: Era, expected_ids: Collection[str] | None, in_stream: bool
) -> tuple[Answer, ...]:
    """Check a whole JSON body, or the data of one event when ``in_stream``, that a target sent.

    ``expected_ids`` are the ``id_json`` of the requests that were sent: results must have one of them, errors may
    also be uncorrelated. ``None`` is for a stream that answers no request of its own (a legacy GET, which may replay
    any answer of its session). Outside a stream only results and errors are possible. Arrays and requests to the
    client exist in the legacy era only.

    Raises :class:`AnswerRefused`.
    """
    answers = _read_all(document, era)
    seen: set[str] = set()
    for answer in answers:
        if not answer.is_final:
            if not in_stream:
                raise AnswerRefused("a JSON body holds more than the answer")
            if answer.kind is AnswerKind.REQUEST and era is Era.MODERN:
                raise AnswerRefused("servers of this protocol version send no requests")
            continue
        _check_id(answer, expected_ids)
        if answer.id_json in seen:
            raise AnswerRefused("two answers have the same id")
        seen.add(answer.id_json)
    return answers


def _check_id(answer: Answer, expected_ids: Collection[str] | None) -> None:
    if expected_ids is None or answer.id_json in expected_ids:
        return
    if answer.kind is AnswerKind.RESULT or answer.id_json not in UNCORRELATED_IDS:
        raise AnswerRefused("the answer's id is not that of the request")


def _read_all(document: Document, era: Era) -> tuple[Answer, ...]:
    root = document.root
    if not isinstance(root, list):
        return (classify(document),)
    if era is Era.MODERN:
        raise AnswerRefused("this protocol version has no batches")
    if not 0 < len(root) <= MAX_ANSWER_MESSAGES:
        raise AnswerRefused(f"an array holds 1 to {MAX_ANSWER_MESSAGES} messages")
    return tuple(_classify(element, (index,)) for index, element in enumerate(root))


def _classify(members: JsonValue, path: tuple[int, ...]) -> Answer:
    if not isinstance(members, dict):
        raise AnswerRefused("not a JSON-RPC message")
    try:
        check_frame(members)
        id_json = "" if "error" in members and members.get("id") is None else read_id(members)[1]
    except McpRefused as refused:
        reason = refused.message
    else:
        kind, method = _kind_of(members, id_json)
        return Answer(kind, method, id_json, path)
    raise AnswerRefused(reason)


def _kind_of(members: dict[str, JsonValue], id_json: str) -> tuple[AnswerKind, str]:
    parts = [key for key in ("method", "result", "error") if key in members]
    if len(parts) != 1:
        raise AnswerRefused("a message has either a method, a result or an error")
    content = members[parts[0]]
    if parts == ["method"]:
        if type(content) is not str or not METHOD_PATTERN.fullmatch(content):
            raise AnswerRefused("method must be a short string of visible ASCII")
        if not isinstance(members.get("params", {}), dict):
            raise AnswerRefused("params must be an object")
        return (AnswerKind.REQUEST if id_json else AnswerKind.NOTIFICATION), content
    if not isinstance(content, dict):
        raise AnswerRefused(f"{parts[0]} must be an object")
    if parts == ["error"]:
        if not isinstance(content.get("code"), Number) or type(content.get("message")) is not str:
            raise AnswerRefused("error must have a code and a message")
        return AnswerKind.ERROR, ""
    if not id_json:
        raise AnswerRefused("a result must have an id")
    return AnswerKind.RESULT, ""
