"""A quiet stream is kept alive between its events; one whose target should speak ends; a cancelled one is let go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from countersign.config import Limits
from countersign.masker.quiet import KEEPALIVE, Quiet, TooSilent
from countersign.model.handoff import HandedCall, Handoff
from countersign.model.principal import Principal, PrincipalKind

ALICE = Principal("https://idp.test", "alice", (), PrincipalKind.PERSON, "t1")


def asked(method: str) -> Handoff:
    return Handoff("s", "c", 0, "orders", "legacy", ALICE, (HandedCall("1", method, ""),), (), "v")


class Beats:
    """Counts what is kept alive, and does something at the third."""

    def __init__(self, at_third: Callable[[], object]) -> None:
        self.count = 0
        self._at_third = at_third

    async def __call__(self) -> None:
        self.count += 1
        if self.count == 3:
            self._at_third()


def test_a_keepalive_is_a_comment_and_no_event() -> None:
    assert KEEPALIVE.startswith(b":")
    assert KEEPALIVE.endswith(b"\n\n")


async def test_a_stream_is_kept_alive_until_something_comes() -> None:
    read: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    beats = Beats(lambda: read.set_result("news"))
    assert await Quiet(0.001, None).until(read, beats) == "news"
    assert beats.count == 3


async def test_what_comes_at_once_needs_nothing() -> None:
    read: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    read.set_result("news")
    beats = Beats(lambda: None)
    assert await Quiet(0.0, 0.0).until(read, beats) == "news"
    assert beats.count == 0


@pytest.mark.parametrize("method", ["tools/call", "prompts/get"])
async def test_a_target_that_should_answer_and_is_silent_is_given_up(method: str) -> None:
    read: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    quiet = Quiet.of(asked(method), Limits(keepalive_s=0.001, upstream_timeout_s=0.01))
    with pytest.raises(TooSilent, match="silent"):
        await quiet.until(read, Beats(lambda: None))
    assert read.cancelled()


@pytest.mark.parametrize("method", ["GET", "subscriptions/listen"])
async def test_who_waits_for_news_waits_for_ever(method: str) -> None:
    read: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    quiet = Quiet.of(asked(method), Limits(keepalive_s=1.0, upstream_timeout_s=0.002))
    assert await quiet.until(read, Beats(lambda: read.set_result("news"))) == "news"


async def test_who_cancels_the_wait_cancels_the_read() -> None:
    read: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task: asyncio.Task[str] | None = None
    beats = Beats(lambda: task.cancel() if task else None)
    task = asyncio.ensure_future(Quiet(0.001, None).until(read, beats))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert read.cancelled()
