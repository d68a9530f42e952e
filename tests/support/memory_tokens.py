"""Tokens in memory, kept in the plainest way: what the real store is compared with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from countersign.recorder.tokens.ports import LIFETIME_US, MOST_FOUND, MOST_IN_SESSION, Kept, SealedToken, TokensFull
from countersign.runtime.moments import now_us
from countersign.runtime.postgres import DatabaseUnavailable


class MemoryTokenStore:
    """See ``TokenStore``. Set ``away`` to make it unavailable."""

    def __init__(
        self,
        *,
        lifetime_us: int = LIFETIME_US,
        most_in_session: int = MOST_IN_SESSION,
        clock_us: Callable[[], int] = now_us,
    ) -> None:
        self.away = False
        self._lifetime_us = lifetime_us
        self._most_in_session = most_in_session
        self._clock_us = clock_us
        self._kept: dict[str, dict[bytes, tuple[SealedToken, int]]] = {}

    async def keep(self, session_id: str, tokens: Sequence[SealedToken]) -> Kept:
        """See ``TokenStore``."""
        self._ask()
        kept = self._kept.setdefault(session_id, {})
        echoes = {token.value_mark for token in tokens} & kept.keys()
        taken = {token.mark for token in tokens if token.mark in kept and kept[token.mark][0].sealed != token.sealed}
        new = [token for token in tokens if token.value_mark not in echoes and token.mark not in kept]
        if new and len(kept) + len(new) > self._most_in_session:
            raise TokensFull("too many")
        until_us = self._clock_us() + self._lifetime_us
        for token in tokens:
            if (
                token.mark in kept
                and token.mark not in taken
                and kept[token.mark][1] < until_us - self._lifetime_us // 2
            ):
                kept[token.mark] = (token, until_us)
        kept.update({token.mark: (token, until_us) for token in new})
        return Kept(frozenset(taken), frozenset(echoes))

    async def find(self, session_id: str, heads: Collection[bytes]) -> Sequence[bytes]:
        """See ``TokenStore``."""
        self._ask()
        kept = self._kept.get(session_id, {}).values()
        found = [token.sealed for token, until_us in kept if token.head in heads and until_us > self._clock_us()]
        if len(found) > MOST_FOUND:
            raise TokensFull("too many")
        return found

    async def sweep(self, at_most: int) -> int:
        """See ``TokenStore``."""
        self._ask()
        now = self._clock_us()
        due = [
            (session, mark)
            for session, kept in self._kept.items()
            for mark, (_, until_us) in kept.items()
            if until_us <= now
        ][:at_most]
        for session, mark in due:
            del self._kept[session][mark]
        return len(due)

    async def held(self) -> int:
        """See ``TokenStore``."""
        self._ask()
        return sum(map(len, self._kept.values()))

    async def close(self) -> None:
        """See ``TokenStore``."""

    def _ask(self) -> None:
        if self.away:
            raise DatabaseUnavailable("away")
