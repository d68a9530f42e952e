"""From an event as it was sent to an entry that can be stored."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias
from uuid import UUID, uuid5

from countersign.api.recorder.v1 import event_pb2, recorder_pb2
from countersign.model.continuation import next_session
from countersign.recorder.bodies import SALT_BYTES, commitment
from countersign.recorder.leaf import KINDS, MAX_LEAF_BYTES, OUTCOMES, leaf_text, principal
from countersign.recorder.leaf import to_event as to_event
from countersign.recorder.who import NOBODY as NOBODY
from countersign.recorder.who import Who as Who
from countersign.recorder.who import searchable as searchable
from countersign.runtime.moments import now_us

MAX_BODY_BYTES = 72 * 1024 * 1024
# Integers beyond this are not the same in every JSON parser (RFC 8785, appendix D).
MAX_INTEGER = 2**53 - 1
MAX_STATUS = 999
_SALTS_AT_ONCE = 64
DAY_US = 86_400 * 1_000_000
# How far a sender's clock may be from ours. What happened to an approval may be told when its target is back.
MOST_SKEW_US = DAY_US
LATEST_APPROVAL_US = 30 * DAY_US

APPROVAL = event_pb2.EVENT_KIND_APPROVAL
SEAL = event_pb2.EVENT_KIND_SEAL
_REQUEST = event_pb2.EVENT_KIND_REQUEST
_REFUSED = event_pb2.EVENT_KIND_REFUSED
_ENDS = frozenset({event_pb2.EVENT_KIND_RESPONSE, event_pb2.EVENT_KIND_STREAM_END})
_JUDGED = frozenset(
    {
        _REQUEST,
        event_pb2.EVENT_KIND_AUDIT_READ,
        event_pb2.EVENT_KIND_TOOLS_ACCEPTED,
        event_pb2.EVENT_KIND_TOOLS_FORGOTTEN,
    }
)
_CALLS = _JUDGED | {_REFUSED}
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

_THREE_UUIDS = re.compile(" ".join([_UUID.pattern] * 3))

Code: TypeAlias = "recorder_pb2.RefusalCode.ValueType"
INVALID = recorder_pb2.REFUSAL_CODE_INVALID
TOO_LARGE = recorder_pb2.REFUSAL_CODE_TOO_LARGE
CLOCK_SKEW = recorder_pb2.REFUSAL_CODE_CLOCK_SKEW


class Verdict(Enum):
    """What became of an entry."""

    RECORDED = "recorded"
    CONFLICT = "conflict"
    UNSTORABLE = "unstorable"
    WRONG_SESSION = "wrong session"
    STALE = "stale"
    """A seal only: its session has other events by now, or is sealed already. Nothing was recorded."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """The entry's session is sealed: nothing was recorded. It belongs into ``continue_as``."""

    continue_as: UUID


Settled = Verdict | Sealed


class Entry(NamedTuple):
    """An event whose shape was checked, with its leaf and what is searched. Its ids are those of UUIDs, as bytes.

    ``outcome`` counts only where it is a call's (requests, refusals, audit reads): answers hold 0. ``salt`` is empty
    when the body is. ``seal_root`` and what follows are set on seals only.
    """

    event_key: bytes
    session_key: bytes
    call_key: bytes
    kind: int
    time_us: int
    recorded_us: int
    outcome: int
    target: str
    method: str
    name: str
    who: Who
    findings: int
    record: str
    salt: bytes
    body: bytes
    ends_session: bool = False
    continues_key: bytes = b""
    seal_root: bytes = b""
    sealed_count: int = 0
    unanswered_count: int = 0

    @property
    def event_id(self) -> UUID:
        """The event's id."""
        return UUID(bytes=self.event_key)

    @property
    def session_id(self) -> UUID:
        """The session's id."""
        return UUID(bytes=self.session_key)

    @property
    def size_bytes(self) -> int:
        """About what the entry holds in memory."""
        return len(self.record) + len(self.body) + 1000


class BadEvent(ValueError):
    """An event is refused as it is: ``code`` and the message say what is wrong, and never hold a value of the event."""

    def __init__(self, message: str, code: Code = INVALID) -> None:
        super().__init__(message)
        self.code = code


class _Salts:
    """Fresh randomness, asked of the system for many events at once: each time is a call of the kernel."""

    def __init__(self) -> None:
        self._ready: list[bytes] = []

    def __call__(self) -> bytes:
        if not self._ready:
            drawn = os.urandom(SALT_BYTES * _SALTS_AT_ONCE)
            self._ready = [drawn[at : at + SALT_BYTES] for at in range(0, len(drawn), SALT_BYTES)]
        return self._ready.pop()


new_salt: Callable[[], bytes] = _Salts()
"""Returns 32 random bytes for a commitment, never the same again."""


def accept(
    event: event_pb2.Event, *, clock_us: Callable[[], int] = now_us, salt: Callable[[], bytes] = new_salt
) -> Entry:
    """Check an event and make the entry to store. Raises ``BadEvent``.

    ``clock_us`` gives microseconds since the epoch, ``salt`` 32 random bytes.
    """
    kind = event.kind
    recorded_us = clock_us()
    decided = event.decision.outcome
    _check(event, kind, decided)
    _check_clock(event, recorded_us)
    body = event.body
    if len(body) > MAX_BODY_BYTES:
        raise BadEvent(f"body is larger than {MAX_BODY_BYTES} bytes", TOO_LARGE)
    salted = salt() if body else b""
    event_key, session_key, call_key = _ids(event)
    continues_key = _check_continues(event)
    record = leaf_text(event, recorded_us=recorded_us, commitment=commitment(salted, body) if body else "")
    # Four bytes a character at most: measured exactly only near the bound.
    if len(record) * 4 > MAX_LEAF_BYTES and len(record.encode()) > MAX_LEAF_BYTES:
        raise BadEvent(f"the event without its body is larger than {MAX_LEAF_BYTES} bytes", TOO_LARGE)
    if kind == _REFUSED:
        decided = decided or event_pb2.OUTCOME_REFUSED
    # Who decides about a call is not whose session it is.
    known = event.HasField("principal") and kind != APPROVAL
    return Entry(
        event_key,
        session_key,
        call_key,
        kind,
        event.time_us,
        recorded_us,
        decided if kind in _CALLS else 0,
        searchable(event.target),
        searchable(event.method),
        searchable(event.name),
        principal(event.principal.SerializeToString())[1] if known else NOBODY,
        sum([finding.count for finding in event.findings]) if event.findings else 0,
        record,
        salted,
        body,
        event.method == "DELETE" and kind in _ENDS and 200 <= event.status < 300,
        continues_key,
    )


def sealing(
    session_id: UUID, *, target: str, event_count: int, root: bytes, unanswered_count: int, reason: str, at_us: int
) -> Entry:
    """Make the entry that seals a session: the last of its events, whose id is always the same.

    ``root`` is the RFC 6962 head over the hashes of the session's leaves, in order; ``reason`` is ``ended``,
    ``idle`` or ``revoked``. It is recorded only while the session has ``event_count`` events, else settled as
    ``Verdict.STALE``.
    """
    seal_id = uuid5(session_id, "seal")
    event = event_pb2.Event(
        event_id=str(seal_id),
        session_id=str(session_id),
        call_id=str(seal_id),
        kind=SEAL,
        time_us=at_us,
        target=target,
        method=reason,
        seal=event_pb2.Seal(event_count=event_count, root=root, unanswered_count=unanswered_count),
    )
    return Entry(
        event_key=seal_id.bytes,
        session_key=session_id.bytes,
        call_key=seal_id.bytes,
        kind=SEAL,
        time_us=at_us,
        recorded_us=at_us,
        outcome=0,
        target=searchable(target),
        method=reason,
        name="",
        who=NOBODY,
        findings=0,
        record=leaf_text(event, recorded_us=at_us, commitment=""),
        salt=b"",
        body=b"",
        seal_root=root,
        sealed_count=event_count,
        unanswered_count=unanswered_count,
    )


def refusal(event_id: str, code: Code, message: str, continue_as: str = "") -> recorder_pb2.AppendRefusal:
    """One refused event, for the answer."""
    return recorder_pb2.AppendRefusal(event_id=event_id[:100], code=code, message=message, continue_as=continue_as)


def _check(event: event_pb2.Event, kind: int, decided: int) -> None:
    """Check the shape. Raises ``BadEvent``."""
    if kind not in KINDS:
        raise BadEvent("kind is missing or unknown")
    if not 0 < event.time_us <= MAX_INTEGER:
        raise BadEvent("time_us is not a time")
    if event.status > MAX_STATUS or max(event.size_bytes, event.duration_us, event.row_count) > MAX_INTEGER:
        raise BadEvent("status, size_bytes, duration_us or row_count is out of bounds")
    if kind == SEAL or event.HasField("seal"):
        raise BadEvent("kind or seal is the recorder's own")
    if not event.target and kind != _REFUSED:
        raise BadEvent("target is missing")
    if kind in _JUDGED and not (decided in OUTCOMES and event.principal.issuer and event.principal.subject):
        raise BadEvent("principal or decision is missing")
    if kind == APPROVAL:
        if not event.method:
            raise BadEvent("method is missing: it says what happened to the approval")
        if event.HasField("principal") and not (event.principal.issuer and event.principal.subject):
            raise BadEvent("principal is incomplete: leave it out where time did it")
        _uuid(event.approval_id, "approval_id")
    elif event.approval_id:
        if kind != _REQUEST:
            raise BadEvent("approval_id is for requests and approvals only")
        _uuid(event.approval_id, "approval_id")


def _check_clock(event: event_pb2.Event, recorded_us: int) -> None:
    late_us = recorded_us - event.time_us
    if not -MOST_SKEW_US <= late_us <= (LATEST_APPROVAL_US if event.kind == APPROVAL else MOST_SKEW_US):
        raise BadEvent("time_us is too far from the recorder's clock", CLOCK_SKEW)


def _check_continues(event: event_pb2.Event) -> bytes:
    if not event.continues:
        return b""
    continues = _uuid(event.continues, "continues")
    if str(next_session(UUID(bytes=continues))) != event.session_id:
        raise BadEvent("session_id is not the session that goes on from continues")
    return continues


def _ids(event: event_pb2.Event) -> tuple[bytes, bytes, bytes]:
    """Return all three at once: this is done for every event."""
    # With what stands in none of them between them, so that none can lend to another.
    texts = f"{event.event_id} {event.session_id} {event.call_id}"
    if _THREE_UUIDS.fullmatch(texts) is None:
        _uuid(event.event_id, "event_id")
        _uuid(event.session_id, "session_id")
        _uuid(event.call_id, "call_id")
    keys = bytes.fromhex(texts.replace("-", ""))
    return keys[:16], keys[16:32], keys[32:]


def _uuid(text: str, field: str) -> bytes:
    if _UUID.fullmatch(text) is None:
        raise BadEvent(f"{field} is not a UUID, written as one is (lower case, with hyphens)")
    return bytes.fromhex(text.replace("-", ""))
