"""Work that one recorder does for all of them: whose turn it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from uuid import UUID

TURN_S = 6.0
"""How long others wait for a recorder that died in its turn."""


class TurnStore(Protocol):
    """Where it is kept whose turn it is. Both methods raise ``DatabaseUnavailable``."""

    async def take_turn(self, work: str, whose: UUID, for_s: float) -> bool:
        """Return whether ``work`` is for ``whose`` to do, for the next ``for_s`` seconds."""

    async def end_turn(self, work: str, whose: UUID) -> None:
        """Let others have the turn at once, if it is still of ``whose``."""


class Turn:
    """A recorder's claim to one kind of work. It spares work that is done twice; nothing is wrong if it is.

    ``clock_s`` is a clock that never goes back.
    """

    def __init__(self, store: TurnStore, work: str, whose: UUID, clock_s: Callable[[], float]) -> None:
        self._store = store
        self._work = work
        self._whose = whose
        self._clock_s = clock_s
        self._until = 0.0

    async def is_mine(self) -> bool:
        """Whether the work is to be done here, now. Raises ``DatabaseUnavailable``."""
        now = self._clock_s()
        # Asked again after half of it: most rounds ask nobody.
        if now < self._until - TURN_S / 2:
            return True
        mine = await self._store.take_turn(self._work, self._whose, TURN_S)
        self._until = now + TURN_S if mine else 0.0
        return mine

    async def end(self) -> None:
        """Let others have it at once. Raises ``DatabaseUnavailable``."""
        if self._until:
            self._until = 0.0
            await self._store.end_turn(self._work, self._whose)
