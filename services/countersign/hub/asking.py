"""What a target asks of the person behind a client: it says which target asks. Pure; texts are edited in place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from countersign.hub.between import inserted
from countersign.hub.inside import Away
from countersign.hub.wording import Path, members_of, moved, replaced, text_at
from countersign.jsontext import Document, Edit, JsonValue, Number, element_spans, literals, quote, value_at, value_span
from countersign.mcp.call import KnownKeys
from countersign.model.door_names import handle

ASKED_BY = "countersign/target"
"""The key of ``_meta`` under which what is asked of a client names the target, for programs to read."""

MOST_ASKED = 32
"""Requests that one message may have: each is looked up in it."""

MOST_LINES = 100
"""Lines of a message that stay lines: what is more goes on in the last."""

_ELICITATIONS_NEEDED = -32042.0
_ASKING_KEYS = KnownKeys("inputRequests")
_REQUEST_KEYS = KnownKeys("method", "params")
_PARAMS_KEYS = KnownKeys(
    *("_meta", "elicitationId", "includeContext", "message", "mode", "requestedSchema", "systemPrompt", "url")
)
_ERROR_KEYS = KnownKeys("code", "data")
# All else in there is the target's own.
_DATA_KEYS = KnownKeys("elicitations")
# What copies objects in JavaScript has its members stand in for those that are missing.
_INHERITED = "__proto__"
# All that some program shows as the beginning of a line.
_BREAK = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# What may have a program put the text that comes elsewhere: over what stands already, or before it.
_DISPLACES = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def said_by(target: str, text: str) -> str:
    """Return what a target says to a person, each line of it beginning with the target's name.

    Whatever the target writes follows its own name, also where it writes another's; characters by which it could
    stand elsewhere are replaced.
    """
    lines = [_DISPLACES.sub("\ufffd", line) for line in _BREAK.split(text)]
    lines = [*lines[: MOST_LINES - 1], " ".join(lines[MOST_LINES - 1 :])] if len(lines) > MOST_LINES else lines
    return "\n".join(f"{target}: {line}" if line else f"{target}:" for line in lines)


def named(target: str, document: Document) -> list[Edit]:
    """Return the edits by which all that one message of a target asks of its client names the target.

    That may be a request, what a result or a task asks back (MCP 2026-07-28, multi round-trip requests), or an error
    that wants links opened (MCP 2025-11-25). Raises ``Away`` when it asks more than can be named in passing, and when
    some clients would read another question in it than others.
    """
    asked = list(islice(_asked(document), MOST_ASKED + 1))
    if len(asked) > MOST_ASKED:
        raise Away("the target asks too much at once")
    return [edit for one in asked for edit in moved(_named(target, one.holder, one.method, one.path), one.start)]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A thing that is asked: its method, and where its params stand in the part of the message that begins here."""

    method: str
    holder: Document
    path: Path = ("params",)
    start: int = 0


def _asked(document: Document) -> Iterator[_Asked]:
    root = document.root
    if not isinstance(root, dict):
        return
    _read_alike(root, _REQUEST_KEYS)
    if "id" in root and text_at(root, ("method",)) not in ("", "ping"):
        yield _Asked(text_at(root, ("method",)), document)
    for holder in ("result", "params"):
        _read_alike(root.get(holder), _ASKING_KEYS)
        if value_at(root, (holder, "inputRequests")):
            for start, request in members_of(document, (holder, "inputRequests")).values():
                _read_alike(request.root, _REQUEST_KEYS)
                yield _Asked(text_at(request.root, ("method",)), request, start=start)
    _read_alike(root.get("error"), _ERROR_KEYS)
    _read_alike(value_at(root, ("error", "data")), _DATA_KEYS)
    code = value_at(root, ("error", "code"))
    if isinstance(code, Number) and float(code) == _ELICITATIONS_NEEDED:
        links, at = value_at(root, ("error", "data", "elicitations")), ("error", "data", "elicitations")
        for index, (start, end) in enumerate(element_spans(document, at)):
            yield _Asked("elicitation/create", Document(document.text[start:end], value_at(links, (index,))), (), start)


def _read_alike(value: JsonValue, known: KnownKeys) -> None:
    """Raise ``Away`` where a key could pass for one that is looked at here: nothing said under it would be named."""
    if isinstance(value, dict) and (_INHERITED in value or known.twin_in(value)):
        raise Away("the target asks in a way that not every client reads alike")


def _named(target: str, document: Document, method: str, path: Path) -> list[Edit]:
    params = value_at(document.root, path)
    if not isinstance(params, dict):
        return _without_params(target, document, path) if path else []
    _read_alike(params, _PARAMS_KEYS)
    edits: list[Edit] = []
    new: list[str] = []
    if method == "elicitation/create":
        _put(document, path, "message", said_by(target, text_at(params, ("message",))), edits, new)
        edits += _in_lines(document, (*path, "requestedSchema"))
        if own := text_at(params, ("elicitationId",)):
            # By which the target says that it is done: another may call its own the same.
            edits.append(replaced(document, (*path, "elicitationId"), quote(handle(target, own))))
    elif method == "sampling/createMessage":
        prompt = text_at(params, ("systemPrompt",))
        by = f"This is asked by {target}."
        _put(document, path, "systemPrompt", f"{by}\n\n{prompt}" if prompt else by, edits, new)
        if "includeContext" in params:
            # "This server" is the door to its client: what other targets said would go along.
            edits.append(replaced(document, (*path, "includeContext"), quote("none")))
    if isinstance(params.get("_meta"), dict):
        of_meta: list[str] = []
        _put(document, (*path, "_meta"), ASKED_BY, target, edits, of_meta)
        edits += inserted(document, (*path, "_meta"), ",".join(of_meta))
    elif "_meta" in params:
        edits.append(replaced(document, (*path, "_meta"), _meta(target)))
    else:
        new.append(f'"_meta":{_meta(target)}')
    return edits + inserted(document, path, ",".join(new))


def _without_params(target: str, document: Document, path: Path) -> list[Edit]:
    """Only listing roots needs no params; what else has none is nothing that a client could show."""
    request = value_at(document.root, path[:-1])
    if isinstance(request, dict) and "params" in request:
        return [replaced(document, path, f'{{"_meta":{_meta(target)}}}')]
    return inserted(document, path[:-1], f'"params":{{"_meta":{_meta(target)}}}')


def _in_lines(document: Document, path: Path) -> list[Edit]:
    """Return the edits by which the texts of a form stay within the lines that its client draws.

    They stand below the message, which names the target. Raises ``Away`` for a field whose very name leaves its line.
    """
    span = value_span(document, path)
    edits: list[Edit] = []
    for each in literals(document.text[slice(*span)]) if span is not None else ():
        shown = _DISPLACES.sub("\ufffd", _BREAK.sub(" ", each.value))
        if shown == each.value:
            continue
        if each.is_key:
            raise Away("the target asks for what cannot be shown")
        edits.append(Edit(each.start, each.end, quote(shown)))
    return moved(edits, span[0]) if span is not None else []


def _meta(target: str) -> str:
    return f"{{{quote(ASKED_BY)}:{quote(target)}}}"


def _put(document: Document, path: Path, key: str, text: str, edits: list[Edit], new: list[str]) -> None:
    """Have a member be this text: by an edit where there is one, else by what is to be inserted."""
    holder = value_at(document.root, path)
    if isinstance(holder, dict) and key in holder:
        edits.append(replaced(document, (*path, key), quote(text)))
    else:
        new.append(f"{quote(key)}:{quote(text)}")
