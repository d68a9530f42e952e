"""Changes that are finished also when nobody waits for them any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

_T = TypeVar("_T")


async def finished(work: Awaitable[_T]) -> _T:
    """Return what ``work`` returns. Whoever is cancelled meanwhile is cancelled once it has ended.

    A call that its client cancels would else break off a statement, and with it a connection that others need.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(Exception):
            await task
        raise
