"""Who follows the pins, and up to which revision each was told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Watcher:
    """One stream that tells of changes. ``revision`` is what it told last, -1 before it told anything."""

    def __init__(self) -> None:
        self.revision = -1
        self._called = asyncio.Event()

    def call(self) -> None:
        """Have it look at once."""
        self._called.set()

    async def wait(self, timeout_s: float) -> None:
        """Return when it is called, or after ``timeout_s``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._called.wait()
        self._called.clear()


class Watchers:
    """The watchers of this process; those of other replicas look by themselves."""

    def __init__(self) -> None:
        self._all: set[Watcher] = set()
        self._told = asyncio.Condition()
        self.draining = False

    @contextmanager
    def joined(self) -> Iterator[Watcher]:
        """Count a watcher in while the block runs."""
        watcher = Watcher()
        self._all.add(watcher)
        try:
            yield watcher
        finally:
            self._all.discard(watcher)

    async def has_told(self, watcher: Watcher, revision: int) -> None:
        """Note that ``watcher`` told everything up to ``revision``."""
        watcher.revision = revision
        async with self._told:
            self._told.notify_all()

    async def told(self, revision: int, *, within_s: float) -> None:
        """Have every watcher told of ``revision``, as far as that takes no longer than ``within_s``."""
        for watcher in self._all:
            watcher.call()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s), self._told:
                # One that was told nothing yet is not waited for: it begins with everything.
                await self._told.wait_for(lambda: all(not 0 <= one.revision < revision for one in self._all))

    def drain(self) -> None:
        """End all streams."""
        self.draining = True
        for watcher in self._all:
            watcher.call()
