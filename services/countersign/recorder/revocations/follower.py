"""Knows the version of the newest change, whoever made it: the database tells, and is asked again and again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from countersign.recorder.revocations.ports import Eye, Newest, RevocationStore
from countersign.runtime.postgres import DatabaseError

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.35
"""How long what a lost notification would have told is not known."""

SILENT_AFTER_S = 1.0
RECONNECT_EVERY_S = 0.2


class Follower:
    """Follows the database over one connection.

    ``knows`` whether it was read within the last second: else nobody may be told anything. ``generation`` changes where
    another connection may be to another copy of the database: what was told before must be told anew then. ``changed``
    is called after each change. ``clock_s`` never goes back.
    """

    def __init__(
        self,
        store: RevocationStore,
        *,
        changed: Callable[[], None] = lambda: None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._changed = changed
        self._clock_s = clock_s
        self._read_s: float | None = None
        self._waiting: set[asyncio.Event] = set()
        self._complaint = ""
        self._newest: Newest | None = None
        self.generation = 0

    @property
    def newest(self) -> int:
        """The version of the newest change; -1 before it is known."""
        return -1 if self._newest is None else self._newest.version

    @property
    def knows(self) -> bool:
        """Whether ``newest`` is of at most a second ago."""
        return self._read_s is not None and self._clock_s() - self._read_s < SILENT_AFTER_S

    @contextmanager
    def joined(self) -> Iterator[asyncio.Event]:
        """Give an event that is set after each change while the block runs."""
        called = asyncio.Event()
        self._waiting.add(called)
        try:
            yield called
        finally:
            self._waiting.discard(called)

    def wake(self) -> None:
        """Set the events of all."""
        for called in self._waiting:
            called.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                async with self._store.eye() as eye:
                    if self._newest is None or not await eye.holds(self._newest):
                        self._newest = None
                        self.generation += 1
                    await self._look(eye)
            except Exception as error:
                # Whatever it is: what is not known is told to nobody, and they admit nobody.
                self._complain(str(error) if isinstance(error, DatabaseError) else type(error).__name__)
            await asyncio.sleep(RECONNECT_EVERY_S)

    async def _look(self, eye: Eye) -> None:
        while True:
            began_s = self._clock_s()
            newest = await eye.newest()
            self._read_s = began_s
            self._complain("")
            if newest != self._newest:
                self._newest = newest
                self.wake()
                self._changed()
            await eye.notified(LOOK_EVERY_S)

    def _complain(self, complaint: str) -> None:
        if complaint and complaint != self._complaint:
            log.error("revocations cannot be followed now: %s", complaint)
        elif self._complaint and not complaint:
            log.info("revocations are followed again")
        self._complaint = complaint
