"""From an event as it was sent to an entry that can be stored, and back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any
from uuid import UUID

from countersign.api.recorder.v1 import event_pb2, recorder_pb2

MAX_BODY_BYTES = 72 * 1024 * 1024
MAX_RECORD_BYTES = 4 * 1024 * 1024
# Columns are for searching; the whole text stands in the record. Shorter than what a btree entry can hold.
SEARCHABLE_CHARACTERS = 500
# Integers beyond this are not the same in every JSON parser (RFC 8785, appendix D).
MAX_INTEGER = 2**53 - 1
MAX_STATUS = 999

_KINDS = MappingProxyType(
    {
        event_pb2.EVENT_KIND_REQUEST: "request",
        event_pb2.EVENT_KIND_RESPONSE: "response",
        event_pb2.EVENT_KIND_STREAM_EVENT: "stream_event",
        event_pb2.EVENT_KIND_STREAM_END: "stream_end",
        event_pb2.EVENT_KIND_REFUSED: "refused",
        event_pb2.EVENT_KIND_AUDIT_READ: "audit_read",
        event_pb2.EVENT_KIND_TOOLS_CHANGED: "tools_changed",
        event_pb2.EVENT_KIND_TOOLS_ACCEPTED: "tools_accepted",
        event_pb2.EVENT_KIND_TOOLS_FORGOTTEN: "tools_forgotten",
        event_pb2.EVENT_KIND_APPROVAL: "approval",
        event_pb2.EVENT_KIND_SEAL: "seal",
        event_pb2.EVENT_KIND_ERASED: "erased",
        event_pb2.EVENT_KIND_HOLD: "hold",
        event_pb2.EVENT_KIND_REVIEWED: "reviewed",
    }
)
_KINDS_BACK = MappingProxyType({word: number for number, word in _KINDS.items()})
_OUTCOMES = MappingProxyType(
    {
        event_pb2.OUTCOME_ALLOW: "allow",
        event_pb2.OUTCOME_DENY: "deny",
        event_pb2.OUTCOME_REFUSED: "refused",
        event_pb2.OUTCOME_APPROVE: "approve",
    }
)
_OUTCOMES_BACK = MappingProxyType({word: number for number, word in _OUTCOMES.items()})
# Made once: json.dumps makes one a call when it is given options.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
_TEXTS = (
    "source_address",
    "target",
    "method",
    "name",
    "body_type",
    "reason",
    "traceparent",
    "approval_id",
    "continues",
)
_MARKS = ("values_put_back", "request_masked")
# Only the recorder itself makes these.
_OURS = frozenset({event_pb2.EVENT_KIND_SEAL})
_JUDGED = frozenset(
    {
        event_pb2.EVENT_KIND_REQUEST,
        event_pb2.EVENT_KIND_AUDIT_READ,
        event_pb2.EVENT_KIND_TOOLS_ACCEPTED,
        event_pb2.EVENT_KIND_TOOLS_FORGOTTEN,
    }
)
_CALLS = _JUDGED | {event_pb2.EVENT_KIND_REFUSED}
APPROVAL = event_pb2.EVENT_KIND_APPROVAL


class Verdict(Enum):
    """What became of an entry."""

    RECORDED = "recorded"
    CONFLICT = "conflict"
    UNSTORABLE = "unstorable"


@dataclass(frozen=True, slots=True)
class Who:
    """The principal's part of an entry, as a session keeps it."""

    issuer: str
    subject: str
    groups: tuple[str, ...]
    kind: str
    token_id: str


NOBODY = Who("", "", (), "", "")


@dataclass(frozen=True, slots=True)
class Entry:
    """An event whose shape was checked, with its canonical record (JSON without the body) and what is searched.

    ``outcome`` counts only where it is a call's (requests, refusals, audit reads): answers hold 0.
    """

    event_id: UUID
    session_id: UUID
    call_id: UUID
    kind: int
    time_us: int
    outcome: int
    status: int
    target: str
    method: str
    name: str
    rules: list[str]
    who: Who
    findings: int
    record: str
    body_type: str
    body: bytes

    @property
    def size_bytes(self) -> int:
        """About what the entry holds in memory."""
        return len(self.record) + len(self.body) + 1000


class BadEvent(ValueError):
    """The shape of an event is wrong; the message says what, and never holds a value of the event."""


def accept(event: event_pb2.Event) -> Entry:
    """Check an event and make the entry to store. Raises ``BadEvent``."""
    kind = event.kind
    if kind not in _KINDS:
        raise BadEvent("kind is missing or unknown")
    if not 0 < event.time_us <= MAX_INTEGER:
        raise BadEvent("time_us is not a time")
    if event.status > MAX_STATUS or max(event.size_bytes, event.duration_us, event.row_count) > MAX_INTEGER:
        raise BadEvent("status, size_bytes, duration_us or row_count is out of bounds")
    if kind in _OURS or event.HasField("seal"):
        raise BadEvent("kind or seal is the recorder's own")
    if not event.target and kind != event_pb2.EVENT_KIND_REFUSED:
        raise BadEvent("target is missing")
    decided = event.decision.outcome
    if kind in _JUDGED and not (decided in _OUTCOMES and event.principal.issuer and event.principal.subject):
        raise BadEvent("principal or decision is missing")
    _check_approval(event)
    if event.continues:
        _uuid(event.continues, "continues")
    if len(event.body) > MAX_BODY_BYTES:
        raise BadEvent(f"body is larger than {MAX_BODY_BYTES} bytes")
    record = canonical_record(event)
    # Four bytes a character at most: measured exactly only near the bound.
    if len(record) * 4 > MAX_RECORD_BYTES and len(record.encode()) > MAX_RECORD_BYTES:
        raise BadEvent(f"the event without its body is larger than {MAX_RECORD_BYTES} bytes")
    if kind == event_pb2.EVENT_KIND_REFUSED:
        decided = decided or event_pb2.OUTCOME_REFUSED
    return Entry(
        event_id=_uuid(event.event_id, "event_id"),
        session_id=_uuid(event.session_id, "session_id"),
        call_id=_uuid(event.call_id, "call_id"),
        kind=kind,
        time_us=event.time_us,
        outcome=decided if kind in _CALLS else 0,
        status=event.status,
        target=searchable(event.target),
        method=searchable(event.method),
        name=searchable(event.name),
        rules=[searchable(rule) for rule in event.decision.rules],
        # Who decides about a call is not whose session it is.
        who=_who(event.principal) if event.HasField("principal") and kind != APPROVAL else NOBODY,
        findings=sum([finding.count for finding in event.findings]),
        record=record,
        body_type=searchable(event.body_type),
        body=event.body,
    )


def _check_approval(event: event_pb2.Event) -> None:
    """Check which approval an event names, if it may. Raises ``BadEvent``."""
    if event.kind == APPROVAL:
        if not event.method:
            raise BadEvent("method is missing: it says what happened to the approval")
        if event.HasField("principal") and not (event.principal.issuer and event.principal.subject):
            raise BadEvent("principal is incomplete: leave it out where time did it")
    elif not event.approval_id:
        return
    elif event.kind != event_pb2.EVENT_KIND_REQUEST:
        raise BadEvent("approval_id is for requests and approvals only")
    _uuid(event.approval_id, "approval_id")


def canonical_record(event: event_pb2.Event) -> str:
    """Return the event without its body as canonical JSON (RFC 8785): keys sorted, no blanks, defaults left out.

    RFC 8785 allows this short way because there are no floats, no integer beyond 2^53 and only ASCII keys.
    """
    fact: dict[str, object] = {
        "event_id": event.event_id,
        "session_id": event.session_id,
        "call_id": event.call_id,
        "kind": _KINDS[event.kind],
        "time_us": event.time_us,
    }
    for field in _TEXTS:
        if value := getattr(event, field):
            fact[field] = value
    if event.status:
        fact["status"] = event.status
    if event.size_bytes:
        fact["size_bytes"] = event.size_bytes
    if event.duration_us:
        fact["duration_us"] = event.duration_us
    if event.row_count:
        fact["row_count"] = event.row_count
    for mark in _MARKS:
        if getattr(event, mark):
            fact[mark] = True
    if event.HasField("principal"):
        who = event.principal
        fact["principal"] = {
            "issuer": who.issuer,
            "subject": who.subject,
            "groups": list(who.groups),
            "kind": who.kind,
            "token_id": who.token_id,
            # Left out when there are none: so what was recorded before they were known is said in the same words.
            **({"actors": list(who.actors)} if who.actors else {}),
        }
    if event.HasField("decision"):
        fact["decision"] = _decision(event.decision)
    if event.relations:
        fact["relations"] = list(event.relations)
    if event.findings:
        fact["findings"] = [{"label": one.label, "place": one.place, "count": one.count} for one in event.findings]
    return _ENCODER.encode(fact)


def to_event(record: str, body: bytes | None) -> event_pb2.Event:
    """Make the event again that ``canonical_record`` made ``record`` of."""
    fact: dict[str, Any] = json.loads(record)
    fact["kind"] = _KINDS_BACK[fact["kind"]]
    if decision := fact.get("decision"):
        for judged in (decision, *([decision["shadow"]] if "shadow" in decision else [])):
            judged["outcome"] = _OUTCOMES_BACK.get(judged["outcome"], event_pb2.OUTCOME_UNSPECIFIED)
    return event_pb2.Event(**fact, body=body or b"")


def refusal(event_id: str, code: recorder_pb2.RefusalCode.ValueType, message: str) -> recorder_pb2.AppendRefusal:
    """One refused event, for the answer."""
    return recorder_pb2.AppendRefusal(event_id=event_id[:100], code=code, message=message)


def searchable(text: str) -> str:
    """Return what a column can hold of ``text``: Postgres has no NUL, and index entries are short."""
    short = text[:SEARCHABLE_CHARACTERS]
    return short.replace("\0", "\ufffd") if "\0" in short else short


def _decision(decision: event_pb2.Decision) -> dict[str, object]:
    shadow = {"shadow": _judged(decision.shadow)} if decision.HasField("shadow") else {}
    return _judged(decision) | shadow


def _judged(decision: event_pb2.Decision | event_pb2.ShadowDecision) -> dict[str, object]:
    return {
        "outcome": _OUTCOMES.get(decision.outcome, ""),
        "rules": list(decision.rules),
        "masks": list(decision.masks),
        "reason": decision.reason,
        "policy_version": decision.policy_version,
    }


def _who(principal: event_pb2.Principal) -> Who:
    return Who(
        issuer=searchable(principal.issuer),
        subject=searchable(principal.subject),
        groups=tuple([searchable(group) for group in principal.groups]),
        kind=searchable(principal.kind),
        token_id=searchable(principal.token_id),
    )


def _uuid(text: str, field: str) -> UUID:
    try:
        value = UUID(text)
    except ValueError:
        raise BadEvent(f"{field} is not a UUID") from None
    if str(value) != text:
        raise BadEvent(f"{field} is not written as a UUID is (lower case, with hyphens)")
    return value
