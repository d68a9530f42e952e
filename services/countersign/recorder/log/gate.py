"""The gate before the record: events pass while the log is whole, and shown not too long after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Gate:
    """Whether events may be recorded now. Closed until the log was looked at, and found whole, for the first time.

    ``most_unpublished`` says how many events may be above the latest checkpoint; it is asked on every look.
    """

    def __init__(self, most_unpublished: Callable[[], int]) -> None:
        self._most_unpublished = most_unpublished
        self._doubts = 0
        self._trusted = False
        self._stopped = ""
        self._unpublished = 0
        self._opened = asyncio.Event()
        self._doubted = asyncio.Event()

    @property
    def stopped(self) -> str:
        """Why nothing is signed and nothing recorded; empty when all is well, as far as is known."""
        return self._stopped

    @property
    def trusted(self) -> bool:
        """Whether the log was looked at, and found whole, since the last doubt. Lag does not count."""
        return self._trusted and not self._stopped

    @property
    def behind(self) -> bool:
        """Whether events wait because too many are above the latest checkpoint."""
        return self._unpublished >= self._most_unpublished()

    @property
    def doubts(self) -> int:
        """What ``checked`` is to be told by who looks at the log now: a doubt that comes meanwhile is kept."""
        return self._doubts

    async def passed(self, events: int) -> None:
        """Return when ``events`` more may be recorded."""
        while self.behind or not self.trusted:
            self._opened.clear()
            await self._opened.wait()
        # What is recorded counts at once, not only with the next look.
        self._unpublished += events

    def doubt(self) -> None:
        """Close until the log was looked at again: the connection was lost, and what answers next may be another."""
        self._doubts += 1
        self._trusted = False
        self._doubted.set()

    async def doubted(self, *, within_s: float) -> None:
        """Return with the next doubt, or after ``within_s``."""
        self._doubted.clear()
        try:
            async with asyncio.timeout(within_s):
                await self._doubted.wait()
        except TimeoutError:
            return

    def checked(self, doubts: int, unpublished: int) -> None:
        """The log is whole, and so many events are above the latest checkpoint. ``doubts`` is from before the look."""
        self._stopped = ""
        self._unpublished = unpublished
        if doubts == self._doubts:
            self._trusted = True
        self._opened.set()

    def published(self, unpublished: int) -> None:
        """So many events are above the latest checkpoint now."""
        self._unpublished = unpublished
        self._opened.set()

    def stop(self, why: str) -> None:
        """Close: the log is not whole. Opens again when ``checked`` says that it is."""
        self._stopped = why
        self._trusted = False
