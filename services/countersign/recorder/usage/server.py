"""``UsageService``: authz follows what is counted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from types import MappingProxyType

import grpc

from countersign.api.access.v1 import usage_pb2, usage_pb2_grpc
from countersign.model.rule import Window
from countersign.recorder.usage.ports import Changes, UsageBucket, UsageStore
from countersign.runtime.postgres import DatabaseError

LOOK_EVERY_S = 0.3
HEARTBEAT_S = 1.0
MAX_WATCHERS = 64

_WINDOWS = MappingProxyType(
    {
        Window.MINUTE: usage_pb2.USAGE_WINDOW_MINUTE,
        Window.HOUR: usage_pb2.USAGE_WINDOW_HOUR,
        Window.DAY: usage_pb2.USAGE_WINDOW_DAY,
    }
)


class UsageServer(usage_pb2_grpc.UsageServiceServicer):
    """Sends each watcher what changed since it was last told, a page at a time: nothing is kept for it in between."""

    def __init__(self, store: UsageStore) -> None:
        self._store = store
        self._watchers = 0
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """End all streams with status OK; those who watch go on elsewhere."""
        self._draining.set()

    async def WatchUsage(
        self,
        request: usage_pb2.WatchUsageRequest,
        context: grpc.aio.ServicerContext[usage_pb2.WatchUsageRequest, usage_pb2.WatchUsageResponse],
    ) -> AsyncIterator[usage_pb2.WatchUsageResponse]:
        """See usage.proto. Silent while the database is away, so that those who watch know that they are not told."""
        if self._watchers >= MAX_WATCHERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"more than {MAX_WATCHERS} watch already")
        self._watchers += 1
        try:
            async for message in self._told(request.position):
                yield message
        finally:
            self._watchers -= 1

    async def _told(self, position: int) -> AsyncIterator[usage_pb2.WatchUsageResponse]:
        told_s = -HEARTBEAT_S
        while not self._draining.is_set():
            changes = await self._look(position)
            if changes is not None and (changes.newest != position or time.monotonic() - told_s >= HEARTBEAT_S):
                restarted = changes.newest < position
                if restarted:
                    # An older copy of the database was restored: what was told is of a future that is no more.
                    changes = await self._look(0)
                if changes is not None:
                    yield _message(changes, restarted=restarted)
                    told_s, position = time.monotonic(), changes.position
                    if position < changes.newest:
                        continue
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._draining.wait()

    async def _look(self, position: int) -> Changes | None:
        try:
            return await self._store.changes(position)
        except DatabaseError:
            return None  # the counter and the committer complain already


def _message(changes: Changes, *, restarted: bool) -> usage_pb2.WatchUsageResponse:
    return usage_pb2.WatchUsageResponse(
        buckets=[_bucket(one) for one in changes.buckets],
        position=changes.position,
        restarted=restarted,
        complete=changes.position >= changes.newest,
        time_us=changes.time_us,
        counted_until_us=changes.counted_until_us,
    )


def _bucket(one: UsageBucket) -> usage_pb2.UsageBucket:
    return usage_pb2.UsageBucket(
        key=one.key,
        window=_WINDOWS[one.window],
        bucket=one.bucket,
        calls=one.calls,
        rows=one.rows,
        bytes=one.size_bytes,
    )
