"""Puts counting and telling together, as the recorder runs them."""

from __future__ import annotations

import grpc

from countersign.api.access.v1 import usage_pb2, usage_pb2_grpc
from countersign.recorder.usage.counter import UsageCounter
from countersign.recorder.usage.server import UsageServer
from countersign.recorder.usage.store import PostgresUsageStore


class UsageRoom:
    """Usage within a recorder: ``register``, ``run`` in the background; ``drain``, ``close`` at the end."""

    def __init__(self, dsn: str) -> None:
        self._store = PostgresUsageStore(dsn)
        self._counter = UsageCounter(self._store)
        self._server = UsageServer(self._store)

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add the service to ``server``; return its full name."""
        usage_pb2_grpc.add_UsageServiceServicer_to_server(self._server, server)
        return (usage_pb2.DESCRIPTOR.services_by_name["UsageService"].full_name,)

    async def run(self) -> None:
        """Count until cancelled."""
        await self._counter.run()

    def drain(self) -> None:
        """Let the streams of those who watch end by themselves."""
        self._server.drain()

    async def close(self) -> None:
        """Let go of the database; call it when ``run`` has ended."""
        await self._store.close()
