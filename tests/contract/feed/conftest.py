"""A feed over a real database, whose published size a test decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import grpc
import psycopg
import pytest

from countersign.api.recorder.v1 import feed_pb2, feed_pb2_grpc
from countersign.model.event import Event
from countersign.recorder.audit import AuditTrail
from countersign.recorder.committer import Committer
from countersign.recorder.entry import Verdict, accept
from countersign.recorder.feed.server import FeedServer
from countersign.recorder.feed.store import PostgresFeedStore
from countersign.recorder.store import PostgresAppendStore
from countersign.runtime.recording import to_message
from tests.support.events import new_id
from tests.support.postgres import Postgres
from tests.support.postgres import postgres as postgres


@pytest.fixture(scope="module")
def dsn(postgres: Postgres) -> str:
    return postgres.database()


@dataclass
class Rig:
    """A recorder's feed, and who reads it. All of a module share a record; sinks have names of their own."""

    dsn: str
    stub: feed_pb2_grpc.FeedServiceAsyncStub
    committer: Committer
    store: PostgresFeedStore
    address: str
    size: int = 0
    """What is published."""

    async def published_size(self) -> int:
        return self.size

    async def append(self, *events: Event) -> int:
        """Make events durable; return the index of the first."""
        done = await self.committer.put([accept(to_message(event)) for event in events])
        assert await done == [Verdict.RECORDED] * len(events)
        return await self.head() - len(events)

    async def head(self) -> int:
        (row,) = await self.rows("SELECT next_index FROM countersign.head")
        return int(str(row[0]))

    async def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
            found = await connection.execute(query.encode(), values)
            return await found.fetchall() if found.description else []

    async def open(self, sink: str = "") -> tuple[str, feed_pb2.OpenSinkResponse]:
        """Open a sink, by default one that was never fed; return its name, too."""
        sink = sink or new_id()
        return sink, await self.stub.OpenSink(feed_pb2.OpenSinkRequest(sink=sink, description="ocsf out"))

    async def move(self, sink: str, run: str, next_index: int, *, release: bool = False) -> int:
        request = feed_pb2.MoveCursorRequest(sink=sink, session_id=run, next_index=next_index, release=release)
        return (await self.stub.MoveCursor(request)).next_index

    async def read(
        self, run: str, start: int, stop: int, *, bodies: bool = False
    ) -> list[feed_pb2.StreamPublishedResponse]:
        """Read pages from ``start`` until all below ``stop`` was sent."""
        request = feed_pb2.StreamPublishedRequest(from_index=start, bodies=bodies, session_id=run)
        stream = self.stub.StreamPublished(request, timeout=20)
        pages: list[feed_pb2.StreamPublishedResponse] = []
        async for page in stream:
            pages.append(page)
            if page.next_index >= stop:
                stream.cancel()
                break
        return pages

    async def expire(self, sink: str) -> None:
        """Let the time pass for which a sink is lent."""
        await self.rows("UPDATE countersign.sinks SET lent_until = now() - interval '1 s' WHERE name = %s", sink)


@pytest.fixture
async def rig(dsn: str) -> AsyncIterator[Rig]:
    append = PostgresAppendStore(dsn)
    await append.open()
    committer = Committer(append, queue_events=1_000, queue_bytes=2**26)
    running = asyncio.ensure_future(committer.run())
    store = PostgresFeedStore(dsn)
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    options = (("grpc.max_receive_message_length", 80 * 1024 * 1024),)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        one = Rig(dsn, feed_pb2_grpc.FeedServiceStub(channel), committer, store, f"127.0.0.1:{port}")
        feed = FeedServer(store, AuditTrail(committer), one.published_size)
        feed_pb2_grpc.add_FeedServiceServicer_to_server(feed, server)
        await server.start()
        yield one
        feed.drain()
    await server.stop(1)
    await committer.close(grace_s=1)
    await append.close()
    await store.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def indices(pages: Sequence[feed_pb2.StreamPublishedResponse]) -> list[int]:
    """Which events were sent."""
    return [one.event.index for page in pages for one in page.events]
