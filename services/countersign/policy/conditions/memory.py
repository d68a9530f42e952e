"""Something remembered, within bounds, and shared between threads."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Kept = TypeVar("Kept")


class Memory(Generic[Key, Kept]):
    """The newest and the most lately asked for, at most ``entries`` of them, of at most ``weight`` together."""

    def __init__(self, *, entries: int, weight: int) -> None:
        self._entries = entries
        self._weight = weight
        self._kept: OrderedDict[Key, tuple[Kept, int]] = OrderedDict()
        self._weighs = 0
        self._lock = Lock()

    @property
    def weighs(self) -> int:
        """The weight of all that is kept."""
        return self._weighs

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Kept | None:
        """Return what was kept for a key, if it still is."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: Key, value: Kept, *, weight: int) -> None:
        """Keep a value; what weighs more than everything may is not kept."""
        if weight > self._weight:
            return
        with self._lock:
            self._drop(key)
            self._kept[key] = (value, weight)
            self._weighs += weight
            while len(self._kept) > self._entries or self._weighs > self._weight:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: Key) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self._weighs -= gone[1]
