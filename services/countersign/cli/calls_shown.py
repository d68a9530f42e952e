"""The calls of a session, each in one line: what was asked, what became of it, and how much came back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from rich.text import Text

from countersign.api.recorder.v1 import event_pb2
from countersign.cli.placeholders import MASKED
from countersign.cli.replayed import OUTCOMES, count_style, duration, sequence_and_time
from countersign.model.visible import visible

_ENDS: Final = (event_pb2.EVENT_KIND_RESPONSE, event_pb2.EVENT_KIND_STREAM_END)
_ANSWERS: Final = (*_ENDS, event_pb2.EVENT_KIND_STREAM_EVENT)
_CALLS: Final = (event_pb2.EVENT_KIND_REQUEST, event_pb2.EVENT_KIND_REFUSED, event_pb2.EVENT_KIND_AUDIT_READ)


@dataclass(slots=True)
class ShownCall:
    """A call with what its answers add up to; ``first`` is without its body."""

    first: event_pb2.RecordedEvent
    status: int
    rows: int = 0
    masked: int = 0
    duration_us: int = 0
    streamed: int = 0
    ended: bool = False
    reasons: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, recorded: event_pb2.RecordedEvent) -> ShownCall:
        """Begin with the event that asked."""
        first = event_pb2.RecordedEvent()
        first.CopyFrom(recorded)
        first.event.ClearField("body")
        event = recorded.event
        call = cls(first, event.status, masked=_masked(event), duration_us=event.duration_us)
        # What was answered at once has no answer of its own; what is allowed may have one.
        call.ended = event.kind != event_pb2.EVENT_KIND_REQUEST or event.status != 0
        return call

    def take(self, event: event_pb2.Event) -> None:
        """Add an answer."""
        self.status = event.status or self.status
        self.rows += event.row_count
        self.masked += _masked(event)
        self.duration_us = max(self.duration_us, event.duration_us)
        self.streamed += event.kind == event_pb2.EVENT_KIND_STREAM_EVENT
        self.ended = self.ended or event.kind in _ENDS
        if event.reason:
            self.reasons.append(event.reason)

    def line(self) -> Text:
        """The call in a line."""
        event = self.first.event
        word, style = OUTCOMES.get(event.decision.outcome, ("", ""))
        line = sequence_and_time(self.first)
        line.append(visible(event.principal.subject or "nobody"), "bold").append(f"  {visible(event.method)}")
        line.append(f" {visible(event.name)}" if event.name else "", "cyan")
        line.append(f"  {word}", style)
        if why := ", ".join(event.decision.rules) or event.decision.reason:
            line.append(f" ({visible(why)})")
        if event.approval_id:
            line.append("  approval ").append(visible(event.approval_id)[:8], "cyan")
        if self.status:
            line.append(f"  {self.status}", "green" if self.status < 400 else "bold red")
        if self.streamed:
            line.append(f"  {self.streamed} streamed")
        if self.rows:
            line.append(f"  {self.rows} row{'' if self.rows == 1 else 's'}")
        if self.masked:
            line.append(f"  {self.masked} masked", MASKED)
        if self.duration_us:
            line.append(f"  {duration(self.duration_us)}", "dim")
        if not self.ended:
            line.append("  no end on the record", "yellow")
        for reason in (*[event.reason][: bool(event.reason)], *self.reasons):
            line.append(f"  {visible(reason)}", "yellow")
        return line.append(f"  {visible(event.call_id)}", "dim")

    def document(self) -> dict[str, object]:
        """The call as programs read it."""
        event = self.first.event
        word, _ = OUTCOMES.get(event.decision.outcome, ("", ""))
        return {
            "sequence": self.first.sequence,
            "call_id": event.call_id,
            "time_us": event.time_us,
            "subject": event.principal.subject,
            "method": event.method,
            "name": event.name,
            "outcome": "approve" if event.decision.outcome == event_pb2.OUTCOME_APPROVE else word,
            "rules": list(event.decision.rules),
            "reason": event.decision.reason,
            "relations": list(event.relations),
            "approval_id": event.approval_id,
            "status": self.status,
            "row_count": self.rows,
            "masked_count": self.masked,
            "duration_us": self.duration_us,
            "stream_event_count": self.streamed,
            "ended": self.ended,
        }


Shown: TypeAlias = ShownCall | event_pb2.RecordedEvent


class Calls:
    """Puts events together to calls, in the order in which they were asked; other events keep their place.

    What is held are those that wait for an end, and what came after them, without bodies.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[int, Shown] = OrderedDict()
        self._by_id: dict[str, ShownCall] = {}

    def take(self, recorded: event_pb2.RecordedEvent) -> Iterator[Shown]:
        """Take the next event; yield what is complete."""
        event = recorded.event
        if event.kind in _CALLS:
            call = ShownCall.of(recorded)
            self._waiting[recorded.sequence] = call
            if not call.ended:
                self._by_id[event.call_id] = call
        elif event.kind in _ANSWERS and event.call_id in self._by_id:
            call = self._by_id[event.call_id]
            call.take(event)
            if call.ended:
                del self._by_id[event.call_id]
        else:
            other = event_pb2.RecordedEvent()
            other.CopyFrom(recorded)
            other.event.ClearField("body")
            self._waiting[recorded.sequence] = other
        yield from self._complete()

    def rest(self) -> Iterator[Shown]:
        """Yield what is left at the end, complete or not."""
        yield from self._waiting.values()
        self._waiting.clear()

    def _complete(self) -> Iterator[Shown]:
        while self._waiting:
            sequence, first = next(iter(self._waiting.items()))
            if isinstance(first, ShownCall) and not first.ended:
                return
            del self._waiting[sequence]
            yield first


def count_line(allowed: int, denied: int, refused: int, findings: int) -> Text:
    """The sums of a session, in a line."""
    line = Text(f"{allowed} allowed, ").append(f"{denied} denied", count_style(denied))
    return line.append(", ").append(f"{refused} refused", count_style(refused)).append(f"; {findings} findings")


def _masked(event: event_pb2.Event) -> int:
    return sum(finding.count for finding in event.findings)
