"""Puts proofs together, as the recorder runs them."""

from __future__ import annotations

from collections.abc import Callable

import grpc

from countersign.api.recorder.v1 import log_pb2, log_pb2_grpc
from countersign.config.types import Recording
from countersign.recorder.door import Door
from countersign.recorder.proofs.ports import SessionStore
from countersign.recorder.proofs.server import Log, LogServer
from countersign.recorder.proofs.store import PostgresLeafStore


class ProofRoom:
    """Proofs within a recorder, see ``Room``. ``sessions`` is closed by who made it."""

    def __init__(
        self, dsn: str, door: Door, log: Log, sessions: SessionStore, recording: Callable[[], Recording]
    ) -> None:
        self._leaves = PostgresLeafStore(dsn)
        self._server = LogServer(door, log, self._leaves, sessions, recording)

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add the service to ``server``; return its full name."""
        log_pb2_grpc.add_LogServiceServicer_to_server(self._server, server)
        return (log_pb2.DESCRIPTOR.services_by_name["LogService"].full_name,)

    async def run(self) -> None:
        """Nothing goes on in the background."""

    def drain(self) -> None:
        """Nothing: what is under way has as long as the server gives it."""

    async def close(self) -> None:
        """Let go of the database; call it when ``run`` has ended."""
        await self._leaves.close()
