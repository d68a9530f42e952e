"""What those who keep processes running say of them."""

from __future__ import annotations

import asyncio
import os


class Told:
    """What a supervisor said, and the means to wait for it."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._more = asyncio.Event()

    def __call__(self, part: str, what: str) -> None:
        self.lines.append((part, what))
        self._more.set()

    async def line(self, part: str, start: str) -> str:
        async with asyncio.timeout(10):
            while True:
                found = [what for name, what in self.lines if name == part and what.startswith(start)]
                if found:
                    return found[0]
                self._more.clear()
                await self._more.wait()

    async def pid(self, part: str, start: str = "ready") -> int:
        return int((await self.line(part, start)).rpartition("pid ")[2].rstrip(")"))


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
