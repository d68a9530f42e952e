"""Requests and results carried from one protocol era to the other. Pure; texts are edited in place."""

from __future__ import annotations

from collections.abc import Sequence

from countersign.jsontext import Document, Edit, JsonValue, drop_members, member_spans, quote, value_at, value_span
from countersign.mcp.eras import META_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_VERSION, MODERN_VERSION

_MODERN_META = frozenset({META_VERSION, META_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL})
ROUND_PARAMS = frozenset({"requestState", "inputResponses"})
"""Members of ``params`` by which a modern client goes on with a request."""


def stated(capabilities_json: str) -> str:
    """Return the members of ``_meta`` that every modern request must have."""
    return f'"{META_VERSION}":"{MODERN_VERSION}","{META_CAPABILITIES}":{capabilities_json}'


STATED = stated("{}")
"""Those of a client that can be asked nothing."""


def in_meta(document: Document, members: str) -> list[Edit]:
    """Return the edits that put members into ``params._meta`` of a message, which is made where there is none."""
    for path, text in (
        (("params", "_meta"), members),
        (("params",), f'"_meta":{{{members}}}'),
        ((), f'"params":{{"_meta":{{{members}}}}}'),
    ):
        if value_span(document, path) is not None:
            return inserted(document, path, text)
    return []


def inserted(document: Document, path: Sequence[str | int], members: str) -> list[Edit]:
    """Return the edit that puts members first into the object at a path; none where there is no object."""
    span = value_span(document, path)
    if span is None or document.text[span[0]] != "{" or not members:
        return []
    comma = "," if member_spans(document, path) else ""
    return [Edit(span[0] + 1, span[0] + 1, members + comma)]


def made_legacy(document: Document) -> list[Edit]:
    """Return the edits that take from a modern request what only such a one has."""
    edits = drop_members(document, ("params", "_meta"), _MODERN_META)
    return edits + without_rounds(document)


def without_rounds(document: Document) -> list[Edit]:
    """Return the edits that take from a request what only one that is made again has: legacy clients make none."""
    return drop_members(document, ("params",), ROUND_PARAMS)


def wants_logs(params: JsonValue) -> bool:
    """Whether a modern request asks for log messages."""
    return value_at(params, ("_meta", META_LOG_LEVEL)) is not None


def completed(document: Document, *, cacheable: bool) -> list[Edit]:
    """Return the edits that give a legacy result what a modern one must have."""
    result = value_at(document.root, ("result",))
    if not isinstance(result, dict):
        return []
    wanted = {"resultType": '"complete"'}
    if cacheable:
        wanted |= {"ttlMs": "0", "cacheScope": '"private"'}
    return inserted(
        document, ("result",), ",".join(f"{quote(key)}:{value}" for key, value in wanted.items() if key not in result)
    )
