"""What goes to a client in order: kept until somebody reads it, and a while longer for who lost the connection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass

UNREAD_BYTES = 4 * 1024 * 1024
KEPT_EVENTS = 256
KEPT_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Event:
    """One message. ``number`` counts from 1 in its stream; ``last`` ends the stream, with the HTTP ``status`` it is."""

    number: int
    data: bytes
    last: bool = False
    status: int = 200


class Stream:
    """The messages that belong to one request, or to none.

    ``patient`` has whoever puts wait until the reader took most of what is there; else, and where nobody reads, what is
    too much is dropped, but never the last event. Only one reads at a time: the newest.
    """

    def __init__(self, number: int, *, patient: bool) -> None:
        self.number = number
        self.dropped = 0
        self.shown = False
        """Whether a client knows ids of its events, and so can come back to it."""
        self._patient = patient
        self._events: deque[Event] = deque()
        self._count = 0
        self._read = 0
        self._unread_bytes = 0
        self._readers = 0
        self._reader = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False

    @property
    def has_reader(self) -> bool:
        """Whether anybody reads it now."""
        return self._readers > 0

    @property
    def ended(self) -> bool:
        """Whether nothing comes any more."""
        return self._ended

    @property
    def kept_bytes(self) -> int:
        """How much it holds, read or not."""
        return sum(len(event.data) for event in self._events)

    async def put(self, data: bytes) -> None:
        """Add a message; it is dropped when the stream has ended, or nobody makes room."""
        while not self._ended and self._unread_bytes and self._unread_bytes + len(data) > UNREAD_BYTES:
            if not (self._patient and self._readers):
                self.dropped += 1
                return
            self._room.clear()
            await self._room.wait()
        if not self._ended:
            self._add(data, last=False, status=200)

    def finish(self, data: bytes, status: int = 200) -> None:
        """Add the last message."""
        if not self._ended:
            self._add(data, last=True, status=status)
            self.close()

    def close(self) -> None:
        """Let nothing more come."""
        self._ended = True
        self._wake.set()
        self._room.set()

    async def read(self, after: int = 0) -> AsyncGenerator[Event, None]:
        """Yield what comes after the event of this number, and end with the stream, or when somebody else reads."""
        self._readers += 1
        self._reader += 1
        mine = self._reader
        self._wake.set()
        try:
            while mine == self._reader:
                found = next((event for event in self._events if event.number > after), None)
                if found is not None:
                    after = found.number
                    yield found
                    self._taken(found)
                elif self._ended:
                    return
                else:
                    self._wake.clear()
                    await self._wake.wait()
        finally:
            self._readers -= 1
            self._room.set()

    def _add(self, data: bytes, *, last: bool, status: int) -> None:
        self._count += 1
        self._events.append(Event(self._count, data, last, status))
        self._unread_bytes += len(data)
        self._wake.set()

    def _taken(self, event: Event) -> None:
        if event.number > self._read:
            self._unread_bytes -= sum(
                len(each.data) for each in self._events if self._read < each.number <= event.number
            )
            self._read = event.number
        kept = sum(len(each.data) for each in self._events if each.number <= self._read)
        while self._events and self._events[0].number <= self._read:
            if len(self._events) <= KEPT_EVENTS and kept <= KEPT_BYTES:
                break
            kept -= len(self._events.popleft().data)
        self._room.set()
