"""Puts keeping and sweeping together, as the recorder runs them."""

from __future__ import annotations

import grpc

from countersign.api.access.v1 import handles_pb2, handles_pb2_grpc
from countersign.recorder.handles.ports import HandleStore
from countersign.recorder.handles.server import HandleServer
from countersign.recorder.handles.store import PostgresHandleStore
from countersign.recorder.sweeping import SweptRoom

SWEEP_EVERY_S = 30.0
SWEPT_AT_ONCE = 5_000
MOST_HELD = 2_000_000


class HandleRoom(SweptRoom):
    """Handles within a recorder: ``register``, ``run`` in the background; ``close`` at the end."""

    def __init__(self, store: HandleStore) -> None:
        self._server = HandleServer(store)
        super().__init__(
            "handles", store, self._server, every_s=SWEEP_EVERY_S, at_once=SWEPT_AT_ONCE, most_held=MOST_HELD
        )

    @classmethod
    def of(cls, dsn: str) -> HandleRoom:
        """Return the room of a database."""
        return cls(PostgresHandleStore(dsn))

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add the service to ``server``; return its full name."""
        handles_pb2_grpc.add_HandleServiceServicer_to_server(self._server, server)
        return (handles_pb2.DESCRIPTOR.services_by_name["HandleService"].full_name,)
