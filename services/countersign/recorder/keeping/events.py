"""The events of keeping: what the record says of erasures and holds."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from countersign.model.decision import Decision, Outcome
from countersign.model.event import Event, EventKind
from countersign.model.principal import Principal
from countersign.recorder.audit import TARGET, auditor_session
from countersign.recorder.keeping.ports import ON_HOLD, Clock, Erasure, Hold

JSON_TYPE = "application/json"

KEEPING_SESSION = uuid.UUID("0d1f7a52-58a5-5c0e-8f2b-54c6f0d9a3b1")
"""The session that records erasures."""


def begun(erasure: Erasure) -> Event:
    """Return the event that says what is about to be erased, and why: the same for the same erasure."""
    return _erased(erasure, "EraseBodies", erasure.begun_us, "", 0, 0)


def ended(erasure: Erasure) -> Event:
    """Return the event that says what was erased: the same for the same erasure, which must have ended."""
    assert erasure.ended_us is not None
    if erasure.outcome == "called_off":
        return _erased(erasure, "EraseCalledOff", erasure.ended_us, "nothing was erased; ", 0, 0)
    counted = f"erased {erasure.bodies} bodies, kept {erasure.held} on hold; "
    return _erased(erasure, "BodiesErased", erasure.ended_us, counted, erasure.bodies, erasure.size_bytes)


def _erased(erasure: Erasure, method: str, time_us: int, counted: str, bodies: int, size_bytes: int) -> Event:
    # What it says stands outside of the body, too: that of this event is erased one day itself.
    about: dict[str, object] = {"shelf": erasure.shelf}
    if erasure.shelf == ON_HOLD:
        name, why = "released", "nothing holds these bodies any more, and their months are erased"
    else:
        name, why = f"{erasure.target}/{erasure.month:%Y-%m}", f"bodies are kept for {erasure.kept_days} days"
        about |= {"target": erasure.target, "month": f"{erasure.month:%Y-%m}", "kept_days": erasure.kept_days}
    if erasure.outcome and method != "EraseBodies":
        about |= {"bodies": bodies, "size_bytes": size_bytes, "held": erasure.held}
    return Event(
        event_id=str(uuid.uuid5(erasure.erasure_id, f"{method} {time_us}")),
        session_id=str(KEEPING_SESSION),
        call_id=str(erasure.erasure_id),
        kind=EventKind.ERASED,
        time_us=time_us,
        target=TARGET,
        method=method,
        name=name,
        reason=counted + why,
        row_count=bodies,
        size_bytes=size_bytes,
        body=_json(about),
        body_type=JSON_TYPE,
    )


@dataclass(frozen=True, slots=True)
class HoldEvents:
    """Makes the events of operators. ``new_id`` gives fresh UUIDs."""

    clock_us: Clock
    new_id: Callable[[], uuid.UUID] = uuid.uuid4

    def placed(self, hold: Hold, principal: Principal, traceparent: str) -> Event:
        """Return the event of a hold that is placed."""
        return self._event("PlaceHold", hold, hold.reason, principal, traceparent)

    def released(self, hold: Hold, reason: str, principal: Principal, traceparent: str) -> Event:
        """Return the event of a hold that is released."""
        return self._event("ReleaseHold", hold, reason, principal, traceparent)

    def _event(self, method: str, hold: Hold, reason: str, principal: Principal, traceparent: str) -> Event:
        of: dict[str, object] = (
            {"principal": {"issuer": hold.issuer, "subject": hold.subject}}
            if hold.session_id is None
            else {"session_id": str(hold.session_id)}
        )
        return Event(
            event_id=str(self.new_id()),
            session_id=str(auditor_session(principal)),
            call_id=str(self.new_id()),
            kind=EventKind.HOLD,
            time_us=self.clock_us(),
            target=TARGET,
            method=method,
            name=str(hold.hold_id),
            principal=principal,
            decision=Decision(Outcome.ALLOW, (), (), "", "", ""),
            reason=reason,
            body=_json({"hold_id": str(hold.hold_id), **of, "reason": reason}),
            body_type=JSON_TYPE,
            traceparent=traceparent,
        )


def _json(document: dict[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
