"""Puts keeping and telling revocations together, as the recorder runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import grpc

from countersign.api.access.v1 import revocations_pb2, revocations_pb2_grpc
from countersign.recorder.door import Door
from countersign.recorder.revocations.book import RevocationBook
from countersign.recorder.revocations.feed import RevocationFeedServer
from countersign.recorder.revocations.follower import Follower
from countersign.recorder.revocations.server import RevocationServer
from countersign.recorder.revocations.store import PostgresRevocationStore
from countersign.runtime.moments import now_us
from countersign.runtime.revocations import KnownRevocations


class RevocationRoom:
    """Revocations within a recorder, see ``Room``. ``known`` is what the recorder itself asks, kept up to date here.

    ``changed`` is called after each change, of whichever recorder; ``issuers`` are those of gateway.yaml,
    ``own`` is its own.
    """

    def __init__(
        self,
        dsn: str,
        door: Door,
        known: KnownRevocations,
        *,
        changed: Callable[[], None] = lambda: None,
        issuers: Callable[[], Iterable[str]] = tuple,
        own: Callable[[], str] = str,
        clock_us: Callable[[], int] = now_us,
    ) -> None:
        self._known = known
        self._store = PostgresRevocationStore(dsn)
        self._follower = Follower(self._store, changed=changed)
        self._book = RevocationBook(self._store, door.trail.append_message, clock_us=clock_us)
        self._server = RevocationServer(self._store, door, self._book, clock_us=clock_us, issuers=issuers, own=own)
        self._feed = RevocationFeedServer(self._store, self._follower, self._book, clock_us=clock_us)

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add the services to ``server``; return their full names."""
        revocations_pb2_grpc.add_RevocationServiceServicer_to_server(self._server, server)
        revocations_pb2_grpc.add_RevocationFeedServiceServicer_to_server(self._feed, server)
        return tuple(service.full_name for service in revocations_pb2.DESCRIPTOR.services_by_name.values())

    async def run(self) -> None:
        """Follow, and tell the record what it was not told, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follower.run())
            group.create_task(self._feed.keep(self._known))
            group.create_task(self._book.run())

    def drain(self) -> None:
        """Let the streams of those who follow end by themselves."""
        self._feed.drain()

    async def close(self) -> None:
        """Let go of the database; call it when ``run`` has ended."""
        await self._store.close()
