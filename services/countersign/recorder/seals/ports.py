"""What sealing needs to know of sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

IDLE, ENDED, REVOKED = "idle", "ended", "revoked"


@dataclass(frozen=True, slots=True)
class Due:
    """A session to be sealed, as it was when it was found: so many events, and why it is over."""

    session_id: UUID
    target: str
    event_count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """Sessions that are due. ``after`` is where to look next; ``None`` once all open ones were looked at."""

    due: Sequence[Due]
    after: int | None


@dataclass(frozen=True, slots=True)
class Struck:
    """Sessions that are due since whose they are was revoked; and the revocations that were looked at, with when each
    was made (microseconds since the epoch). Without any due, all sessions of those are sealed.
    """

    due: Sequence[Due]
    looked_at: Mapping[UUID, int]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Events of a session: those with ``start <= sequence < stop``."""

    session_id: UUID
    start: int
    stop: int


class SealStore(Protocol):
    """What is read of sessions to seal them. Every method raises ``DatabaseUnavailable``."""

    async def idle(self, since: datetime, *, after: int, looked_at: int, most: int) -> Found:
        """Find open sessions without an event since a time, by the recorders' clocks.

        Looks at ``looked_at`` open sessions at most, the oldest first, from the place ``after`` (at first -1) on.
        """

    async def ended(self, since: datetime, *, most: int) -> Sequence[Due]:
        """Find open sessions that their clients ended, and that have had no event since a time."""

    async def revoked(self, until_us: int, *, most: int) -> Struck:
        """Find open sessions of what was revoked before a time, and not settled: as far as a session's row can tell.

        Of revocations that spare tokens issued later, those are found that began before.
        """

    async def settled(self, revocations: Sequence[UUID]) -> None:
        """Have the sessions of these not looked for again."""

    async def leaves(self, parts: Sequence[Stretch]) -> Mapping[Stretch, bytes]:
        """Return the hashes of the leaves of each part, in order, 32 bytes each."""

    async def unanswered(self, sessions: Sequence[UUID]) -> Mapping[UUID, int]:
        """Return how many requests of each session were allowed, and have no answer; those without any are left out."""

    async def close(self) -> None:
        """Let go of all connections."""
