"""The loop that keeps the index up to date. Every recorder runs one; the store lets one of them index at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from countersign.recorder.search.ports import IndexStore
from countersign.runtime.postgres import DatabaseError

log = logging.getLogger(__name__)

EVERY_S = 0.5
LONGEST_WAIT_S = 5.0
BATCH_BLOCKS = 1
# Who is behind rests so many times as long as it worked: the record goes first, and what is behind is searched without.
REST, REST_WHILE_BUSY = 3.0, 20.0


class SearchIndexer:
    """Indexes what is recorded, about every 500 ms, and in small steps with pauses while it is behind.

    ``busy`` says whether many events wait to be recorded now: then the pauses are longer.
    """

    def __init__(self, store: IndexStore, *, busy: Callable[[], bool] = lambda: False) -> None:
        self._store = store
        self._busy = busy
        self._complaint = ""

    async def run(self) -> None:
        """Index until cancelled. While the store is away, nothing is lost: it is indexed later."""
        wait_s = EVERY_S
        while True:
            began_s = time.monotonic()
            try:
                left = await self._store.index(BATCH_BLOCKS)
            except Exception as error:
                # Whatever it is, the record goes on, and what is not indexed is searched as far as that is bearable.
                self._complain(str(error) if isinstance(error, DatabaseError) else type(error).__name__)
                wait_s = min(max(wait_s * 2, EVERY_S), LONGEST_WAIT_S)
            else:
                self._complain("")
                rest = REST_WHILE_BUSY if self._busy() else REST
                wait_s = rest * (time.monotonic() - began_s) if left else EVERY_S
            await asyncio.sleep(wait_s)

    def _complain(self, complaint: str) -> None:
        if complaint and complaint != self._complaint:
            log.error("the record is not indexed for searching: %s", complaint)
        self._complaint = complaint
