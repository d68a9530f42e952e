"""The recorder's feed, over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Protocol

import grpc

from countersign.api.recorder.v1 import feed_pb2, feed_pb2_grpc
from countersign.exports.facts import fact_of
from countersign.exports.ports import FeedAway, Page, Run, RunLost, SinkHeld
from countersign.runtime.trust import SERVICE_HEADER

CALL_S = 10.0
# The recorder sends something at least every ten seconds.
SILENCE_S = 30.0
_OPTIONS = (
    ("grpc.max_receive_message_length", 80 * 1024 * 1024),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.use_local_subchannel_pool", 1),
)


class _Reads(Protocol):
    """A stream's answers, one at a time."""

    async def read(self) -> object: ...


class RecorderFeed:
    """See ``Feed``. ``service_token`` is empty where the recorder's socket is ours alone."""

    def __init__(self, address: str, service_token: str = "") -> None:
        self._metadata = ((SERVICE_HEADER, service_token),) if service_token else ()
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._stub = feed_pb2_grpc.FeedServiceStub(self._channel)

    async def open(self, sink: str, description: str) -> Run:
        """See ``Feed.open``."""
        request = feed_pb2.OpenSinkRequest(sink=sink, description=description)
        try:
            opened = await self._stub.OpenSink(request, timeout=CALL_S, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
                raise SinkHeld from None
            raise _away(error) from None
        return Run(opened.session_id, opened.next_index)

    async def pages(self, run: Run, from_index: int, *, bodies: bool) -> AsyncGenerator[Page, None]:
        """See ``Feed.pages``. Ends when the recorder does; raises ``FeedAway`` when it fell silent."""
        request = feed_pb2.StreamPublishedRequest(from_index=from_index, bodies=bodies, session_id=run.session_id)
        stream = self._stub.StreamPublished(request, metadata=self._metadata)
        try:
            while isinstance(answer := await _next(stream), feed_pb2.StreamPublishedResponse):
                yield Page([fact_of(one) for one in answer.events], answer.next_index, answer.published_size)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.ABORTED:
                raise RunLost from None
            raise _away(error) from None
        finally:
            stream.cancel()

    async def move(self, sink: str, run: Run, next_index: int, *, release: bool = False) -> None:
        """See ``Feed.move``."""
        request = feed_pb2.MoveCursorRequest(
            sink=sink, next_index=next_index, session_id=run.session_id, release=release
        )
        try:
            await self._stub.MoveCursor(request, timeout=CALL_S, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.ABORTED:
                raise RunLost from None
            raise _away(error) from None

    async def sinks(self) -> feed_pb2.ListSinksResponse:
        """Return how far all sinks are. Raises ``FeedAway``."""
        try:
            return await self._stub.ListSinks(feed_pb2.ListSinksRequest(), timeout=CALL_S, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise _away(error) from None

    async def close(self) -> None:
        """Let go of the connection."""
        await self._channel.close()


async def _next(stream: _Reads) -> object:
    try:
        async with asyncio.timeout(SILENCE_S):
            return await stream.read()
    except TimeoutError:
        raise FeedAway("the recorder fell silent") from None


def _away(error: grpc.aio.AioRpcError) -> FeedAway:
    match error.code():
        case grpc.StatusCode.UNAUTHENTICATED:
            return FeedAway("the recorder belongs to a deployment with another sealing key")
        case grpc.StatusCode.DATA_LOSS:
            return FeedAway("the recorder misses an event of the record: see its log")
        case grpc.StatusCode.UNIMPLEMENTED:
            return FeedAway("the recorder is older than this command")
        case code:
            return FeedAway(f"the recorder does not answer ({code.name})")
