"""What keeping needs of a database, and the words that it speaks in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from uuid import UUID

ON_HOLD = 0
"""The shelf of bodies on hold that outlived their month."""

MOST_HOLDS = 1_000
"""Holds in force at once; who needs more holds principals in place of sessions."""


@dataclass(frozen=True, slots=True)
class Retention:
    """For how many days bodies are kept, by target or else ``default_days``; ``None`` is for ever."""

    default_days: int | None = None
    days: Mapping[str, int | None] = field(default_factory=dict)

    def of(self, target: str) -> int | None:
        """For how many days bodies of a target are kept; one that gateway.yaml does not name is kept as the default."""
        return self.days.get(target, self.default_days)


@dataclass(frozen=True, slots=True)
class Shelf:
    """The bodies of one target (empty: of what gateway.yaml did not name) in one month (UTC; its first day)."""

    shelf: int
    target: str
    month: date
    erased_at: datetime | None
    size_bytes: int

    def due_at(self, retention: Retention) -> datetime | None:
        """When all of the month is older than its retention; ``None``: never."""
        days = retention.of(self.target)
        if self.shelf == ON_HOLD or days is None:
            return None
        ends = date(self.month.year + self.month.month // 12, self.month.month % 12 + 1, 1)
        return datetime(ends.year, ends.month, ends.day, tzinfo=UTC) + timedelta(days=days)


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure of one shelf. ``ended_us`` is ``None`` until the bodies are gone, or it was called off.

    ``kept_days`` is what retention said, ``None`` for bodies that were only on hold. ``held`` bodies stayed. Times are
    microseconds since the epoch.
    """

    erasure_id: UUID
    shelf: int
    target: str
    month: date
    kept_days: int | None
    begun_us: int
    outcome: str = ""
    ended_us: int | None = None
    bodies: int = 0
    size_bytes: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Hold:
    """Of a session (and those that it goes on from, and that go on from it), or of all sessions of a principal."""

    hold_id: UUID
    session_id: UUID | None
    issuer: str
    subject: str
    reason: str
    placed_by: str
    placed_at: datetime


class NotThere(Exception):
    """There is no such session or hold; the message says which of the two."""


class TooManyHolds(Exception):
    """As many holds as may be are in force."""


class HeldShelves(Protocol):
    """The one keeper at work: each method is a transaction of its own, durable when it returns.

    All raise ``DatabaseUnavailable``.
    """

    async def now_us(self) -> int:
        """Return the database's own time, in microseconds since the epoch."""

    async def kept(self) -> Sequence[Shelf]:
        """Return the shelves that are not erased, without that of what is on hold. Sizes are not looked at."""

    async def under_way(self) -> Sequence[Erasure]:
        """Return the erasures that have begun and of which the record does not tell yet how they ended."""

    async def released(self) -> bool:
        """Whether bodies on shelf ``ON_HOLD`` are held by nobody any more; remembers when there are none."""

    async def begin(self, erasure: Erasure) -> None:
        """Remember that an erasure begins; nothing is gone yet."""

    async def erase(self, erasure: Erasure, now_us: int) -> Erasure:
        """Erase, but for what is held; return how it ended. A second time, only return that."""

    async def call_off(self, erasure: Erasure, now_us: int) -> Erasure:
        """End an erasure before anything is gone."""

    async def retime(self, erasure: Erasure, now_us: int) -> Erasure:
        """Have the last step that the record was to be told of happen now; return the erasure so."""

    async def wipe(self) -> None:
        """Let go of the space of what was erased from shelf ``ON_HOLD``."""

    async def told(self, erasure: Erasure) -> None:
        """Remember that the record tells how it ended."""


class KeepingStore(Protocol):
    """Where shelves and holds are. All raise ``DatabaseUnavailable``."""

    def turn(self) -> AbstractAsyncContextManager[HeldShelves | None]:
        """Be the one keeper while inside; ``None`` when another is at work."""

    async def shelves(self) -> Sequence[Shelf]:
        """Return all shelves, the newest month first, with their sizes."""

    async def holds(self) -> Sequence[Hold]:
        """Return the holds in force, the oldest first."""

    def placing(self, hold: Hold) -> AbstractAsyncContextManager[None]:
        """Have the hold in force when the block is left without an error. Raises ``NotThere``, ``TooManyHolds``."""

    def releasing(self, hold_id: UUID, at: datetime) -> AbstractAsyncContextManager[Hold]:
        """Have the hold gone when the block is left without an error; gives it. Raises ``NotThere``."""

    async def close(self) -> None:
        """Let go of the database."""


Clock = Callable[[], int]
"""Microseconds since the epoch."""
