"""Which links were used, in memory."""

from __future__ import annotations

from countersign.approver.page.links import Link
from countersign.model.approval import Person


class MemoryUsedLinks:
    """See ``UsedLinks``."""

    def __init__(self) -> None:
        self.used: dict[str, Person] = {}

    async def use(self, link: Link, by: Person, now_us: int) -> bool:
        """See ``UsedLinks.use``."""
        if link.id in self.used:
            return False
        self.used[link.id] = by
        return True

    async def is_used(self, link: Link) -> bool:
        """See ``UsedLinks.is_used``."""
        return link.id in self.used
