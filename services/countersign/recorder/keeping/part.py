"""Puts holding and erasing together, as the recorder runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc

from countersign.api.recorder.v1 import keeping_pb2, keeping_pb2_grpc
from countersign.config.types import Recording
from countersign.recorder.door import Door
from countersign.recorder.keeping.keeper import Keeper
from countersign.recorder.keeping.keys import KeyWatch
from countersign.recorder.keeping.ports import Clock, Retention
from countersign.recorder.keeping.server import KeepingServer
from countersign.recorder.keeping.store import PostgresKeepingStore
from countersign.runtime.moments import now_us


class KeepingRoom:
    """Keeping within a recorder: ``register``, ``run`` in the background; ``drain``, ``close`` at the end.

    ``recording`` is what gateway.yaml says of the record now: asked each time, so that an edit takes force.
    """

    def __init__(self, dsn: str, door: Door, recording: Callable[[], Recording], *, clock_us: Clock = now_us) -> None:
        def retention() -> Retention:
            said = recording()
            return Retention(said.default_kept_days, said.kept_days)

        self._store = PostgresKeepingStore(dsn)
        self._keeper = Keeper(self._store, door.trail.append, retention, clock_us=clock_us)
        self._watch = KeyWatch(lambda: recording().body_keys, clock_us)
        self._server = KeepingServer(self._store, door, retention, clock_us=clock_us, released=self._keeper.nudge)

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add the service to ``server``; return its full name."""
        keeping_pb2_grpc.add_KeepingServiceServicer_to_server(self._server, server)
        return (keeping_pb2.DESCRIPTOR.services_by_name["KeepingService"].full_name,)

    async def run(self) -> None:
        """Erase what is due, and look ahead for keys, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keeper.run())
            group.create_task(self._watch.run())

    def drain(self) -> None:
        """Nothing: its calls are short."""

    async def close(self) -> None:
        """Let go of the database; call it when ``run`` has ended."""
        await self._store.close()
