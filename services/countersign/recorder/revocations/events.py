"""The events of revocations: what the record says of them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from countersign.model.decision import Decision, Outcome
from countersign.model.event import Event, EventKind
from countersign.model.principal import Principal
from countersign.model.revocation import RevocationKind
from countersign.recorder.audit import TARGET, auditor_session
from countersign.recorder.revocations.ports import Revoked, Untold
from countersign.runtime.recording import to_message

JSON_TYPE = "application/json"

HEARD_SESSION = uuid.UUID("c5b3d0f4-1f0e-5f57-9a6b-7d2a4e8f6c19")
"""The session that records what issuers told."""


@dataclass(frozen=True, slots=True)
class By:
    """Who revokes or lifts: an operator on a call of theirs, or nobody (an issuer told it)."""

    principal: Principal | None = None
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class RevocationEvents:
    """Makes what the record is to be told. ``clock_us`` gives microseconds since the epoch, ``new_id`` fresh UUIDs."""

    clock_us: Callable[[], int]
    new_id: Callable[[], uuid.UUID] = uuid.uuid4

    def made(self, revoked: Revoked, by: By) -> Untold:
        """Return the event of a revocation that is made."""
        return self._untold("Revoke", revoked, revoked.revocation.reason, by, lifts=False)

    def lifted(self, revoked: Revoked, reason: str, by: By, event_id: uuid.UUID | None = None) -> Untold:
        """Return the event of a revocation that is lifted; with an id of its own, or the one given."""
        return self._untold("LiftRevocation", revoked, reason, by, lifts=True, event_id=event_id)

    def _untold(
        self,
        method: str,
        revoked: Revoked,
        reason: str,
        by: By,
        *,
        lifts: bool,
        event_id: uuid.UUID | None = None,
    ) -> Untold:
        what = revoked.revocation
        event_id = event_id or self.new_id()
        event = Event(
            event_id=str(event_id),
            session_id=str(HEARD_SESSION if by.principal is None else auditor_session(by.principal)),
            call_id=str(self.new_id()),
            kind=EventKind.REVOKED,
            time_us=self.clock_us(),
            target=TARGET,
            method=method,
            # Whom it is about: what people search for.
            name=what.issuer if what.kind is RevocationKind.ISSUER else what.value,
            principal=by.principal,
            decision=None if by.principal is None else Decision(Outcome.ALLOW, (), (), "", "", ""),
            reason=reason,
            body=_json(_about(revoked, reason)),
            body_type=JSON_TYPE,
            traceparent=by.traceparent,
        )
        return Untold(event_id, what.revocation_id, lifts, to_message(event).SerializeToString())


def _about(revoked: Revoked, reason: str) -> dict[str, object]:
    what = revoked.revocation
    told: dict[str, object] = {"revocation_id": what.revocation_id, "kind": what.kind.value}
    optional: dict[str, object] = {
        "issuer": what.issuer,
        "value": what.value,
        "issued_before_s": what.issued_before_s or 0,
        "until_us": what.until_us,
        "told_by": "" if revoked.by_subject else revoked.by_issuer,
        "heard_by": revoked.source,
    }
    return told | {key: value for key, value in optional.items() if value} | {"reason": reason}


def _json(document: dict[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
