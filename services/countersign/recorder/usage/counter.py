"""The loop that keeps the counts up to date. Every recorder runs one; the store lets one of them count at a time."""

from __future__ import annotations

import asyncio
import logging
import time

from countersign.recorder.usage.ports import UsageStore
from countersign.runtime.postgres import DatabaseError

log = logging.getLogger(__name__)

EVERY_S = 0.3
PRUNE_EVERY_S = 10.0
LONGEST_WAIT_S = 2.0
# A batch takes some milliseconds: the rest of the database is not kept waiting while much is caught up with.
BATCH_EVENTS = 2_000
PRUNED_BUCKETS = 10_000


class UsageCounter:
    """Counts what is recorded, about every 300 ms, and without a pause while it is behind."""

    def __init__(self, store: UsageStore) -> None:
        self._store = store
        self._complaint = ""

    async def run(self) -> None:
        """Count until cancelled. While the store is away, nothing is lost: it is counted later."""
        pruned_s = time.monotonic()
        wait_s = EVERY_S
        batch_events = BATCH_EVENTS
        while True:
            try:
                left = await self._store.count(batch_events)
                if time.monotonic() - pruned_s >= PRUNE_EVERY_S:
                    pruned = await self._store.prune(PRUNED_BUCKETS)
                    # As many as that: there may be more, and some thousand busy callers make as many in ten seconds.
                    pruned_s = time.monotonic() if pruned < PRUNED_BUCKETS else pruned_s
            except Exception as error:
                # Whatever it is, the record goes on; authz notices that counts stand still and passes nothing by them.
                self._complain(str(error) if isinstance(error, DatabaseError) else type(error).__name__)
                wait_s = min(max(wait_s * 2, EVERY_S), LONGEST_WAIT_S)
                # Records of some megabytes each may be too many for one statement: they must not stop it for ever.
                batch_events = max(1, batch_events // 4)
            else:
                self._complain("")
                batch_events = min(2 * batch_events, BATCH_EVENTS)
                wait_s = 0.0 if left else EVERY_S
            await asyncio.sleep(wait_s)

    def _complain(self, complaint: str) -> None:
        if complaint and complaint != self._complaint:
            log.error("usage is not counted: %s", complaint)
        self._complaint = complaint
