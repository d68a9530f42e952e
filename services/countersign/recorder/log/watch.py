"""Puts new events into the tree, and looks again and again whether the tree is still the one that was signed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from uuid import UUID

from countersign.recorder.log import checking
from countersign.recorder.log.errors import LogStopped, StateUnusable
from countersign.recorder.log.gate import Gate
from countersign.recorder.log.growing import changed, first_difference
from countersign.recorder.log.identity import LogIdentity
from countersign.recorder.log.memory import Memory
from countersign.recorder.log.ports import Published
from countersign.recorder.log.store import BATCH_EVENTS, PostgresLogStore, Standing
from countersign.runtime import telemetry
from countersign.runtime.postgres import DatabaseError
from countersign.tlog import TILE_WIDTH

log = logging.getLogger(__name__)

EVERY_S = 0.5


class Watch:
    """One recorder's eye on the log. Every recorder has one; they agree, since each works out the same.

    ``chance`` picks where it begins to look through older events, below its argument; ``clock_s`` never goes back.
    ``recorded`` gives the index and the id of the last event that this recorder acknowledged, if there is one.
    """

    def __init__(
        self,
        identity: LogIdentity,
        store: PostgresLogStore,
        memory: Memory,
        gate: Gate,
        chance: Callable[[int], int],
        clock_s: Callable[[], float],
        recorded: Callable[[], tuple[int, UUID] | None] = lambda: None,
    ) -> None:
        self._identity = identity
        self._store = store
        self._memory = memory
        self._gate = gate
        self._chance = chance
        self._clock_s = clock_s
        self._recorded = recorded
        self._shown_s = clock_s()
        self._next_tile: int | None = None
        self._doubts = gate.doubts
        self._behind = False
        self.complaint = ""
        self.standing = Standing(0, 0, "")
        self.published: Published | None = None

    @property
    def unpublished(self) -> int:
        """How many events were above the latest checkpoint when it was last looked."""
        return self.standing.recorded_size - (self.published.size if self.published is not None else 0)

    @property
    def lag_s(self) -> int:
        """For how many seconds events wait to be shown."""
        return int(self._clock_s() - self._shown_s) if self.unpublished else 0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            more = await self.look()
            if not more and self._doubts == self._gate.doubts:
                await self._gate.doubted(within_s=EVERY_S)

    async def look(self) -> bool:
        """Look once, tell the gate, and put new events into the tree; return whether there are more."""
        doubts = self._gate.doubts
        try:
            if doubts != self._doubts:
                await self._store.renew()
                self._doubts = doubts
            await self._check()
            await self._check_recorded()
            added = await self._store.integrate()
            await self._look_back()
        except LogStopped as error:
            self._stop(str(error))
            return False
        except (DatabaseError, StateUnusable) as error:
            self._complain(str(error))
            return False
        except Exception as error:
            # Whatever it is: what was not looked at is not known to be whole, and appends wait once too much is.
            self._complain(type(error).__name__)
            return False
        self._well()
        self._gate.checked(doubts, self.unpublished)
        self._say_whether_behind()
        return added >= BATCH_EVENTS

    async def _check_recorded(self) -> None:
        """What was acknowledged is there, also where no checkpoint tells yet: a server that took over may lack it."""
        recorded = self._recorded()
        if recorded is not None and not await self._store.holds(*recorded):
            raise LogStopped(
                f"event {recorded[0]}, which was acknowledged, is not in the database: this is an older copy of it, or "
                "a server that took over too early. Bring the newest database back. If it is lost for good, start the "
                "recorders again: they go on from what is left"
            )

    async def _check(self) -> None:
        origin = self._identity.origin
        # Before it is asked how long the tree is: what others sign meanwhile is no sign that it got shorter.
        published = await self._store.published(origin)
        recalled = self._memory.recall()
        standing = await self._store.standing(origin)
        shown = checking.read_published(published) if published is not None else None
        signed = checking.read_signed(standing.signed, self._identity.verifiers) if standing.signed else None
        remembered = recalled.beside(signed)
        await checking.check(
            [one for one in (remembered, signed, shown) if one is not None],
            standing.integrated_size,
            self._store.tiles,
        )
        if signed is not None:
            # Others may have signed it: from now on this recorder, too, knows any older copy.
            await self._memory.keep(standing.signed)
        self.standing = standing
        if published != self.published or not self.unpublished:
            self._shown_s = self._clock_s()
        self.published = published

    async def _look_back(self) -> None:
        """Compare the events of one full tile with the tree, another one every time.

        One that was found wrong is looked at until it is right.
        """
        size = self.standing.integrated_size
        tiles = size // TILE_WIDTH
        if not tiles:
            return
        tile = self._chance(tiles) if self._next_tile is None else self._next_tile % tiles
        self._next_tile = tile
        lineage = checking.lineage(tile, size)
        kept = await self._store.tiles(lineage)
        differs = first_difference(await self._store.leaves(tile), kept.get(lineage[0], b""))
        if differs is not None:
            raise changed(tile * TILE_WIDTH + differs)
        checking.check_lineage(lineage, kept)
        self._next_tile = tile + 1

    def _stop(self, why: str) -> None:
        if why != self._gate.stopped:
            log.critical("the log stopped, nothing is recorded: %s", why)
            telemetry.log_stops.add(1)
        self._gate.stop(why)

    def _well(self) -> None:
        if self._gate.stopped:
            log.warning("the log goes on: what stopped it is no more")
        elif self.complaint:
            log.info("the log is looked after again")
        self.complaint = ""

    def _say_whether_behind(self) -> None:
        if self._gate.behind and not self._behind:
            log.warning("calls wait: %d events are above the latest checkpoint", self.unpublished)
        elif self._behind and not self._gate.behind:
            log.info("calls go on: enough is published")
        self._behind = self._gate.behind

    def _complain(self, complaint: str) -> None:
        if complaint != self.complaint:
            log.error("the log cannot be looked after now: %s", complaint)
        self.complaint = complaint
