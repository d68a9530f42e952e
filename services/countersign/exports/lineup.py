"""The sinks that are fed now: each by one runner at a time, whatever the list becomes meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from countersign.config.types import Sink
from countersign.exports.runner import SinkRunner, Standing

log = logging.getLogger(__name__)

DRAIN_S = 10.0
"""What is under way when a sink is to end has so long."""


@dataclass(eq=False, slots=True)
class _Seat:
    """A sink's place: ``wanted`` is what it is to be, ``None`` when it is to end; ``standing`` is its runner's."""

    wanted: Sink | None
    standing: Standing
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Future[None] | None = None

    @property
    def ended(self) -> bool:
        return self.task is not None and self.task.done()


class Lineup:
    """Has each of some sinks fed by a runner that ``runner`` makes; which sinks, ``feed`` says, again and again.

    A sink never has two runners: the next begins, at the sink's cursor, when the one before has ended. No sink waits
    for another's end.
    """

    def __init__(self, runner: Callable[[Sink], SinkRunner], *, drain_s: float = DRAIN_S) -> None:
        self._runner = runner
        self._drain_s = drain_s
        self._seats: dict[str, _Seat] = {}
        self._stopped = False

    def feed(self, sinks: Sequence[Sink]) -> None:
        """Feed exactly these from now on; to be called in the loop that runs them.

        A sink that is not among them ends after the batch under way. One that is stated otherwise does, too, and begins
        anew; one that is the same goes on untouched.
        """
        if self._stopped:
            return
        wanted = {sink.name: sink for sink in sinks}
        for name, seat in list(self._seats.items()):
            if seat.ended and name not in wanted:
                del self._seats[name]
            elif not seat.ended and seat.wanted != wanted.get(name):
                seat.wanted = wanted.get(name)
                seat.changed.set()
        for name, sink in wanted.items():
            if name not in self._seats or self._seats[name].ended:
                seat = self._seats[name] = _Seat(sink, Standing(name))
                seat.task = asyncio.ensure_future(self._keep(seat))

    @property
    def standings(self) -> list[Standing]:
        """How the sinks stand, in the order in which they came; not those that were taken out and have ended."""
        return [seat.standing for seat in self._seats.values() if seat.wanted is not None or not seat.ended]

    def stop(self) -> None:
        """End all sinks, each after its batch under way; no other begins."""
        self._stopped = True
        for seat in self._seats.values():
            seat.changed.set()

    async def ended(self) -> None:
        """Return when all sinks that are fed have ended, of themselves or by ``stop``."""
        while tasks := [seat.task for seat in self._seats.values() if seat.task and not seat.ended]:
            await asyncio.wait(tasks)

    async def close(self) -> None:
        """End what goes on, at once: what is handed over just now comes again later."""
        self.stop()
        tasks = [seat.task for seat in self._seats.values() if seat.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, seat: _Seat) -> None:
        """Feed a sink as it is wanted, anew with every change, until it is wanted no more, or ends of itself."""
        while (sink := seat.wanted) is not None and not self._stopped:
            seat.changed.clear()
            runner = self._runner(sink)
            seat.standing = runner.standing
            await self._fed(runner, seat.changed)
            if not seat.changed.is_set():
                return
            log.info("export ends", extra={"sink": sink.name, "next_index": runner.standing.next_index})

    async def _fed(self, runner: SinkRunner, changed: asyncio.Event) -> None:
        """Run until the runner ends; once the sink ``changed``, it has a while to do so."""
        running = asyncio.ensure_future(runner.run())
        told = asyncio.ensure_future(changed.wait())
        try:
            await asyncio.wait({running, told}, return_when=asyncio.FIRST_COMPLETED)
            runner.stop()
            # A destination that hangs must not keep its sink from being led elsewhere.
            await asyncio.wait({running}, timeout=self._drain_s)
        finally:
            for task in (running, told):
                task.cancel()
            await asyncio.gather(running, told, return_exceptions=True)
