"""What searching needs of a store, and the shapes that it reads from one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from countersign.recorder.search.query import Query


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events to find; all that are set must hold. Times in microseconds since the epoch, texts ``searchable``."""

    since_us: int | None = None
    until_us: int | None = None
    issuer: str = ""
    subject: str = ""
    group: str = ""
    principal_kind: str = ""
    target: str = ""
    method: str = ""
    name: str = ""
    outcome: int = 0
    rule: str = ""
    approval_id: str = ""
    label: str = ""
    relation: str = ""
    session_id: UUID | None = None
    call_id: UUID | None = None
    kinds: tuple[int, ...] = ()
    text: Query | None = None


@dataclass(frozen=True, slots=True)
class Extent:
    """How far the record goes: all below ``indexed`` is in the index, all below ``head`` is durable."""

    indexed: int
    head: int


@dataclass(frozen=True, slots=True)
class Span:
    """Where events are looked for: indices, and the shelves that their bodies may be on, where that is known."""

    start: int
    stop: int
    shelves: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Candidates:
    """Where what is wanted may be, the newest first; from ``reached`` on it is nowhere else."""

    spans: Sequence[Span]
    reached: int


@dataclass(frozen=True, slots=True)
class Found:
    """An event as it is kept, without its body. ``shelf`` is where that is, ``None`` when there is none."""

    index: int
    sequence: int
    recorded_at: datetime
    record: str
    shelf: int | None
    body_erased: bool


@dataclass(frozen=True, slots=True)
class Bodies:
    """The bodies of some events by index: those that there are, and are not too much in sum. ``cut`` names the first
    one that was too much."""

    by_index: dict[int, bytes] = field(default_factory=dict)
    cut: int | None = None


class SearchStore(Protocol):
    """What is read to find events. Every method raises ``DatabaseUnavailable``."""

    async def extent(self) -> Extent:
        """Return how far the record goes now."""

    async def span(self, wanted: Wanted) -> range:
        """Return indices outside of which no event has a time that is wanted; without end when none is told."""

    async def candidates(self, wanted: Wanted, *, low: int, high: int, at_most: int) -> Candidates:
        """Return where to look in ``low <= index < high``, which is indexed: at most so many spans."""

    async def events(self, wanted: Wanted, within: Sequence[Span], *, newest_first: bool, at_most: int) -> list[Found]:
        """Return the events of the spans that are wanted as far as columns tell; their records may tell more."""

    async def bodies(self, events: Sequence[Found], *, first_bytes: int | None = None) -> Bodies:
        """Return the bodies of some events, in their order; with ``first_bytes`` only so much of each.

        Whole bodies are bounded in sum: the first comes in any case. What is erased, or cannot be read, is left
        out.
        """

    async def close(self) -> None:
        """Let go of all connections."""


class IndexStore(Protocol):
    """Where blocks of events are indexed, each once, whoever asks. Raises ``DatabaseError``."""

    async def index(self, at_most: int) -> int | None:
        """Index up to so many blocks more; return how many are left, or ``None`` when another recorder indexes."""

    async def close(self) -> None:
        """Let go of all connections."""
