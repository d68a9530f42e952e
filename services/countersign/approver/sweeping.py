"""Writes down that what is over has expired. Nothing depends on when: no method of the store acts upon what is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from countersign.approver.following import Following
from countersign.approver.outbox import Outbox
from countersign.approver.ports import ApprovalStore
from countersign.runtime.postgres import DatabaseUnavailable

log = logging.getLogger(__name__)

EVERY_S = 1.0
AT_ONCE = 200


class Sweeper:
    """Sweeps every ``every_s``; those who wait hear of it at once. ``available`` says whether the database answered."""

    def __init__(
        self,
        store: ApprovalStore,
        outbox: Outbox,
        following: Following,
        clock_us: Callable[[], int],
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._following = following
        self._clock_us = clock_us
        self._every_s = every_s
        self.available = False

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            full = False
            try:
                full = await self.sweep() == AT_ONCE
                self.available = True
            except DatabaseUnavailable as error:
                if self.available:
                    log.warning("what is over cannot be ended now: %s", error)
                self.available = False
            if not full:
                await asyncio.sleep(self._every_s)

    async def sweep(self) -> int:
        """End what is over, a batch of it; return how many. Raises ``DatabaseUnavailable``."""
        ended = await self._store.expire(AT_ONCE, self._clock_us())
        for approval in ended:
            self._following.hint(approval.id)
        if ended:
            self._outbox.soon()
        return len(ended)
