"""The keeper: erases what is due. Every recorder runs one; the store lets one of them work at a time."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime

from countersign.model.event import Event
from countersign.recorder.audit import NotAudited
from countersign.recorder.keeping import events
from countersign.recorder.keeping.ports import ON_HOLD, Clock, Erasure, HeldShelves, KeepingStore, Retention
from countersign.runtime.postgres import DatabaseError

log = logging.getLogger(__name__)

EVERY_S = 60.0
TOLD_WITHIN_US = 12 * 3600 * 1_000_000
"""The record takes no event whose time is long past: what could not be told for so long is told as of now."""

_NEVER = date(1970, 1, 1)


class Keeper:
    """Erases by the month what retention does not keep, and what nothing holds any more.

    ``record`` returns when an event is durable, or raises ``NotAudited``: then nothing goes. ``retention`` is asked in
    each pass. Of the recorder's clock and the database's the earlier one counts: one that runs ahead erases nothing.

    An erasure goes in steps, each of which may be the last before a crash, and the next pass goes on from there:
    remembered, told to the record that it begins, done (one transaction), told to the record how it ended.
    """

    def __init__(
        self,
        store: KeepingStore,
        record: Callable[[Event], Awaitable[None]],
        retention: Callable[[], Retention],
        *,
        clock_us: Clock,
        new_id: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self._store = store
        self._record = record
        self._retention = retention
        self._clock_us = clock_us
        self._new_id = new_id
        self._nudged = asyncio.Event()
        self._complaint = ""

    def nudge(self) -> None:
        """Have the next pass at once: a hold was released."""
        self._nudged.set()

    async def run(self) -> None:
        """Erase what is due, about once a minute, until cancelled."""
        while True:
            self._nudged.clear()
            try:
                await self.tend()
            except Exception as error:
                # Whatever it is, the record goes on, and what was begun is ended later.
                self._complain(str(error) if isinstance(error, DatabaseError) else type(error).__name__)
            else:
                self._complain("")
            try:
                async with asyncio.timeout(EVERY_S):
                    await self._nudged.wait()
            except TimeoutError:
                continue

    async def tend(self) -> int:
        """Do one pass; return how many erasures ended in it. Raises ``DatabaseUnavailable`` and ``NotAudited``.

        A shelf that cannot be erased now keeps no other from being erased.
        """
        async with self._store.turn() as turn:
            if turn is None:
                return 0
            begun = await turn.under_way()
            done, problem = 0, None
            for erasure in (*begun, *await self._due(turn, begun)):
                try:
                    if erasure not in begun:
                        await turn.begin(erasure)
                    await self._go_on(turn, erasure)
                    done += 1
                except NotAudited:
                    # Nor would the next be recorded.
                    raise
                except Exception as error:
                    problem = problem or error
            if problem is not None:
                raise problem
            return done

    async def _due(self, turn: HeldShelves, begun: Sequence[Erasure]) -> list[Erasure]:
        now_us = await self._now_us(turn)
        under_way = {erasure.shelf for erasure in begun}
        retention = self._retention()
        due = [
            Erasure(self._new_id(), shelf.shelf, shelf.target, shelf.month, retention.of(shelf.target), now_us)
            for shelf in await turn.kept()
            if shelf.shelf not in under_way and (at := shelf.due_at(retention)) is not None and at <= _time(now_us)
        ]
        if ON_HOLD not in under_way and await turn.released():
            due.append(Erasure(self._new_id(), ON_HOLD, "", _NEVER, None, now_us))
        return due

    async def _go_on(self, turn: HeldShelves, erasure: Erasure) -> None:
        now_us = await self._now_us(turn)
        if now_us - (erasure.ended_us or erasure.begun_us) > TOLD_WITHIN_US:
            erasure = await turn.retime(erasure, now_us)
        if erasure.ended_us is None:
            # Also when it was told before: whether it was, nobody knows after a crash, and it is the same event.
            await self._record(events.begun(erasure))
            if await self._still_due(turn, erasure, now_us):
                erasure = await turn.erase(erasure, now_us)
            else:
                erasure = await turn.call_off(erasure, now_us)
        if erasure.shelf == ON_HOLD:
            await turn.wipe()
        await self._record(events.ended(erasure))
        await turn.told(erasure)
        log.info("%s", events.ended(erasure).reason, extra={"shelf": erasure.shelf, "erasure": str(erasure.erasure_id)})

    async def _still_due(self, turn: HeldShelves, erasure: Erasure, now_us: int) -> bool:
        """Whether gateway.yaml, which may have been edited since it began, still wants it gone."""
        if erasure.shelf == ON_HOLD:
            return True
        retention = self._retention()
        return any(
            shelf.shelf == erasure.shelf and (at := shelf.due_at(retention)) is not None and at <= _time(now_us)
            for shelf in await turn.kept()
        )

    async def _now_us(self, turn: HeldShelves) -> int:
        return min(self._clock_us(), await turn.now_us())

    def _complain(self, complaint: str) -> None:
        if complaint and complaint != self._complaint:
            log.error("what is due cannot be erased now: %s", complaint)
        self._complaint = complaint


def _time(now_us: int) -> datetime:
    return datetime.fromtimestamp(now_us / 1_000_000, UTC)
