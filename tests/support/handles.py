"""Handles that a test keeps in memory, in place of the recorder's."""

from __future__ import annotations

from collections.abc import Sequence

from countersign.mcp import Handle, HandleKind
from countersign.runtime.handles import HandleOwner, HandlesAway


class MemoryHandles:
    """See ``Handles``. Set ``away`` to have none; ``under_way`` says that no call has ended.

    ``kept`` are the methods of handles by what they are known by.
    """

    def __init__(self) -> None:
        self.away = False
        self.under_way = False
        self.asked = 0
        self.kept: dict[tuple[str, ...], str] = {}

    async def keep(self, owner: HandleOwner, handles: Sequence[Handle]) -> None:
        """See ``Handles``."""
        self._ask()
        for handle in handles:
            self.kept[_key(owner, handle)] = handle.method

    async def find(self, owner: HandleOwner, handles: Sequence[Handle]) -> Sequence[str | None]:
        """See ``Handles``."""
        self._ask()
        return [self.kept.get(_key(owner, handle)) for handle in handles]

    async def take(self, owner: HandleOwner, handles: Sequence[Handle]) -> bool:
        """See ``Handles``."""
        if None in await self.find(owner, handles):
            return False
        for handle in handles:
            del self.kept[_key(owner, handle)]
        return True

    async def drop_session(self, owner: HandleOwner) -> None:
        """See ``Handles``."""
        self._ask()
        gone = (HandleKind.REQUEST.value, owner.session_id)
        self.kept = {key: method for key, method in self.kept.items() if key[:2] != gone}

    async def has_ended(self, session_id: str, call_id: str) -> bool:
        """See ``Handles``."""
        self._ask()
        return not self.under_way

    def _ask(self) -> None:
        self.asked += 1
        if self.away:
            raise HandlesAway("away")


def _key(owner: HandleOwner, handle: Handle) -> tuple[str, ...]:
    if handle.kind is HandleKind.REQUEST:
        return (handle.kind.value, owner.session_id, handle.value)
    return (handle.kind.value, owner.issuer, owner.subject, owner.target, handle.value)
