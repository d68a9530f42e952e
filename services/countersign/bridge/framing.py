"""One line and one JSON-RPC message: read strictly, and told what it is. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from countersign.bridge.lines import Line
from countersign.jsontext import Document, Edit, JsonRefused, Number, apply_edits, parse, quote, value_span
from countersign.mcp import Answer, AnswerKind, AnswerRefused, classify
from countersign.mcp.eras import META_SUBSCRIPTION

_FIRST = re.compile(rb'\{ ?"jsonrpc": ?"2\.0", ?"id": ?([0-9]{1,15}),')
_LAST = re.compile(rb', ?"jsonrpc": ?"2\.0", ?"id": ?([0-9]{1,15}) ?\}\r?\Z')
# Some servers read lines by libraries that end them here, too; in JSON they can stand in strings only.
_NO_LINE_ENDS = {0x0A: " ", 0x0D: " ", 0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


@dataclass(frozen=True, slots=True)
class Skipped:
    """Output that is passed on to nobody: why, and which call it probably answers, which then waits in vain."""

    reason: str
    answers: int | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a server.

    ``own_id`` is the number by which we know the call that it answers; ``progress`` and ``subscription`` name the call
    that it belongs to; ``None`` when it names none that could be ours.
    """

    document: Document
    answer: Answer
    own_id: int | None = None
    progress: int | None = None
    subscription: int | None = None


def read_line(line: Line, max_depth: int) -> Said | Skipped:
    """Read what a server wrote."""
    if line.too_long:
        return Skipped("a line is too long", _id_of_long(line))
    if not line.data.strip():
        return Skipped("")
    try:
        document = parse(line.data, max_depth=max_depth, permit_nan=True)
        answer = classify(document)
    except JsonRefused as refused:
        return Skipped(f"not JSON ({refused.reason})", _probable_id(line.data))
    except AnswerRefused as refused:
        return Skipped(f"not JSON-RPC ({refused.reason})", _probable_id(line.data))
    root = document.root
    assert isinstance(root, dict)
    holder = root.get("result" if answer.kind is AnswerKind.RESULT else "params")
    meta = holder.get("_meta") if isinstance(holder, dict) else None
    return Said(
        document,
        answer,
        own_id=_whole(root.get("id")) if answer.is_final and isinstance(root.get("id"), Number) else None,
        progress=_whole(holder.get("progressToken"))
        if answer.method == "notifications/progress" and isinstance(holder, dict)
        else None,
        subscription=_whole(meta.get(META_SUBSCRIPTION)) if isinstance(meta, dict) else None,
    )


def edited(document: Document, *changes: tuple[tuple[str, ...], str]) -> bytes:
    """Return the text, on one line, with other JSON values at these paths; where there is none, nothing changes."""
    edits = []
    for path, value in changes:
        span = value_span(document, path)
        if span is not None:
            edits.append(Edit(*span, value))
    return apply_edits(document.text, edits).translate(_NO_LINE_ENDS).encode()


def said_to_client(said: Said, id_json: str, token_json: str) -> bytes:
    """Return a message of the server as the client has it: with its own id and progress token in place of ours."""
    changes: list[tuple[tuple[str, ...], str]] = []
    if said.answer.is_final:
        changes.append((("id",), id_json))
    if said.progress is not None:
        changes.append((("params", "progressToken"), token_json))
    if said.subscription is not None:
        holder = "result" if said.answer.is_final else "params"
        path = (holder, "_meta", META_SUBSCRIPTION)
        span = value_span(said.document, path)
        assert span is not None
        as_text = said.document.text[span[0]] == '"' and not id_json.startswith('"')
        changes.append((path, quote(id_json) if as_text else id_json))
    return edited(said.document, *changes)


def _whole(value: object) -> int | None:
    """The number that we gave, also where a server made text of it."""
    if isinstance(value, Number | str) and len(value) <= 15 and value.isascii() and value.isdecimal():
        return int(value)
    return None


def _id_of_long(line: Line) -> int | None:
    """The id of an answer that was not kept: servers write it first or last, and what stands there is nobody's text."""
    found = _FIRST.match(line.data) or _LAST.search(line.tail)
    return int(found[1]) if found else None


def _probable_id(data: bytes) -> int | None:
    """What a more lenient reader would take for the id of an answer."""
    try:
        read = json.loads(data)
    except (ValueError, RecursionError):
        return None
    found = read.get("id") if isinstance(read, dict) and "method" not in read else None
    return found if type(found) is int else None
