"""What the keeping of handles needs of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from countersign.recorder.handles.shares import Bounds, Share

HASH_BYTES = 16

MOST_IN_SCOPE = 10_000
"""How many handles of one kind one session, or one principal at one target, can have at a time."""

LONGEST_LIFETIME_US = 30 * 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class HashedHandle:
    """One handle; see ``handles.proto``."""

    scope: bytes
    mark: bytes
    what: str = ""
    lifetime_us: int = LONGEST_LIFETIME_US
    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class HashedOwner:
    """Which target shows handles to which principal, and the masks of the call that it answers."""

    target: bytes
    principal: bytes
    masks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownHandle:
    """What is kept of a handle; the masks are in order."""

    what: str = ""
    masks: tuple[str, ...] = ()


class HandleStore(Protocol):
    """Keeps handles by scope. All of them raise ``DatabaseError``; times are the store's own."""

    async def keep(self, owner: HashedOwner, handles: Sequence[HashedHandle]) -> None:
        """Make handles durable; those that are kept already begin a new life, and lose no mask."""

    async def find(self, handles: Sequence[HashedHandle]) -> Sequence[KnownHandle | None]:
        """Return what is known of each handle that is kept and has not expired, ``None`` for any other."""

    async def take(self, handles: Sequence[HashedHandle]) -> bool:
        """Take different handles for their answers, all or none; whether they were there.

        What was taken for an answer can be taken for the same one again, and for no other.
        """

    async def spend(self, handles: Sequence[HashedHandle]) -> bool:
        """Remove different handles that were taken for their answers, all or none; whether they were there.

        Of several who ask at once one is told so.
        """

    async def drop(self, scope: bytes) -> None:
        """Remove all handles of a scope."""

    async def has_ended(self, session_id: str, call_id: str) -> bool:
        """Whether the record holds the answer to a call of this session, or of one that goes on from it.

        One that broke off, that came too late or that nobody waited for is none: its target may still be at it.
        """

    async def sweep(self, at_most: int) -> int:
        """Remove up to ``at_most`` handles that have expired; return how many."""

    async def held(self) -> int:
        """Return how many handles there are."""

    async def crowded(self, least: Bounds) -> Mapping[Share, int]:
        """Return how many handles each share holds, of those shares that hold at least so many."""

    async def close(self) -> None:
        """Let go of all connections."""
