"""What the feed needs of others, and the shapes that it reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from countersign.recorder.ports import StoredEvent
from countersign.recorder.who import Who

PublishedSize = Callable[[], Awaitable[int]]
"""Returns the size of the latest published checkpoint, 0 before the first. Raises ``DatabaseError``."""


class SinkTaken(Exception):
    """Another run has the sink."""


class NotLent(Exception):
    """The run has no sink, or no longer: it was released, or another run has it since."""


class EventMissing(Exception):
    """An event that must be there is not; the argument is its index."""


@dataclass(frozen=True, slots=True)
class FedEvent:
    """An event, and whose session it belongs to."""

    stored: StoredEvent
    who: Who


@dataclass(frozen=True, slots=True)
class SinkRow:
    """How far a sink is."""

    name: str
    description: str
    next_index: int
    moved_at: datetime
    running: bool


class FeedStore(Protocol):
    """Sinks and events. Every method raises ``DatabaseUnavailable``."""

    async def lend(self, sink: str, description: str, run: UUID) -> int:
        """Lend a sink, new or known, to ``run`` for a while; return its cursor. Raises ``SinkTaken``."""

    async def move(self, sink: str, run: UUID, next_index: int, *, release: bool) -> int:
        """Raise the cursor to ``next_index`` unless it is beyond, and lend the sink on, or take it back.

        Durable when this returns the cursor. Raises ``NotLent``.
        """

    async def is_lent(self, run: UUID) -> bool:
        """Whether a sink is lent to ``run`` now."""

    async def sinks(self) -> list[SinkRow]:
        """Return all sinks that were ever fed, by name."""

    async def events(self, start: int, stop: int, *, bodies: bool) -> list[FedEvent]:
        """Return a page of the events from ``start``, in order, without a gap, all below ``stop``.

        At least one when there are any; bounded in number and, past the first, in bytes. Raises ``EventMissing``.
        """

    async def close(self) -> None:
        """Let go of all connections."""
