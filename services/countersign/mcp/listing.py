"""Show a caller only what it may call, and let nobody cache for others what was made for one caller."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from countersign.jsontext import Document, Edit, JsonValue, drop_elements, value_span
from countersign.mcp.answers import Answer, AnswerKind, classify
from countersign.mcp.call import KnownKeys
from countersign.mcp.errors import AnswerRefused
from countersign.model.call import NameKind


@dataclass(frozen=True, slots=True)
class _Listing:
    key: str
    name_key: str
    kind: NameKind


_LISTINGS = {
    "tools/list": _Listing("tools", "name", NameKind.TOOL),
    "prompts/list": _Listing("prompts", "name", NameKind.PROMPT),
    "resources/list": _Listing("resources", "uri", NameKind.RESOURCE),
    "resources/templates/list": _Listing("resourceTemplates", "uriTemplate", NameKind.RESOURCE),
}
LISTING_METHODS = frozenset(_LISTINGS)
"""Methods whose results list what may be called."""

CACHEABLE_METHODS = LISTING_METHODS | {"resources/read", "server/discover"}
"""Methods whose results say for how long, and for whom, they may be cached (MCP 2026-07-28, Caching)."""

_RESULT_KEYS = KnownKeys("cacheScope", "ttlMs", *(listing.key for listing in _LISTINGS.values()))
_ENTRY_KEYS = KnownKeys("name", "uri", "uriTemplate")


def filter_listing(document: Document, method: str, offers: Callable[[NameKind, str], bool]) -> list[Edit]:
    """Make the edits that an answer to ``method`` needs before this caller may see it; all else stays identical.

    Entries for which ``offers(kind, name)`` is false disappear; ``cacheScope`` becomes ``private``, and is added where
    ``ttlMs`` stands without it. Errors, notifications and answers to other methods need no edits. Only for a document
    that holds one message: the answers to a batch go through :func:`filter_answer`, each with its own method.

    Raises :class:`AnswerRefused` when the message or the listing is not what it must be.
    """
    return filter_answer(document, classify(document), method, offers)


@dataclass(frozen=True, slots=True)
class ToolPage:
    """The tools of an answer to ``tools/list`` as they stand in it, and whether no page follows (no ``nextCursor``)."""

    tools: tuple[dict[str, JsonValue], ...]
    ends: bool


def listed_tools(document: Document, answer: Answer, method: str | None) -> ToolPage | None:
    """Return the page of tools that an answer lists, unfiltered; ``None`` for an answer that lists none.

    ``document``, ``answer`` and ``method`` are as for :func:`filter_answer`. Raises :class:`AnswerRefused`.
    """
    if answer.kind is not AnswerKind.RESULT or method not in (None, "tools/list"):
        return None
    result = _result_of(document, answer)
    if _RESULT_KEYS.twin_in(result):
        raise AnswerRefused("a key of result differs from a known one only in case")
    listing = _LISTINGS["tools/list"]
    if method is None and listing.key not in result:
        return None
    return ToolPage(tuple(_entries(result, listing)), ends=not result.get("nextCursor"))


def filter_answer(
    document: Document,
    answer: Answer,
    method: str | None,
    offers: Callable[[NameKind, str], bool],
    withheld_tools: Collection[int] = (),
) -> list[Edit]:
    """Do what :func:`filter_listing` does for one of the answers that ``check_answer`` read from this document.

    ``method`` is ``None`` where it is not known what was asked (a replayed answer): then whatever in the result could
    be a listing is treated as one. ``withheld_tools`` are positions in its page of tools that disappear, too.
    """
    if answer.kind is not AnswerKind.RESULT or (method is not None and method not in CACHEABLE_METHODS):
        return []
    result = _result_of(document, answer)
    if _RESULT_KEYS.twin_in(result):
        raise AnswerRefused("a key of result differs from a known one only in case")
    path: tuple[str | int, ...] = (*answer.path, "result")
    edits = _privacy_edits(document, path, result)
    for asked, listing in _LISTINGS.items():
        if asked != method and (method is not None or listing.key not in result):
            continue
        names = _names(result, listing)
        hidden = {index for index, name in enumerate(names) if not offers(listing.kind, name)}
        if listing.kind is NameKind.TOOL:
            hidden.update(withheld_tools)
        edits += drop_elements(document, (*path, listing.key), hidden)
    return edits


def _result_of(document: Document, answer: Answer) -> dict[str, JsonValue]:
    message: JsonValue = document.root
    for position in answer.path:
        message = message[position] if isinstance(message, list) else None
    result = message.get("result") if isinstance(message, dict) else None
    if not isinstance(result, dict):
        raise AnswerRefused("the answer is not of this document")
    return result


def _names(result: dict[str, JsonValue], listing: _Listing) -> list[str]:
    return [str(entry[listing.name_key]) for entry in _entries(result, listing)]


def _entries(result: dict[str, JsonValue], listing: _Listing) -> list[dict[str, JsonValue]]:
    """Return a listing's entries, of which each has a name."""
    found = result.get(listing.key)
    if not isinstance(found, list):
        raise AnswerRefused(f"result.{listing.key} must be an array")
    entries: list[dict[str, JsonValue]] = []
    for entry in found:
        name = entry.get(listing.name_key) if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or type(name) is not str or _ENTRY_KEYS.twin_in(entry):
            raise AnswerRefused(f"every entry of result.{listing.key} must be an object with one {listing.name_key}")
        entries.append(entry)
    return entries


def _privacy_edits(document: Document, path: tuple[str | int, ...], result: dict[str, JsonValue]) -> list[Edit]:
    if "cacheScope" in result:
        span = value_span(document, (*path, "cacheScope"))
        if span is not None and result["cacheScope"] != "private":
            return [Edit(*span, '"private"')]
        return []
    span = value_span(document, (*path, "ttlMs"))
    return [] if span is None else [Edit(span[1], span[1], ',"cacheScope":"private"')]
