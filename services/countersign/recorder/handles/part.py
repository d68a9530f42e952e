"""Puts keeping and sweeping together, as the recorder runs them."""

from __future__ import annotations

import asyncio
import logging

import grpc

from countersign.api.access.v1 import handles_pb2, handles_pb2_grpc
from countersign.recorder.handles.ports import HandleStore
from countersign.recorder.handles.server import HandleServer
from countersign.recorder.handles.store import PostgresHandleStore
from countersign.runtime.postgres import DatabaseError

log = logging.getLogger(__name__)

SWEEP_EVERY_S = 30.0
SWEPT_AT_ONCE = 5_000
MOST_HELD = 2_000_000
"""With more handles than this, no more are kept. Looked at with every sweep, so it may be exceeded."""


class HandleRoom:
    """Handles within a recorder: ``register``, ``run`` in the background; ``close`` at the end."""

    def __init__(self, store: HandleStore) -> None:
        self._store = store
        self._server = HandleServer(store)
        self._complaint = ""

    @classmethod
    def of(cls, dsn: str) -> HandleRoom:
        """Return the room of a database."""
        return cls(PostgresHandleStore(dsn))

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add the service to ``server``; return its full name."""
        handles_pb2_grpc.add_HandleServiceServicer_to_server(self._server, server)
        return (handles_pb2.DESCRIPTOR.services_by_name["HandleService"].full_name,)

    async def run(self) -> None:
        """Remove what has expired, until cancelled."""
        while True:
            swept = await self.tend()
            await asyncio.sleep(0.0 if swept >= SWEPT_AT_ONCE else SWEEP_EVERY_S)

    async def tend(self, most_held: int = MOST_HELD) -> int:
        """Sweep once and see how much is held; return how many handles were removed."""
        try:
            swept = await self._store.sweep(SWEPT_AT_ONCE)
            self._server.full = await self._store.held() >= most_held
        except Exception as error:
            # Whatever it is, the record goes on, and what has expired is not found.
            self._complain(str(error) if isinstance(error, DatabaseError) else type(error).__name__)
            return 0
        self._complain("the database holds too many handles: no more are kept" if self._server.full else "")
        return swept

    def drain(self) -> None:
        """Nothing: its calls are short."""

    async def close(self) -> None:
        """Let go of the database; call it when ``run`` has ended."""
        await self._store.close()

    def _complain(self, complaint: str) -> None:
        if complaint and complaint != self._complaint:
            log.error("handles: %s", complaint)
        self._complaint = complaint
