"""What revoking needs of a database, and the words that it speaks in."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from countersign.model.revocation import Revocation, RevocationKind

MOST_IN_FORCE = 200_000
KEPT_FOR_OPERATORS = 10
"""One in so many is kept for operators: an issuer that tells without end must not keep them from revoking."""
PAGE_REVOCATIONS = 2_000
MESSAGE_REVOCATIONS = 300
"""As many of the longest that there can be fit into a message of gRPC's default size."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """A revocation, and who made it: an operator; or an issuer, without a subject, and ``source`` heard of it."""

    revocation: Revocation
    by_issuer: str
    by_subject: str = ""
    source: str = ""

    def covers(self, other: Revoked) -> bool:
        """Whether nothing is struck by ``other``, of the same name, that this one does not strike for as long.

        Not what another hand made: who lifts this one must not let in whom somebody else wanted out. Operators are one
        hand, and so is each issuer by each way in which it tells.
        """
        if self.source != other.source or (self.source and self.by_issuer != other.by_issuer):
            return False
        mine, theirs = self.revocation, other.revocation
        earlier = mine.issued_before_s is not None and (
            theirs.issued_before_s is None or theirs.issued_before_s > mine.issued_before_s
        )
        shorter = mine.until_us != 0 and (theirs.until_us == 0 or theirs.until_us > mine.until_us)
        return not earlier and not shorter


@dataclass(frozen=True, slots=True)
class Untold:
    """What the record is still to be told of a revocation: ``event`` is the bytes of the event's message."""

    event_id: UUID
    revocation_id: str
    lifts: bool
    event: bytes


@dataclass(frozen=True, slots=True)
class Proposal:
    """A revocation to be made, and what to tell the record when it is new."""

    revoked: Revoked
    untold: Untold


@dataclass(frozen=True, slots=True)
class Telling:
    """What one telling of an issuer's is known by: our service that heard it, and a digest of what tells it apart."""

    source: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Put:
    """What is in force of what was wanted, and what the record is to be told; ``known``: it was taken in before."""

    in_force: tuple[Revoked, ...] = ()
    untold: tuple[Untold, ...] = ()
    known: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """What changed after a version: a page of it, and the version behind it.

    ``newest`` is the version of the newest change when it was read. ``gap``: what was lifted meanwhile is forgotten, or
    the version asked for never was; then all is to be told anew.
    """

    revoked: tuple[Revoked, ...]
    lifted: tuple[str, ...]
    position: int
    newest: int
    gap: bool = False


class NotInForce(Exception):
    """There is no such revocation in force."""


def room_for(most: int, telling: Telling | None) -> int:
    """Return how many may be in force when one more is made: fewer for what an issuer tells."""
    return most if telling is None else most - max(1, most // KEPT_FOR_OPERATORS)


class TooManyRevocations(Exception):
    """As many revocations as may be are in force."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest change: its version, and what it was about, if that can be told."""

    version: int
    revocation_id: str | None = None


class Eye(Protocol):
    """One connection that looks for changes. All methods raise ``DatabaseUnavailable``."""

    async def newest(self) -> Newest:
        """Return the newest change."""

    async def holds(self, newest: Newest) -> bool:
        """Whether this was the newest change here once, too: then all before it is the same."""

    async def notified(self, within_s: float) -> None:
        """Return when a change was told since ``newest`` was asked, or after a time."""


class RevocationStore(Protocol):
    """Where revocations are. Every change is one transaction. All raise ``DatabaseUnavailable``."""

    async def put(self, proposals: Sequence[Proposal], now_us: int, telling: Telling | None = None) -> Put:
        """Have all of them in force when it returns, and remember the telling; nothing when it was known.

        What others that are in force cover is not made again; what issuers told before of the same is replaced where
        what they tell now covers it. Raises ``TooManyRevocations``: then nothing was done.
        """

    async def heard(self, telling: Telling) -> bool:
        """Whether a telling was taken in."""

    async def lifting(self, untold: Untold, now_us: int) -> Untold:
        """Remember that a revocation is to be lifted; return what is to be told first, ``untold`` or an earlier one.

        It is in force until ``told``. Raises ``NotInForce``.
        """

    async def told(self, untold: Untold) -> None:
        """Note that the record was told, and lift what is to be lifted."""

    async def untold(self, revocation_ids: Sequence[str]) -> Sequence[Untold]:
        """Return what the record is still to be told of these."""

    async def overdue(self, older_than_s: float, most: int) -> Sequence[Untold]:
        """Return what the record should have been told for some time, the oldest first."""

    async def recorded(self, event_id: UUID) -> bool:
        """Whether the record has an event."""

    async def get(self, revocation_id: str, now_us: int) -> Revoked | None:
        """Return one that is in force."""

    async def find(self, kind: RevocationKind, issuer: str, value: str) -> Sequence[Revoked]:
        """Return those in force of a name."""

    async def page(
        self, issuer: str, value: str, *, before: tuple[int, UUID] | None, limit: int, now_us: int
    ) -> Sequence[Revoked]:
        """Return those in force, the newest first, below ``before`` (when it was revoked, and its id)."""

    async def news(self, after: int, begun: int) -> News:
        """Return a page of what changed after a version; -1: of all that is in force.

        ``begun`` is what was newest when the first page of all that is in force was read.
        """

    async def sweep(self, most: int) -> int:
        """Lift some that lapsed, and forget what was lifted or heard long ago; return how many rows it was about."""

    def eye(self) -> AbstractAsyncContextManager[Eye]:
        """Open a connection that looks for changes."""

    async def close(self) -> None:
        """Let go of the database."""
