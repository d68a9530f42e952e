"""Handles in memory, kept in the plainest way: what the real store is compared with, and unit tests keep them in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from countersign.recorder.handles.ports import MOST_IN_SCOPE, HashedHandle, HashedOwner, KnownHandle
from countersign.recorder.handles.shares import Bounds, Share
from countersign.runtime.moments import now_us
from countersign.runtime.postgres import DatabaseUnavailable


@dataclass
class _Kept:
    until_us: int
    known: KnownHandle
    owner: HashedOwner
    answer: bytes = b""


class MemoryHandleStore:
    """See ``HandleStore``. Set ``away`` to make it unavailable; ``ended`` are the calls whose end is recorded."""

    def __init__(self, *, most_in_scope: int = MOST_IN_SCOPE, clock_us: Callable[[], int] = now_us) -> None:
        self.away = False
        self.ended: set[tuple[str, str]] = set()
        self._most_in_scope = most_in_scope
        self._clock_us = clock_us
        self._kept: dict[tuple[bytes, bytes], _Kept] = {}

    async def keep(self, owner: HashedOwner, handles: Sequence[HashedHandle]) -> None:
        """See ``HandleStore``."""
        self._ask()
        for one in handles:
            before = self._kept.get((one.scope, one.mark))
            masks = {*owner.masks, *(() if before is None else before.known.masks)}
            known = KnownHandle(one.what, tuple(sorted(masks)))
            self._kept[one.scope, one.mark] = _Kept(self._clock_us() + one.lifetime_us, known, owner)
        for scope in {one.scope for one in handles}:
            given = {(one.scope, one.mark) for one in handles}
            held = sorted((one.until_us, key) for key, one in self._kept.items() if key[0] == scope)
            for _, key in [each for each in held if each[1] not in given][: max(0, len(held) - self._most_in_scope)]:
                del self._kept[key]

    async def find(self, handles: Sequence[HashedHandle]) -> Sequence[KnownHandle | None]:
        """See ``HandleStore``."""
        self._ask()
        return [None if (one := self._good(handle)) is None else one.known for handle in handles]

    async def take(self, handles: Sequence[HashedHandle]) -> bool:
        """See ``HandleStore``."""
        self._ask()
        found = [self._good(handle) for handle in handles]
        if any(one is None or one.answer not in (b"", of.answer) for one, of in zip(found, handles, strict=True)):
            return False
        for one, of in zip(found, handles, strict=True):
            assert one is not None
            one.answer = of.answer
        return True

    async def spend(self, handles: Sequence[HashedHandle]) -> bool:
        """See ``HandleStore``."""
        self._ask()
        if any((one := self._good(of)) is None or one.answer != of.answer for of in handles):
            return False
        for of in handles:
            del self._kept[of.scope, of.mark]
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
        due = [key for key, one in self._kept.items() if one.until_us <= self._clock_us()][:at_most]
        for key in due:
            del self._kept[key]
        return len(due)

    async def held(self) -> int:
        """See ``HandleStore``."""
        self._ask()
        return len(self._kept)

    async def crowded(self, least: Bounds) -> Mapping[Share, int]:
        """See ``HandleStore``."""
        self._ask()
        held: Counter[Share] = Counter()
        for one in self._kept.values():
            held.update(
                Share(*share)
                for share in (
                    (one.owner.target, b""),
                    (b"", one.owner.principal),
                    (one.owner.target, one.owner.principal),
                )
            )
        return {share: count for share, count in held.items() if count >= least.of(share)}

    async def close(self) -> None:
        """See ``HandleStore``."""

    def _good(self, handle: HashedHandle) -> _Kept | None:
        one = self._kept.get((handle.scope, handle.mark))
        return one if one is not None and one.until_us > self._clock_us() else None

    def _ask(self) -> None:
        if self.away:
            raise DatabaseUnavailable("away")
