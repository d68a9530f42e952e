"""What is kept for a while only: removed once its time is over, and bounded in all."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from countersign.runtime.postgres import DatabaseError

log = logging.getLogger(__name__)


class SweptStore(Protocol):
    """Keeps things with an end each. All of them raise ``DatabaseError``."""

    async def sweep(self, at_most: int) -> int:
        """Remove up to ``at_most`` things whose time is over; return how many."""

    async def held(self) -> int:
        """Return how many things there are."""

    async def close(self) -> None:
        """Let go of all connections."""


class FillingServer(Protocol):
    """Keeps nothing for anybody while ``full`` is set."""

    full: bool


class SweptRoom:
    """A room of the recorder, but for its ``register``: ``run`` in the background; ``close`` at the end.

    ``what`` says for people what is kept. With more than ``most_held`` of it no more is kept; that is looked at with
    every sweep, so it may be exceeded.
    """

    def __init__(
        self, what: str, store: SweptStore, server: FillingServer, *, every_s: float, at_once: int, most_held: int
    ) -> None:
        self._what = what
        self._swept = store
        self._filling = server
        self._every_s = every_s
        self._at_once = at_once
        self._most_held = most_held
        self._complaint = ""

    async def run(self) -> None:
        """Remove what has expired, until cancelled."""
        while True:
            swept = await self.tend()
            await asyncio.sleep(0.0 if swept >= self._at_once else self._every_s)

    async def tend(self, most_held: int | None = None) -> int:
        """Sweep once and see how much is held; return how much was removed."""
        try:
            swept = await self._swept.sweep(self._at_once)
            self._filling.full = await self._swept.held() >= (self._most_held if most_held is None else most_held)
        except Exception as error:
            # Whatever it is, the record goes on, and what has expired is not found.
            self._complain(str(error) if isinstance(error, DatabaseError) else type(error).__name__)
            return 0
        self._complain(f"the database holds too many {self._what}: no more are kept" if self._filling.full else "")
        return swept

    def drain(self) -> None:
        """Nothing: its calls are short."""

    async def close(self) -> None:
        """Let go of the database; call it when ``run`` has ended."""
        await self._swept.close()

    def _complain(self, complaint: str) -> None:
        if complaint and complaint != self._complaint:
            log.error("%s: %s", self._what, complaint)
        self._complaint = complaint
