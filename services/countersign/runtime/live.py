"""What goes on for callers now: open answers, held calls, streams. Each ends when its caller is revoked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Self, TypeVar

from countersign.model.principal import Principal
from countersign.runtime.revocations import Ended, Revocations, check

_T = TypeVar("_T")


class Live:
    """All that goes on in a process, ended when ``revocations`` says so. ``now_us``: microseconds since the epoch."""

    def __init__(self, revocations: Revocations, now_us: Callable[[], int]) -> None:
        self._revocations = revocations
        self._now_us = now_us
        self._holds: set[Hold] = set()
        revocations.on_change(self._look)

    def __len__(self) -> int:
        return len(self._holds)

    def hold(self) -> Hold:
        """Return what ends its ``with`` block from outside; see ``Hold``."""
        return Hold(self)

    def check(self, principal: Principal, session_id: str = "") -> None:
        """Return when it may go on for this caller. Raises ``Revoked``, ``NotKnown``."""
        check(self._revocations, principal, self._now_us(), session_id)

    async def until_ended(self, principal: Principal, source: AsyncGenerator[_T, None]) -> AsyncGenerator[_T, None]:
        """Yield what ``source`` yields. Raises ``Ended`` as soon as its caller is revoked, also while it waits."""
        async with aclosing(source):
            while True:
                with self.hold() as hold:
                    hold.of(principal)
                    try:
                        item = await anext(source)
                    except StopAsyncIteration:
                        return
                yield item

    def add(self, hold: Hold) -> None:
        """For ``Hold`` alone."""
        self._holds.add(hold)

    def discard(self, hold: Hold) -> None:
        """For ``Hold`` alone."""
        self._holds.discard(hold)

    def _look(self) -> None:
        for hold in tuple(self._holds):
            try:
                hold.check()
            except Ended as ended:
                hold.end(ended)


class Hold:
    """A ``with`` block that raises ``Ended``, wherever it waits, once its caller is revoked or that cannot be told.

    Works as ``asyncio.timeout`` does: the block's task is cancelled, and the cancellation becomes ``Ended`` at the end
    of the block. Until ``of`` says whose it is, nothing ends it.

    A gRPC handler sends its initial metadata, with a first message, ``whole``: where the very write that carries them
    is cancelled, grpc.aio (1.85) forgets that it sent them, sends them again with the status, and fails.
    """

    def __init__(self, live: Live) -> None:
        self._live = live
        self._whose: tuple[Principal, str] | None = None
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._ended: Ended | None = None
        self._bears = False
        self._cancelled = False

    def of(self, principal: Principal, session_id: str = "") -> None:
        """Say whose it is. Raises ``Revoked``, ``NotKnown``: then it must not even begin."""
        self._live.check(principal, session_id)
        self._whose = (principal, session_id)
        self._live.add(self)

    def check(self) -> None:
        """Return when it may go on. Raises ``Revoked``, ``NotKnown``."""
        if self._whose is not None:
            self._live.check(*self._whose)

    def end(self, ended: Ended) -> None:
        """End it from outside: its block raises ``ended``."""
        self._live.discard(self)
        if self._ended is None and self._task is not None:
            self._ended = ended
            if not self._bears:
                self._cancelled = True
                self._task.cancel()

    async def whole(self, step: Awaitable[object]) -> None:
        """Within the block: await a short step to its end, whatever ends the block meanwhile. Raises ``Ended`` then."""
        self._bears = True
        try:
            await step
        finally:
            self._bears = False
        if self._ended is not None:
            raise self._ended

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        if self._task is None:
            raise RuntimeError("only a task can be ended from outside")
        self._cancelling = self._task.cancelling()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._live.discard(self)
        task, self._task = self._task, None
        if self._ended is None or task is None or error is self._ended:
            return
        # Whoever cancelled it as well gets what they asked for.
        left = task.uncancel() if self._cancelled else task.cancelling()
        if left <= self._cancelling or kind is not asyncio.CancelledError:
            raise self._ended from error
