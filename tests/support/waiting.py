"""Waiting for what has no event of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool], *, within_s: float = 30.0) -> None:
    """Return as soon as ``condition`` holds; raises ``TimeoutError``."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - the conditions are of many kinds, and none has an event to wait for
            await asyncio.sleep(0.005)
