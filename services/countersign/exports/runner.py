"""Feeds one sink for as long as it is told to: in order, at least once, from where it stood."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from countersign.exports.facts import Fact
from countersign.exports.ports import Destination, Feed, FeedAway, NotTaken, Page, Run, RunLost, SinkHeld
from countersign.runtime.logs import place_of

log = logging.getLogger(__name__)

MOST_AT_ONCE = 500
RELEASE_S = 2.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How long what fails waits: ``first_s``, each time twice as long, at most ``most_s``; a random half is left away.

    ``beat_s`` is how often the recorder hears that the sink is still ours.
    """

    first_s: float = 1.0
    most_s: float = 60.0
    beat_s: float = 5.0
    held_s: float = 5.0


DEFAULT_PACE = Pace()


@dataclass(slots=True)
class Standing:
    """How a sink stands: all below ``next_index`` is there, of ``published_size``; ``taken`` in this run.

    ``problem`` is why it stands still since ``since_s`` (by the monotonic clock); empty while it goes on. ``held`` is
    whether another run feeds it.
    """

    name: str
    next_index: int = 0
    published_size: int = 0
    taken: int = 0
    problem: str = ""
    since_s: float = 0.0
    held: bool = False
    opened: bool = False

    @property
    def behind(self) -> int:
        """How many published events are not there yet."""
        return max(0, self.published_size - self.next_index)


class SinkRunner:
    """Hands the published record over to ``destination``, and moves the sink's cursor behind what that has taken.

    Nothing is left out and nothing overtakes: a batch that is not taken is handed over again, later and later, and the
    sink stands still meanwhile. After a crash what was taken and not yet counted comes again, with the same ids.
    """

    def __init__(
        self,
        name: str,
        description: str,
        destination: Destination,
        feed: Feed,
        *,
        bodies: bool = False,
        once: bool = False,
        pace: Pace = DEFAULT_PACE,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """With ``once``, it ends when all is taken that was published when it began."""
        self.standing = Standing(name)
        self._name = name
        self._description = description
        self._destination = destination
        self._feed = feed
        self._bodies = bodies
        self._once = once
        self._pace = pace
        self._chance = chance
        self._stop = asyncio.Event()
        self._at_once = MOST_AT_ONCE
        self._failures = 0

    def stop(self) -> None:
        """End after the batch that is under way."""
        self._stop.set()

    async def run(self) -> None:
        """Feed the sink until told to stop. Whatever fails is said and tried again; raises nothing of its own."""
        try:
            while not self._stop.is_set():
                try:
                    if await self._opened():
                        return
                except SinkHeld:
                    self.standing.held = True
                    self._complain("another run feeds this sink" + ("" if self._once else ": waiting for its end"))
                    if self._once:
                        return
                    await self._pause(self._pace.held_s)
                except (FeedAway, RunLost) as error:
                    self._complain(str(error) or "another run has taken the sink over")
                    await self._back_off()
                except Exception as error:
                    # A fault of ours must not end it, nor be passed over.
                    self._complain(f"unexpected {type(error).__name__} at {place_of(error)}")
                    await self._back_off()
        finally:
            with suppress(Exception):
                await self._destination.close()

    async def _opened(self) -> bool:
        """Have the sink lent, feed it, give it back; return whether there is no more to do."""
        run = await self._feed.open(self._name, self._description)
        self.standing.held, self.standing.opened = False, True
        self.standing.next_index = run.next_index
        log.info("export begins", extra={"sink": self._name, "next_index": run.next_index})
        try:
            return await _either(self._flow(run), self._beat(run))
        finally:
            # So that whoever comes next need not wait.
            with suppress(FeedAway, RunLost, TimeoutError):
                async with asyncio.timeout(RELEASE_S):
                    await self._feed.move(self._name, run, 0, release=True)

    async def _beat(self, run: Run) -> bool:
        while True:
            await asyncio.sleep(self._pace.beat_s)
            # The stream notices better than we do that the recorder is away.
            with suppress(FeedAway):
                await self._feed.move(self._name, run, 0)

    async def _flow(self, run: Run) -> bool:
        standing, goal = self.standing, -1
        async with aclosing(self._feed.pages(run, run.next_index, bodies=self._bodies)) as pages:
            while (page := await self._next(pages)) is not None:
                if not page.facts:
                    # What was wrong was the way to the recorder; with events, the destination must take them first.
                    self._recovered()
                standing.published_size = page.published_size
                goal = page.published_size if goal < 0 else goal
                if not await self._hand_over(run, page.facts):
                    return True
                if self._once and standing.next_index >= goal:
                    return True
        # The recorder ends: another may take its place.
        await self._pause(self._pace.first_s)
        return self._stop.is_set()

    async def _next(self, pages: AsyncIterator[Page]) -> Page | None:
        """Return the next page, or ``None`` when there is none, or when we are to stop."""
        coming = asyncio.ensure_future(anext(pages, None))
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({coming, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return coming.result() if coming.done() else None
        finally:
            for task in (coming, stopped):
                task.cancel()
            await asyncio.gather(coming, stopped, return_exceptions=True)

    async def _hand_over(self, run: Run, facts: Sequence[Fact]) -> bool:
        """Hand a page over, in batches; return whether all was taken, which only an end can prevent."""
        start = 0
        while start < len(facts):
            if self._stop.is_set():
                return False
            batch = facts[start : start + self._at_once]
            try:
                await self._destination.take(batch)
            except NotTaken as error:
                self._refused(error, batch)
                await self._back_off(error.wait_s)
                continue
            start += len(batch)
            await self._feed.move(self._name, run, batch[-1].index + 1)
            self.standing.next_index = batch[-1].index + 1
            self.standing.taken += len(batch)
            self._at_once = min(2 * self._at_once, MOST_AT_ONCE)
            self._recovered()
        return True

    def _refused(self, error: NotTaken, batch: Sequence[Fact]) -> None:
        where = f"at event {batch[0].index}"
        if error.smaller and len(batch) > 1:
            self._at_once = len(batch) // 2
        elif error.smaller:
            # Left out it would be lost: somebody must look.
            where = f"at event {batch[0].index} ({batch[0].event.event_id}) alone"
        self._complain(f"{error}, {where}")

    async def _back_off(self, at_least_s: float = 0.0) -> None:
        pace = self._pace
        longest_s = min(pace.first_s * 2 ** min(self._failures, 30), pace.most_s)
        self._failures += 1
        await self._pause(max(at_least_s, longest_s * (1 + self._chance()) / 2))

    async def _pause(self, wait_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._stop.wait()

    def _complain(self, problem: str) -> None:
        standing = self.standing
        if not standing.problem:
            standing.since_s = time.monotonic()
        if problem != standing.problem:
            log.error("export stands still: %s", problem, extra={"sink": self._name})
        standing.problem = problem

    def _recovered(self) -> None:
        if self.standing.problem:
            log.info("export goes on", extra={"sink": self._name, "next_index": self.standing.next_index})
        self.standing.problem = ""
        self._failures = 0


async def _either(first: Coroutine[Any, Any, bool], second: Coroutine[Any, Any, bool]) -> bool:
    """Run both; return or raise what the one does that ends first, once the other is ended, too."""
    both = [asyncio.ensure_future(first), asyncio.ensure_future(second)]
    try:
        done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
    return done.pop().result()
