"""Blocking work of one destination, on a thread of its own: one that hangs keeps nobody else waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class OwnThread:
    """Runs one function after the other, also those that nobody waits for any more."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"export-{name}")

    async def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def end(self) -> None:
        """Take no more work."""
        self._executor.shutdown(wait=False)
