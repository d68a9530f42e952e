"""What of a message names something of a target, put into the door's words and back. Pure; texts are edited in place.

Towards a target: the name, URI, reference or task that a request is about. From a target: what results and
notifications name. All else stays byte for byte what was judged and masked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from countersign.jsontext import (
    Document,
    Edit,
    JsonValue,
    apply_edits,
    element_spans,
    member_spans,
    parse,
    quote,
    string_at,
    value_at,
    value_span,
)
from countersign.mcp.message import id_text
from countersign.model.door_names import (
    LONGEST_NAME,
    handle,
    split_handle,
    split_tool_name,
    split_uri,
    tool_name,
    uri_at_door,
)

Path = tuple[str | int, ...]

_BY_NAME = frozenset({"tools/call", "prompts/get"})
_BY_URI = frozenset({"resources/read", "resources/subscribe", "resources/unsubscribe"})
_BY_TASK = frozenset({"tasks/get", "tasks/update", "tasks/cancel", "tasks/result"})
ABOUT_ONE = _BY_NAME | _BY_URI | _BY_TASK | {"completion/complete"}
"""Methods that are about something of one target."""

_UI = "ui"
_UI_OLD = "ui/resourceUri"
# Stands between a key and its value (RFC 8259, section 2).
_BETWEEN = ": \t\r\n"
_RELATED_TASK = "io.modelcontextprotocol/related-task"


def target_of(method: str, params: dict[str, JsonValue]) -> tuple[str, str, Path]:
    """Return which target a request of ``ABOUT_ONE`` is about, what it calls that, and where in params that stands.

    Raises ``NotNamed``.
    """
    if method in _BY_NAME:
        return *split_tool_name(text_at(params, ("name",))), ("name",)
    if method in _BY_URI:
        return *split_uri(text_at(params, ("uri",))), ("uri",)
    if method in _BY_TASK:
        return *split_handle(text_at(params, ("taskId",))), ("taskId",)
    prompt = text_at(params, ("ref", "type")) == "ref/prompt"
    path: Path = ("ref", "name") if prompt else ("ref", "uri")
    return *(split_tool_name if prompt else split_uri)(text_at(params, path)), path


def text_at(value: JsonValue, path: Path) -> str:
    """Return the text at a path; empty when there is none."""
    found = value_at(value, path)
    return found if type(found) is str else ""


def replaced(document: Document, path: Path, text: str) -> Edit:
    """Return the edit that puts a JSON text in place of what stands at a path. Raises ``LookupError``."""
    span = value_span(document, path)
    if span is None:
        raise LookupError("nothing stands there")
    return Edit(*span, text)


def replaced_all(document: Document, changes: Iterable[tuple[Path, str]]) -> list[Edit]:
    """Return the edits that put JSON texts in place of what stands at these paths. Raises ``LookupError``.

    Each array is gone through once, however many of its elements change: a target says how many.
    """
    edits: list[Edit] = []
    arrays: dict[Path, dict[int, list[tuple[Path, str]]]] = {}
    for path, text in changes:
        at = next((number for number, step in enumerate(path) if isinstance(step, int)), len(path))
        if at == len(path):
            edits.append(replaced(document, path, text))
        else:
            arrays.setdefault(path[:at], {}).setdefault(int(path[at]), []).append((path[at + 1 :], text))
    for array, changed in arrays.items():
        for index, (start, end) in enumerate(element_spans(document, array)):
            if index in changed:
                element = Document(document.text[start:end], value_at(document.root, (*array, index)))
                edits += moved(replaced_all(element, changed[index]), start)
    return edits


def moved(edits: Iterable[Edit], by: int) -> list[Edit]:
    """Return the edits of a part of a text as those of the whole, in which the part begins there."""
    return [Edit(edit.start + by, edit.end + by, edit.text) for edit in edits]


def members_of(document: Document, path: Path) -> dict[str, tuple[int, Document]]:
    """Return the members of the object at a path by their keys: where the value begins, and it alone."""
    text, found = document.text, value_at(document.root, path)
    members: dict[str, tuple[int, Document]] = {}
    for key, (begin, end) in member_spans(document, path).items():
        after = string_at(text, begin)[1]
        start = after + len(text[after:end]) - len(text[after:end].lstrip(_BETWEEN))
        members[key] = start, Document(text[start:end], value_at(found, (key,)))
    return members


def at_door(target: str, document: Document) -> list[Edit]:
    """Return the edits that put one message of a target (a result, or a notification) into the door's words."""
    root = document.root
    if not isinstance(root, dict):
        return []
    found: list[tuple[Path, str]] = []
    result, method = root.get("result"), root.get("method")
    if isinstance(result, dict):
        found += _in_result(target, result, ("result",))
    elif method == "notifications/resources/updated":
        found += _uri(target, root, ("params", "uri"))
    elif type(method) is str and method.startswith("notifications/tasks"):
        found += _handle(target, root, ("params", "taskId"))
    elif method == "notifications/elicitation/complete":
        found += _handle(target, root, ("params", "elicitationId"))
    elif method == "notifications/cancelled":
        # What the target asked the client, under the name that the door gave it.
        asked = id_text(value_at(root, ("params", "requestId")))
        found += [(("params", "requestId"), handle(target, asked))] if asked else []
    found += _handle(target, root, ("params", "_meta", _RELATED_TASK, "taskId"))
    return replaced_all(document, [(path, quote(text)) for path, text in found])


def listed(target: str, document: Document, path: Path, name_key: str) -> list[tuple[str, str]]:
    """Return the entries of a listing at ``path``, each as the door lists it, with its name; without those too long."""
    entries = value_at(document.root, path)
    found: list[tuple[str, str]] = []
    for entry, span in zip(_list(entries), element_spans(document, path), strict=True):
        own = text_at(entry, (name_key,))
        name = tool_name(target, own) if name_key == "name" else uri_at_door(target, own)
        if not own or (name_key == "name" and len(name) > LONGEST_NAME):
            continue
        text = document.text[slice(*span)]
        one = Document(text, entry)
        edits = [replaced(one, (name_key,), quote(name))]
        for ui in (("_meta", _UI, "resourceUri"), ("_meta", _UI_OLD)):
            edits += [replaced(one, where, quote(said)) for where, said in _uri(target, entry, ui)]
        found.append((name, apply_edits(text, edits)))
    return found


def _in_result(target: str, result: dict[str, JsonValue], path: Path) -> Iterator[tuple[Path, str]]:
    for index, each in enumerate(_list(result.get("content"))):
        yield from _block(target, each, (*path, "content", index))
    for index, each in enumerate(_list(result.get("contents"))):
        if isinstance(each, dict):
            yield from _uri(target, each, ("uri",), (*path, "contents", index))
    for index, each in enumerate(_list(result.get("messages"))):
        content = each.get("content") if isinstance(each, dict) else None
        where = (*path, "messages", index, "content")
        if isinstance(content, list):
            for at, block in enumerate(content):
                yield from _block(target, block, (*where, at))
        else:
            yield from _block(target, content, where)
    for task in (("taskId",), ("task", "taskId"), ("_meta", _RELATED_TASK, "taskId")):
        yield from _handle(target, result, task, path)
    # What a task ended with.
    nested = result.get("result")
    if "taskId" in result and isinstance(nested, dict) and "taskId" not in nested:
        yield from _in_result(target, nested, (*path, "result"))


def _block(target: str, block: JsonValue, path: Path) -> Iterator[tuple[Path, str]]:
    if not isinstance(block, dict):
        return
    if block.get("type") == "resource_link":
        yield from _uri(target, block, ("uri",), path)
    elif block.get("type") == "resource":
        yield from _uri(target, block, ("resource", "uri"), path)
    elif block.get("type") == "tool_result":
        for index, each in enumerate(_list(block.get("content"))):
            if isinstance(each, dict) and each.get("type") != "tool_result":
                yield from _block(target, each, (*path, "content", index))


def _uri(target: str, value: JsonValue, at: Path, below: Path = ()) -> Iterator[tuple[Path, str]]:
    uri = text_at(value, at)
    if uri:
        yield (*below, *at), uri_at_door(target, uri)


def _handle(target: str, value: JsonValue, at: Path, below: Path = ()) -> Iterator[tuple[Path, str]]:
    own = text_at(value, at)
    if own:
        yield (*below, *at), handle(target, own)


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def read(text: bytes | str, max_depth: int) -> Document:
    """Read what a target or a caller sent. Raises ``JsonRefused``."""
    return parse(text, max_depth=max_depth)
