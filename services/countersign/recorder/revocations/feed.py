"""``RevocationFeedService``: the gateway's own services follow what is revoked, and bring what issuers tell."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import grpc

from countersign.api.access.v1 import revocations_pb2, revocations_pb2_grpc
from countersign.recorder.asked import BadQuestion
from countersign.recorder.audit import NotAudited
from countersign.recorder.revocations import asked
from countersign.recorder.revocations.book import RevocationBook
from countersign.recorder.revocations.events import By
from countersign.recorder.revocations.follower import Follower
from countersign.recorder.revocations.ports import MESSAGE_REVOCATIONS, News, RevocationStore, TooManyRevocations
from countersign.runtime.postgres import DatabaseError, DatabaseUnavailable
from countersign.runtime.revocations import KnownRevocations, NotUnderstood

log = logging.getLogger(__name__)

HEARTBEAT_S = 0.4
MAX_WATCHERS = 256


@dataclass(slots=True)
class _Told:
    """How far one stream is: nothing at first."""

    generation: int
    position: int = -1
    begun: int = -1
    anything: bool = False


class RevocationFeedServer(revocations_pb2_grpc.RevocationFeedServiceServicer):
    """Sends each watcher what changed since it was last told, a page at a time: nothing is kept for it in between."""

    def __init__(
        self, store: RevocationStore, follower: Follower, book: RevocationBook, *, clock_us: Callable[[], int]
    ) -> None:
        self._store = store
        self._follower = follower
        self._book = book
        self._clock_us = clock_us
        self._watchers = 0
        self._draining = False

    def drain(self) -> None:
        """End all streams with status OK; those who watch go on elsewhere."""
        self._draining = True
        self._follower.wake()

    async def WatchRevocations(
        self,
        request: revocations_pb2.WatchRevocationsRequest,
        context: grpc.aio.ServicerContext[
            revocations_pb2.WatchRevocationsRequest, revocations_pb2.WatchRevocationsResponse
        ],
    ) -> AsyncIterator[revocations_pb2.WatchRevocationsResponse]:
        """See revocations.proto. Silent while the database is away, so that those who watch know that."""
        if self._watchers >= MAX_WATCHERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"more than {MAX_WATCHERS} watch already")
        self._watchers += 1
        try:
            async for message in self._told():
                yield message
        finally:
            self._watchers -= 1

    async def keep(self, known: KnownRevocations) -> None:
        """Tell ``known``, in this process, what those who watch are told; until cancelled, or drained."""
        try:
            while not self._draining:
                known.begin()
                try:
                    async for message in self._told():
                        known.take(message)
                except NotUnderstood as error:
                    log.error("revocations are not understood, so nobody is let in: %s", error)  # noqa: TRY400
                    await asyncio.sleep(HEARTBEAT_S)
        finally:
            known.stop()

    async def ApplyRevocations(
        self,
        request: revocations_pb2.ApplyRevocationsRequest,
        context: grpc.aio.ServicerContext[
            revocations_pb2.ApplyRevocationsRequest, revocations_pb2.ApplyRevocationsResponse
        ],
    ) -> revocations_pb2.ApplyRevocationsResponse:
        """See revocations.proto."""
        try:
            heard = asked.heard(request, self._clock_us())
            if await self._store.heard(heard.telling):
                return revocations_pb2.ApplyRevocationsResponse(known=True)
            await self._book.take_back(heard.lifted, By())
            put = await self._book.revoke(heard.revoked, By(), heard.telling)
        except BadQuestion as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except TooManyRevocations:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, asked.TOO_MANY)
        except (NotAudited, DatabaseUnavailable):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "this cannot be kept and recorded now: try again")
        return revocations_pb2.ApplyRevocationsResponse(known=put.known)

    async def _told(self) -> AsyncIterator[revocations_pb2.WatchRevocationsResponse]:
        told = _Told(self._follower.generation)
        with self._follower.joined() as called:
            while not self._draining:
                called.clear()
                if self._follower.knows:
                    if told.generation != self._follower.generation:
                        told = _Told(self._follower.generation, anything=told.anything)
                    messages = await self._next(told)
                    for message in messages:
                        yield message
                    if messages and not messages[-1].whole:
                        continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT_S):
                        await called.wait()

    async def _next(self, told: _Told) -> Sequence[revocations_pb2.WatchRevocationsResponse]:
        """Return what to tell next: a sign of life when there is nothing new, nothing while that cannot be known."""
        if told.position == self._follower.newest:
            return [revocations_pb2.WatchRevocationsResponse(whole=True)]
        try:
            news = await self._store.news(told.position, told.begun)
            if news.gap:
                told.position = -1
                news = await self._store.news(-1, -1)
        except DatabaseError:
            return ()  # the follower complains already
        if news.newest < self._follower.newest:
            # Readers may be connected to a copy that lags behind: it must not tell that nothing is new.
            return ()
        restarted = told.anything and told.position < 0
        if told.position < 0:
            told.begun = news.newest
        told.position = news.position
        told.anything = True
        return _messages(news, restarted=restarted)


def _messages(news: News, *, restarted: bool) -> list[revocations_pb2.WatchRevocationsResponse]:
    told = [asked.told(one) for one in news.revoked]
    slices = [told[start : start + MESSAGE_REVOCATIONS] for start in range(0, len(told), MESSAGE_REVOCATIONS)] or [[]]
    messages = [revocations_pb2.WatchRevocationsResponse(revocations=some) for some in slices]
    messages[0].restarted = restarted
    messages[-1].lifted.extend(news.lifted)
    messages[-1].whole = news.position >= news.newest
    return messages
