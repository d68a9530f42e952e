"""What an auditor asked for, checked: filters, page tokens, ids."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from countersign.api.recorder.v1 import event_pb2, session_pb2
from countersign.recorder.ports import CallFilter, SessionFilter
from countersign.recorder.replaying import Manner

DEFAULT_PAGE_SESSIONS = 50
MAX_PAGE_SESSIONS = 500
DEFAULT_WAIT_S = 10
MAX_WAIT_S = 3_600
SLOWEST, FASTEST = 0.01, 1_000
_TOKEN = struct.Struct(">B8sQ")
_TOKEN_VERSION = 1
_MAX_INDEX = 2**63 - 1
# The range of google.protobuf.Timestamp: years 1 to 9999.
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799


class BadQuestion(ValueError):
    """A field of a request is wrong; the message begins with the field's name."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of sessions to read: those that ``wanted`` describes, with ``first_index`` below ``before``."""

    wanted: SessionFilter
    before: int | None
    limit: int


def listing(request: session_pb2.ListSessionsRequest) -> Listing:
    """Check a request to list sessions. Raises ``BadQuestion``."""
    if request.page_size > MAX_PAGE_SESSIONS:
        raise BadQuestion(f"page_size: at most {MAX_PAGE_SESSIONS}")
    wanted = _filter(request.filter)
    before = _open_token(request.page_token, request.filter) if request.page_token else None
    return Listing(wanted, before, request.page_size or DEFAULT_PAGE_SESSIONS)


def next_page_token(request: session_pb2.ListSessionsRequest, last_index: int) -> str:
    """Return the token of the page after the one that ended with the session of ``last_index``."""
    raw = _TOKEN.pack(_TOKEN_VERSION, _fingerprint(request.filter), last_index)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def session_id(text: str) -> UUID:
    """Read a session id. Raises ``BadQuestion``."""
    return uuid_of(text, "session_id")


def event_id(request: session_pb2.StreamCallsRequest) -> UUID | None:
    """Return the one event that is asked for, if it is one. Raises ``BadQuestion``."""
    wanted = request.filter
    if not wanted.event_id:
        return None
    if wanted.subject or wanted.target or request.HasField("since") or request.HasField("until"):
        raise BadQuestion("filter.event_id: names one event, so nothing else can be asked of it")
    return uuid_of(wanted.event_id, "filter.event_id")


def calls(request: session_pb2.StreamCallsRequest) -> CallFilter:
    """Check a request for the calls of some time. Raises ``BadQuestion``."""
    for field in ("since", "until"):
        if not request.HasField(field):
            raise BadQuestion(f"{field}: is needed, unless filter.event_id is given")
    since, until = microseconds(request.since, "since"), microseconds(request.until, "until")
    if until <= since:
        raise BadQuestion("until: not after since")
    if request.from_index > _MAX_INDEX:
        raise BadQuestion("from_index: not one of ours")
    bodies = microseconds(request.bodies_since, "bodies_since") if request.HasField("bodies_since") else since
    return CallFilter(since, until, bodies, request.filter.subject, request.filter.target)


def manner(request: session_pb2.ReplaySessionRequest) -> Manner:
    """Check how to replay. Raises ``BadQuestion``."""
    if request.max_wait_seconds > MAX_WAIT_S:
        raise BadQuestion(f"max_wait_seconds: at most {MAX_WAIT_S}")
    if request.speed and not request.original_pace:
        raise BadQuestion("speed: only with original_pace")
    pace = request.speed or 1.0
    # No comparison holds for what is no number.
    if not SLOWEST <= pace <= FASTEST:
        raise BadQuestion(f"speed: from {SLOWEST} to {FASTEST}")
    return Manner(
        start=request.from_sequence,
        pace=pace if request.original_pace else 0.0,
        longest_wait_s=request.max_wait_seconds or DEFAULT_WAIT_S,
        follow=request.follow,
    )


def uuid_of(text: str, field: str) -> UUID:
    """Read an id as it is written, in ``field`` of a question. Raises ``BadQuestion``."""
    try:
        value = UUID(text)
    except ValueError:
        value = None
    if value is None or str(value) != text:
        raise BadQuestion(f"{field}: not a UUID")
    return value


def _filter(given: session_pb2.SessionFilter) -> SessionFilter:
    if given.outcome not in event_pb2.Outcome.values():
        raise BadQuestion("filter.outcome: unknown")
    since = microseconds(given.since, "filter.since") if given.HasField("since") else None
    until = microseconds(given.until, "filter.until") if given.HasField("until") else None
    if since is not None and until is not None and until <= since:
        raise BadQuestion("filter.until: not after filter.since")
    if given.approval_id:
        uuid_of(given.approval_id, "filter.approval_id")
    return SessionFilter(
        given.subject,
        given.target,
        given.name,
        given.outcome,
        since,
        until,
        issuer=given.issuer,
        group=given.group,
        principal_kind=given.principal_kind,
        method=given.method,
        rule=given.rule,
        approval_id=given.approval_id,
        label=given.label,
        relation=given.relation,
    )


def microseconds(stamp: Timestamp, field: str) -> int:
    """Read a time, in microseconds since the epoch. Raises ``BadQuestion``."""
    if not (_FIRST_SECOND <= stamp.seconds <= _LAST_SECOND and 0 <= stamp.nanos < 1_000_000_000):
        raise BadQuestion(f"{field}: not a time")
    return stamp.seconds * 1_000_000 + stamp.nanos // 1_000


def _fingerprint(given: session_pb2.SessionFilter) -> bytes:
    return hashlib.sha256(given.SerializeToString(deterministic=True)).digest()[:8]


def _open_token(token: str, given: session_pb2.SessionFilter) -> int:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        version, fingerprint, before = _TOKEN.unpack(raw)
    except (ValueError, binascii.Error, struct.error):
        raise BadQuestion("page_token: not one of ours; leave it empty to begin again") from None
    if version != _TOKEN_VERSION or before > _MAX_INDEX:
        raise BadQuestion("page_token: not one of ours; leave it empty to begin again")
    if fingerprint != _fingerprint(given):
        raise BadQuestion("page_token: belongs to other filters; send the same, or leave it empty to begin again")
    index: int = before
    return index
