"""Long work on many bytes, done where it holds up nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


class Aside:
    """Does work on ``from_bytes`` or more in threads, ``at_once`` of them; smaller work at once and on the loop.

    So those who bring much wait for one another and for nobody else, and what such work holds in memory is bounded.
    """

    def __init__(self, *, from_bytes: int, at_once: int) -> None:
        self._from_bytes = from_bytes
        self._turns = asyncio.Semaphore(at_once)

    async def run(self, size_bytes: int, work: Callable[[], _T]) -> _T:
        """Return what ``work`` returns; raises what it raises.

        A thread cannot be cancelled: the turn of cancelled work is free again only when the work has ended.
        """
        if size_bytes < self._from_bytes:
            return work()
        await self._turns.acquire()
        running = asyncio.ensure_future(asyncio.to_thread(work))
        running.add_done_callback(self._ended)
        return await asyncio.shield(running)

    def _ended(self, running: asyncio.Future[_T]) -> None:
        self._turns.release()
        if not running.cancelled():
            running.exception()  # seen, also when nobody waits any more
