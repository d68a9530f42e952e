"""Who watches the auditors: what they ask for is recorded before they are told anything."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable

from countersign.api.recorder.v1 import event_pb2
from countersign.model.decision import Decision, Outcome
from countersign.model.event import Event, EventKind
from countersign.model.principal import Principal
from countersign.recorder.committer import Closed, Committer
from countersign.recorder.entry import BadEvent, Sealed, Settled, Verdict, accept
from countersign.runtime.continuing import Continuing
from countersign.runtime.recording import to_message

TARGET = "countersign"
"""The target of an auditor's session: the gateway itself."""

_SESSIONS = uuid.UUID("5f0c9f4e-6c0a-5d0e-9a53-3b1f6f2f7c11")
_WAIT_S = 10.0


class NotAudited(Exception):
    """The reading could not be recorded, so it must not happen."""


def auditor_session(principal: Principal) -> uuid.UUID:
    """Return the session that records what this principal reads with this token: always the same."""
    return uuid.uuid5(_SESSIONS, json.dumps([principal.issuer, principal.subject, principal.token_id]))


class AuditTrail:
    """Records readings. ``clock_us`` gives microseconds since the epoch, ``new_id`` fresh UUIDs."""

    def __init__(
        self,
        committer: Committer,
        *,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
        new_id: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self._committer = committer
        self._clock_us = clock_us
        self._new_id = new_id
        self._trail = Continuing()

    async def record(
        self,
        principal: Principal,
        *,
        method: str,
        name: str,
        asked: str,
        allowed: bool,
        traceparent: str = "",
        refused: str = "not an auditor",
    ) -> None:
        """Return when it is durable that ``principal`` asked for ``asked`` (JSON). Raises ``NotAudited``.

        ``name`` is what was asked for, if it was one thing; ``refused`` why nothing is told to who is not ``allowed``.
        """
        decision = Decision(
            outcome=Outcome.ALLOW if allowed else Outcome.DENY,
            rules=(),
            masks=(),
            reason="" if allowed else refused,
            message="",
            policy_version="",
        )
        event = Event(
            event_id=str(self._new_id()),
            session_id=str(auditor_session(principal)),
            call_id=str(self._new_id()),
            kind=EventKind.AUDIT_READ,
            time_us=self._clock_us(),
            target=TARGET,
            method=method,
            name=name,
            principal=principal,
            decision=decision,
            body=asked.encode(),
            body_type="application/json",
            traceparent=traceparent,
        )
        await self.append(event)

    async def append(self, event: Event) -> None:
        """Return when ``event``, one of the recorder's own, is durable. Raises ``NotAudited``.

        When its session is sealed, it is recorded in the one that goes on from it.
        """
        await self.append_message(to_message(event))

    async def append_message(self, message: event_pb2.Event) -> None:
        """See ``append``: for an event that was made before, as the message that it became."""
        message = self._trail.continued(message)
        try:
            async with asyncio.timeout(_WAIT_S):
                while isinstance(settled := await self._settled(message), Sealed):
                    if not self._trail.go_on(message, str(settled.continue_as)):
                        raise NotAudited
        except (TimeoutError, Closed, BadEvent):
            raise NotAudited from None
        if settled is not Verdict.RECORDED:
            raise NotAudited

    async def _settled(self, message: event_pb2.Event) -> Settled:
        [settled] = await (await self._committer.put([accept(message, clock_us=self._clock_us)]))
        return settled
