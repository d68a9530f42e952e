"""A published event in the words that all formats use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from countersign.api.recorder.v1 import event_pb2, feed_pb2
from countersign.model.visible import visible

MOST_BODY_BYTES = 256 * 1024
"""No more of a body leaves than this: collectors and SIEMs refuse larger events, and nothing behind one would pass."""

MOST_LABELS = 50

_KINDS: Mapping[int, str] = MappingProxyType(
    {
        number: name.removeprefix("EVENT_KIND_").lower()
        for name, number in event_pb2.EventKind.items()
        if number != event_pb2.EVENT_KIND_UNSPECIFIED
    }
)
_OUTCOMES: Mapping[int, str] = MappingProxyType(
    {
        event_pb2.OUTCOME_ALLOW: "allow",
        event_pb2.OUTCOME_DENY: "deny",
        event_pb2.OUTCOME_REFUSED: "refused",
        event_pb2.OUTCOME_APPROVE: "approve",
    }
)
_NOTABLE = (event_pb2.EVENT_KIND_TOOLS_CHANGED, event_pb2.EVENT_KIND_REVOKED)
_REQUEST_KINDS = (event_pb2.EVENT_KIND_REQUEST, event_pb2.EVENT_KIND_REFUSED, event_pb2.EVENT_KIND_AUDIT_READ)
_FAILED_STATUS = 400
_BROKEN_STATUS = 500
_ALARMS = ("glass_broken", "decision_refused", "link_refused")


class Severity(IntEnum):
    """How much an event asks for attention; the numbers are OCSF's ``severity_id``."""

    INFORMATIONAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4


@dataclass(frozen=True, slots=True)
class Found:
    """What masks found under one label: how often, and at most a few of the places."""

    label: str
    count: int
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """An event on its way out.

    ``event`` is as recorded, ``kind`` its kind in the record's own word, ``outcome`` what the rules said (empty where
    they were not asked). ``who`` acts in it: the session's principal, or on approvals whoever acted (``None`` when
    nobody did). ``owner`` is whose session it is. Times in microseconds since the epoch.
    """

    event: event_pb2.Event
    kind: str
    outcome: str
    index: int
    sequence: int
    recorded_us: int
    who: event_pb2.Principal | None
    owner: event_pb2.Principal | None
    body_erased: bool

    @property
    def is_call(self) -> bool:
        """Whether somebody asked for something."""
        return self.event.kind in _REQUEST_KINDS

    @property
    def waits(self) -> bool:
        """Whether it is a call that waits for people."""
        return self.outcome == "approve"

    @property
    def failed(self) -> bool:
        """Whether what was asked for did not come about, as far as the event tells."""
        if self.outcome:
            return self.outcome in ("deny", "refused")
        if self.event.kind == event_pb2.EVENT_KIND_APPROVAL:
            return self.event.method in ("denied", "expired", "abandoned", "cancelled", *_ALARMS[1:])
        return self.event.status >= _FAILED_STATUS or (self.event.kind in _ANSWERS and bool(self.event.reason))

    @property
    def severity(self) -> Severity:
        """See :class:`Severity`."""
        event = self.event
        if event.kind == event_pb2.EVENT_KIND_APPROVAL and event.method in _ALARMS:
            return Severity.HIGH if event.method == _ALARMS[0] else Severity.MEDIUM
        if self.outcome in ("deny", "refused") or event.kind in _NOTABLE:
            return Severity.MEDIUM
        if event.status >= _BROKEN_STATUS or event.kind == event_pb2.EVENT_KIND_ERASED:
            return Severity.LOW
        return Severity.INFORMATIONAL

    @property
    def why(self) -> str:
        """Why it was refused, cut or failed, or why the rules said what they said; may be empty."""
        return self.event.reason or self.event.decision.reason

    @property
    def message(self) -> str:
        """One line for people."""
        event = self.event
        who = self.who.subject if self.who is not None else "nobody"
        what = " ".join(part for part in (event.method, event.name) if part)
        told = self.outcome or (str(event.status) if event.status else "")
        said = f"{who}: {self.kind} {what}" + (f" on {event.target}" if event.target else "")
        return visible(f"{said}: {told}" if told else said)

    @property
    def found(self) -> Sequence[Found]:
        """What masks found, by label, at most 50 labels."""
        counts: dict[str, int] = {}
        places: dict[str, list[str]] = {}
        for one in self.event.findings:
            counts[one.label] = counts.get(one.label, 0) + one.count
            if one.place and len(places.setdefault(one.label, [])) < _MOST_PLACES:
                places[one.label].append(one.place)
        return [Found(label, counts[label], tuple(places.get(label, ()))) for label in sorted(counts)[:MOST_LABELS]]

    @property
    def body(self) -> str:
        """The beginning of the masked body, as text; empty when there is none or it was not asked for."""
        return self.event.body[:MOST_BODY_BYTES].decode("utf-8", "replace")

    @property
    def body_is_cut(self) -> bool:
        """Whether ``body`` is not all of it."""
        return len(self.event.body) > MOST_BODY_BYTES

    @property
    def trace(self) -> tuple[str, str]:
        """Trace id and span id of the call (W3C Trace Context, in hex); empty when it is not traced."""
        parts = self.event.traceparent.split("-")
        if len(parts) == 4 and _is_hex(parts[1], 32) and _is_hex(parts[2], 16):
            return parts[1], parts[2]
        return "", ""


_MOST_PLACES = 10
_ANSWERS = (
    event_pb2.EVENT_KIND_RESPONSE,
    event_pb2.EVENT_KIND_STREAM_EVENT,
    event_pb2.EVENT_KIND_STREAM_END,
)


def fact_of(published: feed_pb2.PublishedEvent) -> Fact:
    """Return the fact of a published event."""
    recorded = published.event
    event = recorded.event
    owner = published.principal if published.HasField("principal") else None
    if event.HasField("principal"):
        who: event_pb2.Principal | None = event.principal
    else:
        # Where time did something to an approval, nobody did.
        who = None if event.kind == event_pb2.EVENT_KIND_APPROVAL else owner
    outcome = _OUTCOMES.get(event.decision.outcome, "")
    return Fact(
        event=event,
        kind=_KINDS.get(event.kind, "unknown"),
        outcome=outcome or ("refused" if event.kind == event_pb2.EVENT_KIND_REFUSED else ""),
        index=recorded.index,
        sequence=recorded.sequence,
        recorded_us=recorded.recorded_at.ToMicroseconds(),
        who=who,
        owner=owner,
        body_erased=recorded.body_erased,
    )


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and set(text) <= set("0123456789abcdef") and set(text) != {"0"}
