"""What is searched for, checked: filters of events, page tokens."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from uuid import UUID

from countersign.api.recorder.v1 import event_pb2, search_pb2
from countersign.recorder.asked import BadQuestion, microseconds, uuid_of
from countersign.recorder.search.ports import Wanted
from countersign.recorder.search.query import BadQuery, Query, query_of
from countersign.recorder.who import searchable

DEFAULT_PAGE_EVENTS = 50
MAX_PAGE_EVENTS = 500
_TOKEN = struct.Struct(">B8sQ?")
_TOKEN_VERSION = 1
_MAX_INDEX = 2**63 - 1
_NOT_OURS = "page_token: not one of ours; leave it empty to begin again"
_TEXTS = ("issuer", "subject", "group", "principal_kind", "target", "method", "name", "rule", "label", "relation")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: below ``before``; and whether nothing that was recorded at the first page was left out."""

    before: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Searching:
    """A page of events to find; ``place`` is ``None`` for the first one."""

    wanted: Wanted
    place: Place | None
    limit: int


def searching(request: search_pb2.SearchEventsRequest) -> Searching:
    """Check a request to search. Raises ``BadQuestion``."""
    if request.page_size > MAX_PAGE_EVENTS:
        raise BadQuestion(f"page_size: at most {MAX_PAGE_EVENTS}")
    wanted = wanted_of(request.filter)
    place = _open(request.page_token, request.filter) if request.page_token else None
    return Searching(wanted, place, request.page_size or DEFAULT_PAGE_EVENTS)


def following(request: search_pb2.FollowEventsRequest) -> tuple[Wanted, int | None]:
    """Check a request to follow; return what is wanted and from which index on. Raises ``BadQuestion``."""
    if request.from_index > _MAX_INDEX:
        raise BadQuestion("from_index: not one of ours")
    return wanted_of(request.filter), request.from_index if request.HasField("from_index") else None


def page_token(request: search_pb2.SearchEventsRequest, place: Place) -> str:
    """Return the token of the page that begins at ``place``."""
    raw = _TOKEN.pack(_TOKEN_VERSION, _fingerprint(request.filter), place.before, place.complete)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def wanted_of(given: search_pb2.EventFilter) -> Wanted:
    """Check a filter of events. Raises ``BadQuestion``."""
    if given.outcome not in event_pb2.Outcome.values():
        raise BadQuestion("filter.outcome: unknown")
    known = event_pb2.EventKind.values()
    if any(kind == 0 or kind not in known for kind in given.kinds):
        raise BadQuestion("filter.kinds: unknown")
    since = microseconds(given.since, "filter.since") if given.HasField("since") else None
    until = microseconds(given.until, "filter.until") if given.HasField("until") else None
    if since is not None and until is not None and until <= since:
        raise BadQuestion("filter.until: not after filter.since")
    return Wanted(
        since_us=since,
        until_us=until,
        **{field: searchable(getattr(given, field)) for field in _TEXTS},
        outcome=given.outcome,
        approval_id=str(_id(given.approval_id, "approval_id") or ""),
        session_id=_id(given.session_id, "session_id"),
        call_id=_id(given.call_id, "call_id"),
        kinds=tuple(sorted(set(given.kinds))),
        text=_query(given.text) if given.text else None,
    )


def _id(text: str, field: str) -> UUID | None:
    return uuid_of(text, f"filter.{field}") if text else None


def _query(text: str) -> Query:
    try:
        return query_of(text)
    except BadQuery as error:
        raise BadQuestion(f"filter.text: {error}") from None


def _fingerprint(given: search_pb2.EventFilter) -> bytes:
    return hashlib.sha256(given.SerializeToString(deterministic=True)).digest()[:8]


def _open(token: str, given: search_pb2.EventFilter) -> Place:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        version, fingerprint, before, complete = _TOKEN.unpack(raw)
    except (ValueError, binascii.Error, struct.error):
        raise BadQuestion(_NOT_OURS) from None
    if version != _TOKEN_VERSION or before > _MAX_INDEX:
        raise BadQuestion(_NOT_OURS)
    if fingerprint != _fingerprint(given):
        raise BadQuestion("page_token: belongs to another filter; send the same, or leave it empty to begin again")
    return Place(before, complete)
