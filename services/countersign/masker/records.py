"""The events that the masker records of an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from countersign.masker.content import Content
from countersign.model.event import Event, EventKind, Finding
from countersign.model.handoff import Handoff

JSON_TYPE = "application/json"
EVENTS_TYPE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class EventMaker:
    """Makes the events of one answer. ``now_us`` gives microseconds since the epoch, ``new_id`` a fresh UUID."""

    handoff: Handoff
    now_us: Callable[[], int]
    new_id: Callable[[], str]

    def make(
        self,
        kind: EventKind,
        *,
        status: int,
        size_bytes: int = 0,
        content: Content | None = None,
        body_type: str = "",
        reason: str = "",
        findings: tuple[Finding, ...] = (),
        other_lines: str = "",
    ) -> Event:
        """Return an event of this answer; durations are counted from the request's arrival.

        ``findings`` are those of an answer without content, ``other_lines`` what is released besides it.
        """
        now_us = self.now_us()
        handoff = self.handoff
        single = handoff.calls[0] if len(handoff.calls) == 1 else None
        return Event(
            event_id=self.new_id(),
            session_id=handoff.session_id,
            call_id=handoff.call_id,
            kind=kind,
            time_us=now_us,
            target=handoff.target,
            method=single.method if single else "batch",
            name=single.name if single else "",
            status=status,
            size_bytes=size_bytes,
            duration_us=max(0, now_us - handoff.arrived_us),
            findings=content.findings if content else findings,
            body=content.recorded if content else b"",
            body_type=body_type,
            reason=reason,
            traceparent=handoff.traceparent,
            row_count=content.rows if content else 0,
            other_lines=other_lines,
        )
