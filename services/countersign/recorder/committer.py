"""The bounded queue before the store, and the one loop that empties it in groups."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from countersign.recorder.entry import Entry, Settled, Verdict
from countersign.recorder.ports import AppendStore, Unstorable
from countersign.runtime.postgres import DatabaseError

log = logging.getLogger(__name__)

GROUP_EVENTS = 2_000
GROUP_BYTES = 16 * 1024 * 1024
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 2.0
PING_EVERY_S = 2.0


class Closed(Exception):
    """The recorder is stopping; what was not acknowledged may or may not have been recorded."""


class Stopped(Closed):
    """The log is not whole: nothing is recorded until an operator has seen to it. The message says why."""


class Gate(Protocol):
    """Whether events may be recorded now: asked before every commit."""

    @property
    def stopped(self) -> str:
        """Why nothing is recorded until an operator has seen to it; empty when all is well, as far as is known."""

    async def passed(self, events: int) -> None:
        """Return when ``events`` more may be recorded."""

    def doubt(self) -> None:
        """The connection to the store was lost: what answers next may not be what it was."""


class OpenGate:
    """Lets everything pass: for a record without a log beside it, in tests."""

    stopped = ""

    async def passed(self, events: int) -> None:
        """See ``Gate``."""

    def doubt(self) -> None:
        """See ``Gate``."""


@dataclass(frozen=True, slots=True)
class _Batch:
    entries: Sequence[Entry]
    size_bytes: int
    done: asyncio.Future[list[Settled]]


class Committer:
    """Group commit without a timer: what queued while the last commit ran is the next group.

    Promises: a batch's future gets its verdicts only after the commit that made its entries durable. Batches are
    committed in the order in which they were taken. While the store is away nothing is dropped: the same group is tried
    again, and ``put`` waits once ``queue_events`` or ``queue_bytes`` are held (a single batch may be larger than the
    whole queue; it then waits for an empty one). Nothing is committed while the ``gate`` is closed.
    """

    def __init__(
        self,
        store: AppendStore,
        *,
        queue_events: int,
        queue_bytes: int,
        gate: Gate | None = None,
    ) -> None:
        self._store = store
        self._gate = gate or OpenGate()
        self._queue_events = queue_events
        self._queue_bytes = queue_bytes
        self._available = False
        self._closed = False
        self._events = 0
        self._bytes = 0
        self._wait_s = FIRST_WAIT_S
        self._complaint = ""
        self._queue: deque[_Batch] = deque()
        self._under_way: list[_Batch] = []
        self._filled = asyncio.Event()
        self._freed = asyncio.Event()
        self._idle = asyncio.Event()
        self._turn = asyncio.Lock()

    @property
    def available(self) -> bool:
        """Whether the store answered when it was last asked; it is asked at least every two seconds."""
        return self._available

    @property
    def queue_depth(self) -> int:
        """How many events are held and not yet durable."""
        return self._events

    @property
    def queue_size_bytes(self) -> int:
        """About how many bytes are held by events that are not yet durable."""
        return self._bytes

    async def put(self, entries: Sequence[Entry]) -> asyncio.Future[list[Settled]]:
        """Take a batch as soon as there is room, first come first served; its future is done when it is durable.

        Raises ``Closed``, as the future does; ``Stopped`` at once when the log is.
        """
        if why := self._gate.stopped:
            raise Stopped(why)
        size = sum([entry.size_bytes for entry in entries])
        async with self._turn:
            while not self._closed and not self._has_room(len(entries), size):
                self._freed.clear()
                await self._freed.wait()
            if self._closed:
                raise Closed
            done: asyncio.Future[list[Settled]] = asyncio.get_running_loop().create_future()
            self._events += len(entries)
            self._bytes += size
            self._queue.append(_Batch(entries, size, done))
            self._filled.set()
            return done

    def _has_room(self, events: int, size: int) -> bool:
        return self._events == 0 or (
            self._events + events <= self._queue_events and self._bytes + size <= self._queue_bytes
        )

    async def run(self) -> None:
        """Commit group after group until ``close``.

        When this ends, however it ends, everything that is still queued has failed with ``Closed``.
        """
        try:
            while self._queue or not self._closed:
                if self._queue:
                    await self._commit(self._next_group())
                elif not await self._filled_within(PING_EVERY_S if self._available else self._wait_s):
                    self._note(await self._answers())
        finally:
            self._closed = True
            self._freed.set()
            self._idle.set()
            self._fail()

    async def close(self, *, grace_s: float) -> None:
        """Take nothing more, and give what is queued ``grace_s`` to become durable."""
        self._closed = True
        self._freed.set()
        self._filled.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._idle.wait()

    async def _filled_within(self, wait_s: float) -> bool:
        self._filled.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                return await self._filled.wait()
        return False

    async def _answers(self) -> bool:
        try:
            await self._store.ping()
        except DatabaseError as error:
            self._gate.doubt()
            self._complain(error)
            return False
        return True

    async def _commit(self, group: list[_Batch]) -> None:
        self._under_way = group
        verdicts = iter(await self._durable([entry for batch in group for entry in batch.entries]))
        self._under_way = []
        for batch in group:
            settled = list(islice(verdicts, len(batch.entries)))
            if not batch.done.done():
                batch.done.set_result(settled)
            self._events -= len(batch.entries)
            self._bytes -= batch.size_bytes
        self._freed.set()

    async def _durable(self, entries: Sequence[Entry]) -> list[Settled]:
        """Try until the store has committed; find the entries that it refuses for ever by halving."""
        while True:
            try:
                if not self._available:
                    # Connects, and makes the tables that the gate looks at.
                    await self._store.ping()
                    self._note(True)
                await self._gate.passed(len(entries))
                verdicts = await self._store.append(entries)
            except DatabaseError as error:
                self._gate.doubt()
                self._complain(error)
                self._note(False)
                await asyncio.sleep(self._wait_s)
            except Unstorable as error:
                if len(entries) == 1:
                    log.warning("event refused: %s", error, extra={"event_id": str(entries[0].event_id)})
                    return [Verdict.UNSTORABLE]
                middle = len(entries) // 2
                return await self._durable(entries[:middle]) + await self._durable(entries[middle:])
            else:
                self._note(True)
                return verdicts

    def _complain(self, error: DatabaseError) -> None:
        if self._available or str(error) != self._complaint:
            log.error("the record is not available: %s", error)
        self._complaint = str(error)

    def _note(self, available: bool) -> None:
        self._wait_s = FIRST_WAIT_S if available else min(self._wait_s * 2, LONGEST_WAIT_S)
        if available != self._available:
            self._available = available
            if available:
                log.info("the record is available")

    def _fail(self) -> None:
        for batch in (*self._under_way, *self._queue):
            if not batch.done.done():
                batch.done.set_exception(Closed())
        self._queue.clear()

    def _next_group(self) -> list[_Batch]:
        group: list[_Batch] = []
        events = size = 0
        while self._queue:
            batch = self._queue[0]
            events += len(batch.entries)
            size += batch.size_bytes
            if group and (events > GROUP_EVENTS or size > GROUP_BYTES):
                break
            group.append(self._queue.popleft())
        return group
