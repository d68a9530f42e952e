"""What the keeping of tokens needs of a store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

MARK_BYTES, HEAD_BYTES = 16, 8

MOST_IN_SESSION = 50_000
"""How many tokens one session can have at a time."""

MOST_FOUND = 5_000

LIFETIME_US = 24 * 3600 * 1_000_000
"""How long a token lives, in microseconds; one that is shown again in the second half of its life begins anew."""


class TokensFull(Exception):
    """The session has as many tokens as it may, or more are asked for than one answer can hold. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class SealedToken:
    """One token; see ``tokens.proto``."""

    mark: bytes
    value_mark: bytes
    head: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """Which of the tokens were not kept: marks that other values have, and marks of values that are tokens."""

    taken: frozenset[bytes] = frozenset()
    echoes: frozenset[bytes] = frozenset()


class TokenStore(Protocol):
    """Keeps tokens by session. All of them raise ``DatabaseError``; times are the store's own."""

    async def keep(self, session_id: str, tokens: Sequence[SealedToken]) -> Kept:
        """Make tokens of different marks durable. Raises ``TokensFull``."""

    async def find(self, session_id: str, heads: Collection[bytes]) -> Sequence[bytes]:
        """Return what was sealed of the session's tokens with one of ``heads``. Raises ``TokensFull``."""

    async def sweep(self, at_most: int) -> int:
        """Remove up to ``at_most`` tokens that have expired; return how many."""

    async def held(self) -> int:
        """Return how many tokens there are, over all sessions."""

    async def close(self) -> None:
        """Let go of all connections."""
