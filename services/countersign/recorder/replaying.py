"""A session's events one after the other: all at once, as fast as it went, or as they come."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from countersign.api.recorder.v1 import event_pb2
from countersign.recorder.leaf import to_event
from countersign.recorder.ports import ReadStore, SessionRow, StoredEvent

LOOK_S: Final = 0.5
"""How soon a follower looks again whether there is more."""

BEAT_S: Final = 5.0
"""How long a follower is told nothing: half of what it may expect, since to look takes time, too."""

LONGEST_S: Final = 15 * 60.0
"""How long one replay follows: by then who asked was identified long ago, and has to show again who they are."""

Sleep = Callable[[float], Awaitable[None]]


class Incomplete(LookupError):
    """An event that must be there is not; the argument is its sequence number."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How to replay: ``pace`` times as fast as it went, at once if it is 0; no wait is above ``longest_wait_s``."""

    start: int
    pace: float
    longest_wait_s: float
    follow: bool


@dataclass(frozen=True, slots=True)
class Step:
    """An event, as it is kept and as it was sent."""

    stored: StoredEvent
    event: event_pb2.Event


class Replay:
    """One replay of one session."""

    def __init__(
        self,
        store: ReadStore,
        manner: Manner,
        *,
        is_over: Callable[[], bool] = lambda: False,
        sleep: Sleep,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._manner = manner
        self._is_over = is_over
        self._sleep = sleep
        self._monotonic_s = monotonic_s
        self._ends_s = monotonic_s() + LONGEST_S
        self._told_s = self._sent_s = monotonic_s()
        self._next = manner.start
        self._last_us: int | None = None
        self._sealed = False

    async def steps(self, row: SessionRow) -> AsyncGenerator[Step | None, None]:
        """Yield what is recorded of the session; where it is followed, go on with what comes.

        ``None`` says that nothing happened for a while. A following ends with the seal; without it after a quarter of
        an hour, or when ``is_over``: what was not sent by then is to be asked for again. Otherwise the end is the event
        that was the last when the replay began. Raises ``Incomplete``, ``DatabaseUnavailable``.
        """
        known = row.event_count
        # Who goes on behind the last event must learn that it was the last.
        self._sealed = row.seal is not None and self._next >= known
        while True:
            async for step in self._up_to(row.session_id, known):
                yield step
            if not self._goes_on:
                return
            await self._sleep(LOOK_S)
            if self._is_due():
                yield None
            known = await self._length(row.session_id)

    @property
    def _goes_on(self) -> bool:
        return self._manner.follow and not (self._sealed or self._is_over() or self._monotonic_s() >= self._ends_s)

    async def _up_to(self, session_id: UUID, stop: int) -> AsyncIterator[Step | None]:
        while self._next < stop:
            for stored in await self._page(session_id, self._next, stop):
                event = to_event(stored.record, stored.body)
                async for beat in self._waits(event.time_us):
                    if not self._goes_on:
                        return
                    yield beat
                self._next = stored.sequence + 1
                self._sealed = event.kind == event_pb2.EVENT_KIND_SEAL
                self._told_s = self._sent_s = self._monotonic_s()
                yield Step(stored, event)

    async def _page(self, session_id: UUID, start: int, stop: int) -> list[StoredEvent]:
        """Read a page, up to the first event that is missing."""
        page = await self._store.events(session_id, start=start, stop=stop)
        whole = [one for number, one in enumerate(page, start) if one.sequence == number]
        if not whole:
            raise Incomplete(start)
        return whole

    async def _length(self, session_id: UUID) -> int:
        row = await self._store.session(session_id)
        if row is None:
            raise Incomplete(self._next)
        return row.event_count

    async def _waits(self, time_us: int) -> AsyncIterator[None]:
        """Wait until the event of ``time_us`` is due; yield when nothing was told for a while, if it is followed."""
        last_us, self._last_us = self._last_us, time_us
        if not self._manner.pace or last_us is None or time_us <= last_us:
            return
        wait_s = min((time_us - last_us) / 1_000_000 / self._manner.pace, self._manner.longest_wait_s)
        if not self._manner.follow:
            await self._sleep(wait_s)
            return
        # What comes live comes late enough by itself.
        wait_s -= self._monotonic_s() - self._sent_s
        while wait_s > 0:
            await self._sleep(min(wait_s, LOOK_S))
            wait_s -= LOOK_S
            if self._is_due() or not self._goes_on:
                yield

    def _is_due(self) -> bool:
        """Whether it is time to say that nothing happened."""
        now_s = self._monotonic_s()
        if now_s - self._told_s < BEAT_S:
            return False
        self._told_s = now_s
        return True
