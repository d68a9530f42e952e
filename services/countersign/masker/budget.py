"""How much of all answers together is held in memory."""

from __future__ import annotations

from countersign.masker.withheld import Withheld


class Budget:
    """Bytes that the answers of one process may hold until they are masked. Whoever takes must give back."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0

    @property
    def held_bytes(self) -> int:
        """What is held now."""
        return self._held_bytes

    def take(self, size_bytes: int) -> None:
        """Hold this much more. Raises ``Withheld``, and holds nothing, when that is too much."""
        if self._held_bytes + size_bytes > self._limit_bytes:
            raise Withheld("too much of other answers is held at this moment")
        self._held_bytes += size_bytes

    def give_back(self, size_bytes: int) -> None:
        """Hold this much less."""
        self._held_bytes -= size_bytes
