"""What was taken once, in memory."""

from __future__ import annotations

from countersign.portal.used import Once


class MemoryUsedOnce:
    """See ``UsedOnce``."""

    def __init__(self) -> None:
        self._taken: dict[tuple[Once, str], int] = {}

    async def take(self, kind: Once, taken: str, until_us: int, now_us: int) -> bool:
        """See ``UsedOnce.take``."""
        self._taken = {key: until for key, until in self._taken.items() if until > now_us}
        if (kind, taken) in self._taken:
            return False
        self._taken[kind, taken] = until_us
        return True
