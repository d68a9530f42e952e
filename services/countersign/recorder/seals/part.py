"""Puts sealing together, as the recorder runs it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import grpc

from countersign.config.types import Recording
from countersign.recorder.committer import Closed, Committer
from countersign.recorder.entry import Entry, Settled
from countersign.recorder.log.turns import Turn
from countersign.recorder.seals.sealer import REVOKED_GRACE_S, SessionSealer
from countersign.recorder.seals.store import PostgresSealStore
from countersign.runtime.postgres import DatabaseError

log = logging.getLogger(__name__)

SHORTEST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0


class SealRoom:
    """Sealing within a recorder, see ``Room``: one recorder does it for all, while it is its ``turn``."""

    def __init__(self, dsn: str, committer: Committer, turn: Turn, recording: Callable[[], Recording]) -> None:
        self._store = PostgresSealStore(dsn)
        self._committer = committer
        self._turn = turn
        self._recording = recording
        self._sealer = SessionSealer(self._store, self._append, recording, time.time)
        self._complaint = ""
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """Have it look once what was revoked just now is to be sealed."""
        asyncio.get_running_loop().call_later(REVOKED_GRACE_S + SHORTEST_PAUSE_S, self._nudged.set)

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Nothing: nobody asks for it."""
        return ()

    async def run(self) -> None:
        """Seal what is due, until cancelled."""
        while True:
            self._nudged.clear()
            began = time.monotonic()
            more = await self.tend()
            # At most half of the time, and between the rounds over all open sessions hardly any.
            pause = time.monotonic() - began if more else min(LONGEST_PAUSE_S, self._recording().seal_after_s / 10)
            await asyncio.sleep(SHORTEST_PAUSE_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, pause - SHORTEST_PAUSE_S)):
                    await self._nudged.wait()

    async def tend(self) -> bool:
        """Seal once, if it is this recorder's turn; return whether there may be more to seal."""
        try:
            if not await self._turn.is_mine():
                return False
            sealed, more = await self._sealer.round()
        except Closed:
            return False
        except Exception as error:
            # Whatever it is, the record goes on; what is due now is due later.
            self._complain(str(error) if isinstance(error, DatabaseError) else type(error).__name__)
            return False
        self._complain("")
        if sealed:
            log.debug("sessions sealed", extra={"sessions": sealed})
        return more

    def drain(self) -> None:
        """Nothing: it has no streams."""

    async def close(self) -> None:
        """Let another recorder seal, and let go of the database."""
        with suppress(DatabaseError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._turn.end()
        await self._store.close()

    async def _append(self, entries: Sequence[Entry]) -> Sequence[Settled]:
        return await (await self._committer.put(entries))

    def _complain(self, complaint: str) -> None:
        if complaint and complaint != self._complaint:
            log.error("sessions cannot be sealed now: %s", complaint)
        self._complaint = complaint
