"""A stream shows a sign of life while nothing comes, and lets go of what it reads when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from countersign.runtime.streaming import paced

QUIET_S = 0.01


@dataclass
class News:
    """What is to be told, when the test says so."""

    more: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False
    error: Exception | None = None

    async def told(self) -> AsyncGenerator[str, None]:
        try:
            yield "first"
            await self.more.wait()
            if self.error is not None:
                raise self.error
            yield "second"
        finally:
            self.closed = True


async def test_what_comes_is_told_and_its_absence_too() -> None:
    news = News()
    async with aclosing(paced(news.told(), QUIET_S)) as stream:
        assert [await anext(stream) for _ in range(3)] == ["first", None, None]
        news.more.set()
        assert [item async for item in stream if item is not None] == ["second"]
    assert news.closed


async def test_it_ends_when_nobody_is_there() -> None:
    news, gone = News(), asyncio.get_running_loop().create_future()
    async with aclosing(paced(news.told(), 3600, gone)) as stream:
        assert await anext(stream) == "first"
        gone.set_result(None)
        assert [item async for item in stream] == []
    assert news.closed


async def test_who_stops_reading_stops_what_is_read() -> None:
    news = News()
    async with aclosing(paced(news.told(), QUIET_S)) as stream:
        assert [await anext(stream), await anext(stream)] == ["first", None]
    assert news.closed


async def test_what_goes_wrong_is_not_kept_quiet() -> None:
    news = News(error=ValueError("broken"))
    async with aclosing(paced(news.told(), 3600)) as stream:
        assert await anext(stream) == "first"
        news.more.set()
        with pytest.raises(ValueError, match="broken"):
            await anext(stream)
    assert news.closed
