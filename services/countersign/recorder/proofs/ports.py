"""What proofs need of a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from countersign.recorder.ports import SessionRow, StoredEvent


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf of the tree: an event's canonical JSON, verbatim."""

    index: int
    record: str


class LeafStore(Protocol):
    """The leaves, one by one or many in order. Every method raises ``DatabaseUnavailable``."""

    async def leaf(self, index: int) -> Leaf | None:
        """Return the leaf of an index, if there is one."""

    async def leaf_of(self, event_id: UUID) -> Leaf | None:
        """Return the leaf of an event, if there is one."""

    async def leaves(self, start: int, stop: int) -> Sequence[str]:
        """Return the leaves with ``start <= index < stop`` in order; fewer where some are missing."""

    async def mean_bytes(self, size: int) -> float:
        """Return how many bytes a leaf below ``size`` has on average, as far as a sample tells."""

    async def close(self) -> None:
        """Let go of all connections."""


class SessionStore(Protocol):
    """What is read of a session; see ``ReadStore``."""

    async def session(self, session_id: UUID) -> SessionRow | None:
        """See ``ReadStore``."""

    async def events(self, session_id: UUID, *, start: int, stop: int) -> list[StoredEvent]:
        """See ``ReadStore``."""
