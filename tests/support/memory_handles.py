"""Handles in memory, kept in the plainest way: what the real store is compared with, and unit tests keep them in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from countersign.recorder.handles.ports import MOST_IN_SCOPE, HashedHandle
from countersign.runtime.moments import now_us
from countersign.runtime.postgres import DatabaseUnavailable


class MemoryHandleStore:
    """See ``HandleStore``. Set ``away`` to make it unavailable; ``ended`` are the calls whose end is recorded."""

    def __init__(self, *, most_in_scope: int = MOST_IN_SCOPE, clock_us: Callable[[], int] = now_us) -> None:
        self.away = False
        self.ended: set[tuple[str, str]] = set()
        self._most_in_scope = most_in_scope
        self._clock_us = clock_us
        self._kept: dict[tuple[bytes, bytes], tuple[int, str]] = {}

    async def keep(self, handles: Sequence[HashedHandle]) -> None:
        """See ``HandleStore``."""
        self._ask()
        for one in handles:
            self._kept[one.scope, one.mark] = (self._clock_us() + one.lifetime_us, one.what)
        for scope in {one.scope for one in handles}:
            given = {(one.scope, one.mark) for one in handles}
            held = sorted((until_us, key) for key, (until_us, _) in self._kept.items() if key[0] == scope)
            for _, key in [each for each in held if each[1] not in given][: max(0, len(held) - self._most_in_scope)]:
                del self._kept[key]

    async def find(self, handles: Sequence[HashedHandle]) -> Sequence[str | None]:
        """See ``HandleStore``."""
        self._ask()
        found = [self._kept.get((one.scope, one.mark), (0, "")) for one in handles]
        return [what if until_us > self._clock_us() else None for until_us, what in found]

    async def take(self, handles: Sequence[HashedHandle]) -> bool:
        """See ``HandleStore``."""
        if None in await self.find(handles):
            return False
        for one in handles:
            del self._kept[one.scope, one.mark]
        return True

    async def drop(self, scope: bytes) -> None:
        """See ``HandleStore``."""
        self._ask()
        self._kept = {key: value for key, value in self._kept.items() if key[0] != scope}

    async def has_ended(self, session_id: str, call_id: str) -> bool:
        """See ``HandleStore``."""
        self._ask()
        return (session_id, call_id) in self.ended

    async def sweep(self, at_most: int) -> int:
        """See ``HandleStore``."""
        self._ask()
        due = [key for key, (until_us, _) in self._kept.items() if until_us <= self._clock_us()][:at_most]
        for key in due:
            del self._kept[key]
        return len(due)

    async def held(self) -> int:
        """See ``HandleStore``."""
        self._ask()
        return len(self._kept)

    async def close(self) -> None:
        """See ``HandleStore``."""

    def _ask(self) -> None:
        if self.away:
            raise DatabaseUnavailable("away")
