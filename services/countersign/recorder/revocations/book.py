"""Takes back and gives back: in force first and then in the record, or in the record first and then lifted.

So nothing that the record says is revoked is let through, whatever crashes in between: a revocation bites before the
record knows of it, and is lifted only after.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from countersign.api.recorder.v1 import event_pb2
from countersign.recorder.revocations.events import By, RevocationEvents
from countersign.recorder.revocations.ports import NotInForce, Proposal, Put, RevocationStore, Revoked, Telling, Untold
from countersign.runtime.postgres import DatabaseError

log = logging.getLogger(__name__)

TEND_EVERY_S = 1.0
SWEEP_EVERY_S = 60.0
OVERDUE_S = 2.0
MOST_AT_ONCE = 1_000
BY_DATABASE = "lifted by who has the database"
TOLD_WITHIN_US = 12 * 3600 * 1_000_000
"""The record takes no event whose time is long past: what could not be told for so long is told as of now."""


class RevocationBook:
    """Changes revocations, and sees to it that the record is told. Times are microseconds since the epoch.

    ``record`` returns when an event is durable, or raises ``NotAudited``.
    """

    def __init__(
        self,
        store: RevocationStore,
        record: Callable[[event_pb2.Event], Awaitable[None]],
        *,
        clock_us: Callable[[], int],
    ) -> None:
        self._store = store
        self._record = record
        self._clock_us = clock_us
        self._events = RevocationEvents(clock_us)
        self._complaint = ""

    async def revoke(self, wanted: Sequence[Revoked], by: By, telling: Telling | None = None) -> Put:
        """Return when they are in force and in the record: those that were wanted, or what covers them.

        Raises ``TooManyRevocations`` and ``DatabaseUnavailable`` (then it is not known to be done), and ``NotAudited``:
        then they are in force, and the record is told as soon as it can be.
        """
        proposals = [Proposal(one, self._events.made(one, by)) for one in wanted]
        put = await self._store.put(proposals, self._clock_us(), telling)
        # What others made a moment ago must be in the record, too, before it is answered for.
        new = {one.revocation_id for one in put.untold}
        others = [id_ for one in put.in_force if (id_ := one.revocation.revocation_id) not in new]
        await self._tell([*put.untold, *(await self._store.untold(others) if others else ())])
        return put

    async def lift(self, revoked: Revoked, reason: str, by: By) -> bool:
        """Return when it is in the record and then in force no more; whether it is this that the record says.

        Raises ``NotInForce``, ``DatabaseUnavailable`` and ``NotAudited``: it is in force until the record was told.
        """
        untold = self._events.lifted(revoked, reason, by)
        first = await self._store.lifting(untold, self._clock_us())
        await self._tell([first])
        return first.event_id == untold.event_id

    async def take_back(self, told: Sequence[Revoked], by: By) -> None:
        """Lift what the same issuer told of the same by way of the same source; what others made stays."""
        for one in told:
            what = one.revocation
            for known in await self._store.find(what.kind, what.issuer, what.value):
                if (known.source, known.by_issuer) == (one.source, one.by_issuer):
                    with suppress(NotInForce):
                        await self.lift(known, what.reason, by)

    async def run(self) -> None:
        """Tell the record what it was not told, and forget what is long over, until cancelled."""
        loop = asyncio.get_running_loop()
        swept_s = loop.time() - SWEEP_EVERY_S
        while True:
            try:
                await self.tend()
                if loop.time() - swept_s >= SWEEP_EVERY_S and not await self._swept():
                    swept_s = loop.time()
            except Exception as error:
                # Whatever it is, the record goes on; what is in force is in force.
                self._complain(str(error) if isinstance(error, DatabaseError) else type(error).__name__)
            else:
                self._complain("")
            await asyncio.sleep(TEND_EVERY_S)

    async def tend(self, older_than_s: float = OVERDUE_S) -> int:
        """Tell the record what it should have been told; return how many events. Raises what ``revoke`` raises."""
        overdue = await self._store.overdue(older_than_s, MOST_AT_ONCE)
        for one in overdue:
            # Who told it may have ended before that was noted; and in a session that was sealed since, it reads anew.
            if await self._store.recorded(one.event_id):
                await self._store.told(one)
            elif one.event:
                await self._tell([self._of_now(one)])
            else:
                await self._lift_by_database(one)
        return len(overdue)

    async def _swept(self) -> bool:
        """Sweep once; return whether there may be more."""
        return await self._store.sweep(MOST_AT_ONCE) >= MOST_AT_ONCE

    async def _tell(self, untold: Sequence[Untold]) -> None:
        results = await asyncio.gather(*map(self._tell_one, untold), return_exceptions=True)
        for result in results:
            if result is not None:
                raise result

    async def _tell_one(self, untold: Untold) -> None:
        await self._record(event_pb2.Event.FromString(untold.event))
        await self._store.told(untold)

    async def _lift_by_database(self, asked: Untold) -> None:
        """Lift what who has the database asked for, in a row without an event: for when no operator can call."""
        revoked = await self._store.get(asked.revocation_id, self._clock_us())
        if revoked is None or not asked.lifts:
            await self._store.told(asked)
        else:
            untold = self._events.lifted(revoked, BY_DATABASE, By(), asked.event_id)
            await self._tell([untold])

    def _of_now(self, untold: Untold) -> Untold:
        event = event_pb2.Event.FromString(untold.event)
        now_us = self._clock_us()
        if now_us - event.time_us <= TOLD_WITHIN_US:
            return untold
        event.event_id = str(uuid.uuid5(untold.event_id, str(now_us)))
        event.time_us = now_us
        return Untold(untold.event_id, untold.revocation_id, untold.lifts, event.SerializeToString())

    def _complain(self, complaint: str) -> None:
        if complaint and complaint != self._complaint:
            log.error("the record cannot be told of revocations now: %s", complaint)
        self._complaint = complaint
