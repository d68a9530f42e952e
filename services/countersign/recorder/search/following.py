"""Following the record as it grows: one look at its head for all who follow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass

from countersign.recorder.replaying import LONGEST_S
from countersign.recorder.search.finder import exact, matching
from countersign.recorder.search.ports import Found, SearchStore, Span, Wanted
from countersign.runtime.postgres import DatabaseError

LOOK_EVERY_S = 0.25
HEARTBEAT_S = 5.0
CATCH_UP_PAUSE_S = 0.01
WALK_EVENTS = 1_000
PAGE_EVENTS = 200


class Shorter(Exception):
    """The record ends before what was sent: an older copy of the database was restored."""


@dataclass(frozen=True, slots=True)
class Step:
    """Events that were found, in order, and the index below which all was looked at."""

    events: list[Found]
    next_index: int


class Head:
    """How far the record goes, looked at for as long as anybody waits for more."""

    def __init__(self, store: SearchStore, *, every_s: float = LOOK_EVERY_S) -> None:
        self._store = store
        self._every_s = every_s
        self._index: int | None = None
        self._waiting = 0
        self._awaited = asyncio.Event()
        self._looked = asyncio.Event()
        self.draining = False

    async def run(self) -> None:
        """Look until cancelled, while anybody waits."""
        while True:
            await self._awaited.wait()
            self._index = None
            with suppress(DatabaseError):
                self._index = (await self._store.extent()).head
            self._tell()
            await asyncio.sleep(self._every_s)

    def drain(self) -> None:
        """Let all who wait go."""
        self.draining = True
        self._tell()

    async def beyond(self, index: int, *, within_s: float) -> int | None:
        """Return how far the record goes once that is beyond ``index``, or whatever it is when the time is over.

        ``None`` when the database does not tell, and when draining.
        """
        self._waiting += 1
        self._awaited.set()
        try:
            async with asyncio.timeout(within_s):
                while not self.draining:
                    await self._looked.wait()
                    if self._index is not None and self._index > index:
                        return self._index
        except TimeoutError:
            return self._index
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._awaited.clear()
        return None

    def _tell(self) -> None:
        self._looked.set()
        self._looked = asyncio.Event()


async def steps(
    store: SearchStore, head: Head, wanted: Wanted, start: int, *, heartbeat_s: float = HEARTBEAT_S
) -> AsyncGenerator[Step, None]:
    """Yield what is wanted from ``start`` on, without a gap, and about every ``heartbeat_s`` how far it has come.

    Ends when the head drains, and after ``LONGEST_S``: who asked has to show again who they are. Raises ``Shorter``,
    ``DatabaseUnavailable``.
    """
    position, ends_s = start, time.monotonic() + LONGEST_S

    def over() -> bool:
        return head.draining or time.monotonic() >= ends_s

    while not over():
        reached = await head.beyond(position, within_s=heartbeat_s)
        if reached is not None and reached < position:
            raise Shorter
        while reached is not None and position < reached and not over():
            events, position = await _walk(store, wanted, position, min(reached, position + WALK_EVENTS))
            yield Step(events, position)
            # Who is far behind goes through the whole record: the recorder has other things to do.
            await asyncio.sleep(CATCH_UP_PAUSE_S)
        if reached is None or position >= reached:
            yield Step([], position)


async def _walk(store: SearchStore, wanted: Wanted, start: int, stop: int) -> tuple[list[Found], int]:
    rows = await store.events(wanted, [Span(start, stop)], newest_first=False, at_most=PAGE_EVENTS)
    # A full page may have left something behind.
    reached = rows[-1].index + 1 if len(rows) == PAGE_EVENTS else stop
    return (rows if exact(wanted) else await matching(store, wanted, rows)), reached
