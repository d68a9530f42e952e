"""What counting needs of a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from countersign.model.rule import Window


@dataclass(frozen=True, slots=True)
class UsageBucket:
    """All that is counted for a key (see ``model.windows.usage_key``) in one bucket of a window (see its ``TIERS``)."""

    key: bytes
    window: Window
    bucket: int
    calls: int
    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Changes:
    """The buckets that changed after a position, in the order of their last change, and the position behind them.

    ``newest`` is the position behind all changes that there are: more follow while ``position`` is before it. Times are
    the store's clock in microseconds since the epoch; all that was recorded before ``counted_until_us`` is counted.
    """

    buckets: tuple[UsageBucket, ...]
    position: int
    newest: int
    time_us: int
    counted_until_us: int


class UsageStore(Protocol):
    """Counts each recorded event exactly once, whoever asks and however often. Raises ``DatabaseError``."""

    async def count(self, at_most: int) -> int | None:
        """Count up to ``at_most`` events more; return how many are left, or ``None`` when another recorder counts."""

    async def prune(self, at_most: int) -> int:
        """Forget up to ``at_most`` buckets that no window holds any more; return how many."""

    async def changes(self, position: int) -> Changes:
        """Return a page of what changed after ``position``: at least one bucket while there are any, at most 8,000."""

    async def close(self) -> None:
        """Let go of all connections."""
