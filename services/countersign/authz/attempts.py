"""Attempts by nobody known: all of them on the record, and not a row for each, or a flood would fill it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from countersign.model.event import Event
from countersign.runtime.recording import EventSink, NotRecorded

log = logging.getLogger(__name__)

WINDOW_US = 60_000_000
MOST_KNOWN = 4_096
_LOOK_S = 1.0


class Attempts:
    """Records the first attempt from an address on a target for a reason at once, and counts the like for a minute.

    Then, or when ``most`` others came since, or at ``close``, one more event says how many there were. A count whose
    recording was in doubt is recorded again: it may stand there twice, and is lost only with the process.
    """

    def __init__(
        self, sink: EventSink, now_us: Callable[[], int], new_id: Callable[[], str], *, most: int = MOST_KNOWN
    ) -> None:
        self._sink = sink
        self._now_us = now_us
        self._new_id = new_id
        self._most = most
        self._known: dict[_Kind, _Counter] = {}

    async def record(self, event: Event) -> None:
        """Return when ``event``, or the first one like it, is durable. Raises ``NotRecorded``: then answer nothing.

        ``event`` must hold no more than what is kept of an attempt: it is held for up to a minute.
        """
        kind = (event.source_address, event.target, event.reason)
        while (counter := self._known.get(kind)) is None or self._over(counter):
            if counter is not None:
                await self._settle(kind)
            elif len(self._known) >= self._most:
                await self._settle(next(iter(self._known)))
            else:
                await self._begin(kind, event)
                return
        counter.repeats += 1
        counter.last = event
        await asyncio.shield(counter.first)

    async def settle(self) -> None:
        """Record the counts whose minute is over."""
        await self._settle_all([kind for kind, counter in self._known.items() if self._over(counter)])

    async def follow(self) -> None:
        """Settle once a second until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            await self.settle()

    async def close(self) -> None:
        """Record all counts, as far as that can be done."""
        await self._settle_all(list(self._known))

    async def _begin(self, kind: _Kind, event: Event) -> None:
        # A task of its own: the others like it rely on it, also when the first caller hangs up.
        first = asyncio.ensure_future(self._sink.record(event))
        counter = self._known[kind] = _Counter(self._now_us(), first, event)

        def ended(done: asyncio.Future[None]) -> None:
            failed = done.cancelled() or done.exception() is not None
            if failed and self._known.get(kind) is counter:
                del self._known[kind]

        first.add_done_callback(ended)
        await asyncio.shield(first)

    async def _settle_all(self, kinds: list[_Kind]) -> None:
        for kind in kinds:
            try:
                await self._settle(kind)
            except NotRecorded as error:
                log.warning("a count of refused attempts is not recorded yet: %s", error)
                return

    async def _settle(self, kind: _Kind) -> None:
        counter = self._known.pop(kind, None)
        if counter is None or not counter.repeats:
            return
        try:
            await self._sink.record(self._summary(counter))
        except BaseException:
            other = self._known.setdefault(kind, counter)
            if other is not counter:
                other.repeats += counter.repeats
            raise

    def _summary(self, counter: _Counter) -> Event:
        count = "1 more attempt" if counter.repeats == 1 else f"{counter.repeats} more attempts"
        return replace(counter.last, event_id=self._new_id(), reason=f"{counter.last.reason} ({count} since the first)")

    def _over(self, counter: _Counter) -> bool:
        return self._now_us() - counter.began_us >= WINDOW_US


_Kind = tuple[str, str, str]


@dataclass(slots=True)
class _Counter:
    """Attempts of one kind: when the first came, whether it is durable, and what came since."""

    began_us: int
    first: asyncio.Future[None]
    last: Event
    repeats: int = 0
