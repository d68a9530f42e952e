"""The events of verdicts: what the record says of a review that somebody signed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from countersign.model.decision import Decision, Outcome
from countersign.model.event import Event, EventKind
from countersign.model.principal import Principal
from countersign.recorder.audit import TARGET, auditor_session


@dataclass(frozen=True, slots=True)
class Signed:
    """What a reviewer says of a line: ``verdict`` is ``certified`` or ``flagged``."""

    review_id: str
    line_id: str
    verdict: str
    note: str


def reviewed(
    signed: Signed,
    principal: Principal,
    *,
    time_us: int,
    traceparent: str = "",
    new_id: Callable[[], uuid.UUID] = uuid.uuid4,
) -> Event:
    """Return the event of a verdict. What it says stands outside of the body, too, which may be erased one day."""
    body = {
        "review_id": signed.review_id,
        "line_id": signed.line_id,
        "verdict": signed.verdict,
        "note": signed.note,
    }
    return Event(
        event_id=str(new_id()),
        session_id=str(auditor_session(principal)),
        call_id=str(new_id()),
        kind=EventKind.REVIEWED,
        time_us=time_us,
        target=TARGET,
        method=signed.verdict,
        name=f"{signed.review_id}/{signed.line_id}",
        principal=principal,
        decision=Decision(Outcome.ALLOW, (), (), "", "", ""),
        reason=signed.note,
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
        body_type="application/json",
        traceparent=traceparent,
    )
