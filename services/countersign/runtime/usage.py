"""What callers have used, as authz asks for it: told by the recorder, and counted here as calls pass."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterable, Callable
from contextlib import suppress
from types import MappingProxyType
from typing import Protocol

import grpc

from countersign.api.access.v1 import usage_pb2, usage_pb2_grpc
from countersign.model.principal import Principal
from countersign.model.rule import Window
from countersign.model.situation import Usage
from countersign.model.windows import Departure, usage_key
from countersign.runtime.channels import channel_options
from countersign.runtime.counts import MAX_BUCKETS, Counts
from countersign.runtime.trust import SERVICE_HEADER

log = logging.getLogger(__name__)

SILENCE_S = 10.0
"""Beyond this what is known is too old to judge by."""

# A time that differs by more from the database's is not believed. The counter believes events as far: see its SQL.
MAX_CLOCK_DIFFERENCE_US = 5_000_000
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 1.0
_PRUNED_AT_ONCE = 200

_CHANNEL_OPTIONS = channel_options()
_WINDOWS = MappingProxyType(
    {
        usage_pb2.USAGE_WINDOW_MINUTE: Window.MINUTE,
        usage_pb2.USAGE_WINDOW_HOUR: Window.HOUR,
        usage_pb2.USAGE_WINDOW_DAY: Window.DAY,
    }
)


class UsageSource(Protocol):
    """What the judge needs of usage: ``UsageView``, and what tests put in its place."""

    @property
    def fresh(self) -> bool:
        """Whether what is told can be judged by."""

    def of(self, principal: Principal, target: str, now_us: int) -> Usage:
        """Return what the principal had of the target."""

    def count_call(self, principal: Principal, target: str, now_us: int) -> None:
        """Count a call that is allowed."""

    def departures(self, principal: Principal, target: str, window: Window, now_us: int) -> tuple[Departure, ...]:
        """Return when the calls leave the window that it holds now."""


class UsageView:
    """Follows the recorder's counts over one long-lived stream, and adds the calls that pass here.

    Promises: ``of`` is never less than what this process let pass, nor than what the recorder told; with one authz it
    is exact for calls, several agree within about a second. While ``fresh`` is false, it may lack what others counted:
    calls that are judged by it must not pass then. Times are the caller's, in microseconds since the epoch; one that is
    more than 5 s off the clock of the database, which counts, is put right: a clock that jumps empties no window.
    """

    def __init__(
        self,
        address: str,
        *,
        service_token: str = "",
        monotonic_s: Callable[[], float] = time.monotonic,
        max_buckets: int = MAX_BUCKETS,
    ) -> None:
        self._address = address
        self._metadata = ((SERVICE_HEADER, service_token),) if service_token else ()
        self._monotonic_s = monotonic_s
        self._counts = Counts(max_buckets=max_buckets)
        self._position = 0
        self._taken = 0
        self._offset_us: int | None = None
        # What passed before this view began is known only when it is counted: by the database's clock.
        self._began_us: int | None = None
        self._good_until_s: float | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def fresh(self) -> bool:
        """Whether all that was recorded before this view began is counted in, and all until at most 10 seconds ago."""
        return self._good_until_s is not None and self._monotonic_s() <= self._good_until_s

    def of(self, principal: Principal, target: str, now_us: int) -> Usage:
        """Return what ``principal`` had of ``target`` in the windows that end at ``now_us``."""
        return self._counts.usage(_key(principal, target), self._aligned_us(now_us))

    def count_call(self, principal: Principal, target: str, now_us: int) -> None:
        """Count a call that is allowed and is no connection method.

        ``now_us`` must be the ``time_us`` of its event, so that both are the same call; and nothing may be awaited
        between ``of`` and this, so that calls that come at once do not all see the same count.
        """
        self._counts.add_call(_key(principal, target), self._aligned_us(now_us))

    def departures(self, principal: Principal, target: str, window: Window, now_us: int) -> tuple[Departure, ...]:
        """Return when the calls leave ``window`` that it holds now; for ``policy.rates.retry_after_s``."""
        return self._counts.departures(_key(principal, target), window, self._aligned_us(now_us))

    async def start(self) -> None:
        """Begin to follow, in the background."""
        self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """Stop following; what is known grows old."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        async with grpc.aio.insecure_channel(self._address, options=_CHANNEL_OPTIONS) as channel:
            stub = usage_pb2_grpc.UsageServiceStub(channel)
            while True:
                request = usage_pb2.WatchUsageRequest(position=self._position)
                before = self._taken
                stream = stub.WatchUsage(request, wait_for_ready=True, metadata=self._metadata)
                try:
                    await self._follow(stream)
                except grpc.aio.AioRpcError as error:
                    log.warning("the stream of usage broke: %s", error.code().name)
                finally:
                    stream.cancel()
                # A stream that carried nothing failed to begin: wait longer each time.
                wait_s = FIRST_WAIT_S if self._taken > before else min(wait_s * 2, LONGEST_WAIT_S)
                await asyncio.sleep(wait_s)

    async def _follow(self, stream: AsyncIterable[usage_pb2.WatchUsageResponse]) -> None:
        """Take in all messages until the stream ends or is silent for too long."""
        messages = aiter(stream)
        while True:
            try:
                async with asyncio.timeout(SILENCE_S):
                    message = await anext(messages)
            except (StopAsyncIteration, TimeoutError):
                return
            self.take(message)

    def take(self, message: usage_pb2.WatchUsageResponse) -> None:
        """Take in one message of the recorder."""
        now_s = self._monotonic_s()
        self._taken += 1
        self._offset_us = message.time_us - int(now_s * 1_000_000)
        began_us = message.time_us if self._began_us is None else min(self._began_us, message.time_us)
        self._began_us = began_us
        if message.restarted:
            self._good_until_s = None
            self._counts.forget_told()
        put = self._counts.put
        for one in message.buckets:
            if window := _WINDOWS.get(one.window):
                put(one.key, window, one.bucket, one.calls, one.rows, one.bytes)
        self._position = message.position
        if message.complete and message.counted_until_us >= began_us:
            behind_s = max(0, message.time_us - message.counted_until_us) / 1_000_000
            self._good_until_s = now_s + SILENCE_S - behind_s
        self._counts.prune(message.time_us, at_most=_PRUNED_AT_ONCE)

    def _aligned_us(self, now_us: int) -> int:
        if self._offset_us is None:
            return now_us
        # Not by the clock of the day, which is what is in doubt.
        true_us = int(self._monotonic_s() * 1_000_000) + self._offset_us
        return now_us if abs(now_us - true_us) <= MAX_CLOCK_DIFFERENCE_US else true_us


def _key(principal: Principal, target: str) -> bytes:
    return usage_key(principal.issuer, principal.subject, target)
