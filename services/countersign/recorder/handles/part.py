"""Puts keeping and sweeping together, as the recorder runs them."""

from __future__ import annotations

import grpc

from countersign.api.access.v1 import handles_pb2, handles_pb2_grpc
from countersign.recorder.handles.ports import HandleStore
from countersign.recorder.handles.server import HandleServer
from countersign.recorder.handles.shares import Bounds
from countersign.recorder.handles.store import PostgresHandleStore
from countersign.recorder.sweeping import SweptRoom
from countersign.runtime.postgres import DatabaseError

SWEEP_EVERY_S = 30.0
SWEPT_AT_ONCE = 5_000
MOST_HELD = 2_000_000


class HandleRoom(SweptRoom):
    """Handles within a recorder: ``register``, ``run`` in the background; ``close`` at the end."""

    def __init__(self, store: HandleStore, bounds: Bounds | None = None) -> None:
        self._store = store
        self._server = HandleServer(store, bounds or Bounds())
        super().__init__(
            "handles", store, self._server, every_s=SWEEP_EVERY_S, at_once=SWEPT_AT_ONCE, most_held=MOST_HELD
        )

    @classmethod
    def of(cls, dsn: str) -> HandleRoom:
        """Return the room of a database."""
        return cls(PostgresHandleStore(dsn))

    async def tend(self, most_held: int | None = None) -> int:
        """Sweep once and see how much is held, in all and by whom; return how much was removed."""
        swept = await super().tend(most_held)
        try:
            shares = self._server.shares
            shares.counting()
            shares.counted(await self._store.crowded(shares.bounds.half()))
        except DatabaseError:
            # What was counted before is what is known; that the database is away was said.
            return 0
        return swept

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add the service to ``server``; return its full name."""
        handles_pb2_grpc.add_HandleServiceServicer_to_server(self._server, server)
        return (handles_pb2.DESCRIPTOR.services_by_name["HandleService"].full_name,)
