"""Handles that a test keeps in memory, in place of the recorder's."""

from __future__ import annotations

from collections.abc import Sequence

from countersign.mcp import Handle, HandleKind
from countersign.runtime.handles import HandleOwner, HandlesAway, Known


class MemoryHandles:
    """See ``Handles``. Set ``away`` to have none; ``under_way`` says that no call has ended.

    ``kept`` are the methods of handles by what they are known by, ``masks`` their masks, ``taken`` for which answers.
    """

    def __init__(self) -> None:
        self.away = False
        self.under_way = False
        self.asked = 0
        self.kept: dict[tuple[str, ...], str] = {}
        self.masks: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.taken: dict[tuple[str, ...], str] = {}

    async def keep(self, owner: HandleOwner, handles: Sequence[Handle], masks: Sequence[str] = ()) -> None:
        """See ``Handles``."""
        self._ask()
        for key, handle in ((_key(owner, handle), handle) for handle in handles):
            self.kept[key] = handle.method
            self.masks[key] = tuple(sorted({*self.masks.get(key, ()), *masks}))
            self.taken.pop(key, None)

    async def find(self, owner: HandleOwner, handles: Sequence[Handle]) -> Sequence[Known | None]:
        """See ``Handles``."""
        self._ask()
        keys = [_key(owner, handle) for handle in handles]
        return [Known(self.kept[key], self.masks.get(key, ())) if key in self.kept else None for key in keys]

    async def take(self, owner: HandleOwner, handles: Sequence[Handle]) -> bool:
        """See ``Handles``."""
        given = {_key(owner, handle): handle.answer for handle in handles}
        if None in await self.find(owner, handles) or any(self.taken.get(key, of) != of for key, of in given.items()):
            return False
        self.taken |= given
        return True

    async def spend(self, owner: HandleOwner, handles: Sequence[Handle]) -> bool:
        """See ``Handles``."""
        self._ask()
        given = {_key(owner, handle): handle.answer for handle in handles}
        if any(self.taken.get(key) != of for key, of in given.items()):
            return False
        for key in given:
            del self.kept[key], self.taken[key]
        return True

    async def drop_session(self, owner: HandleOwner) -> None:
        """See ``Handles``."""
        self._ask()
        gone = {(kind.value, owner.session_id) for kind in (HandleKind.REQUEST, HandleKind.OWN_TASK)}
        self.kept = {key: method for key, method in self.kept.items() if key[:2] not in gone}
        self.taken = {key: answer for key, answer in self.taken.items() if key in self.kept}

    async def has_ended(self, session_id: str, call_id: str) -> bool:
        """See ``Handles``."""
        self._ask()
        return not self.under_way

    def _ask(self) -> None:
        self.asked += 1
        if self.away:
            raise HandlesAway("away")


def _key(owner: HandleOwner, handle: Handle) -> tuple[str, ...]:
    if handle.kind in (HandleKind.REQUEST, HandleKind.OWN_TASK):
        return (handle.kind.value, owner.session_id, handle.value)
    return (handle.kind.value, owner.issuer, owner.subject, owner.target, handle.value)
