"""Long work holds up nobody, and no more of it runs at once than allowed, whoever goes away."""

from __future__ import annotations

import asyncio
import threading

import pytest

from countersign.runtime.aside import Aside


class Work:
    """Work in a thread that goes on until it is let go, and what it did."""

    def __init__(self) -> None:
        self.begun, self.let_go = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.let_go.wait(10)
        return "done"


async def begun(work: Work) -> None:
    assert await asyncio.to_thread(work.begun.wait, 10)


async def test_small_work_is_done_at_once() -> None:
    assert await Aside(from_bytes=10, at_once=1).run(9, threading.get_ident) == threading.get_ident()
    assert await Aside(from_bytes=10, at_once=1).run(10, threading.get_ident) != threading.get_ident()


async def test_errors_reach_who_asked() -> None:
    def fail() -> None:
        raise ValueError("no")

    aside = Aside(from_bytes=0, at_once=1)
    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            await aside.run(1, fail)


async def test_the_turn_of_cancelled_work_is_free_only_when_it_has_ended() -> None:
    aside, first, second = Aside(from_bytes=0, at_once=1), Work(), Work()
    second.let_go.set()
    gone = asyncio.ensure_future(aside.run(1, first))
    await begun(first)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    waiting = asyncio.ensure_future(aside.run(1, second))
    await asyncio.wait({waiting}, timeout=0.05)
    assert not second.begun.is_set()
    first.let_go.set()
    assert await waiting == "done"


async def test_who_goes_away_while_waiting_takes_no_turn() -> None:
    aside, first, last = Aside(from_bytes=0, at_once=1), Work(), Work()
    running = asyncio.ensure_future(aside.run(1, first))
    await begun(first)
    waiting = asyncio.ensure_future(aside.run(1, Work()))
    await asyncio.sleep(0)
    waiting.cancel()
    first.let_go.set()
    last.let_go.set()
    assert await running == "done"
    assert await aside.run(1, last) == "done"
