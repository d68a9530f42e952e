"""Streams of events as our web servers send them: signs of life while nothing comes, an end when nobody is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TypeVar

from starlette.types import Receive

KEEPALIVE_S = 15.0
"""Between two signs of life."""
COMMENT = b":\n\n"
"""A sign of life: a comment, which clients skip (WHATWG HTML, section 9.2.6)."""

_T = TypeVar("_T")


async def hung_up(receive: Receive) -> None:
    """Return when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def paced(
    items: AsyncGenerator[_T, None], every_s: float, gone: asyncio.Future[None] | None = None
) -> AsyncGenerator[_T | None, None]:
    """Yield the items, and ``None`` whenever none came for so long; end with them, or when the client is ``gone``.

    To be closed by whoever stops before that; then the items are, too.
    """
    coming: asyncio.Future[_T] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(items))
            awaited = (coming,) if gone is None else (coming, gone)
            await asyncio.wait(awaited, timeout=every_s, return_when=asyncio.FIRST_COMPLETED)
            if gone is not None and gone.done():
                return
            if not coming.done():
                yield None
                continue
            done, coming = coming, None
            try:
                item = done.result()
            except StopAsyncIteration:
                return
            yield item
    finally:
        if coming is not None:
            coming.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await coming
        await items.aclose()
