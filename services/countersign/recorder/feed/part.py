"""Puts the feed together, as the recorder runs it."""

from __future__ import annotations

import asyncio

import grpc

from countersign.api.recorder.v1 import feed_pb2, feed_pb2_grpc
from countersign.recorder.audit import AuditTrail
from countersign.recorder.bodies import BodyKeeper
from countersign.recorder.feed.ports import PublishedSize
from countersign.recorder.feed.server import FeedServer
from countersign.recorder.feed.store import PostgresFeedStore


class FeedRoom:
    """The feed within a recorder; see ``Room``."""

    def __init__(
        self, dsn: str, trail: AuditTrail, published_size: PublishedSize, keeper: BodyKeeper | None = None
    ) -> None:
        self._store = PostgresFeedStore(dsn, keeper)
        self._server = FeedServer(self._store, trail, published_size)

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add the service to ``server``; return its full name."""
        feed_pb2_grpc.add_FeedServiceServicer_to_server(self._server, server)
        return (feed_pb2.DESCRIPTOR.services_by_name["FeedService"].full_name,)

    async def run(self) -> None:
        """There is nothing to do beside answering."""
        await asyncio.Event().wait()

    def drain(self) -> None:
        """Let the streams of runs end by themselves."""
        self._server.drain()

    async def close(self) -> None:
        """Let go of the database."""
        await self._store.close()
