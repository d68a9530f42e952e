"""Turns: one at a time for a key, at once where nobody else is, and nothing is kept of those who left."""

from __future__ import annotations

import asyncio

import pytest

from countersign.authz.turns import Turns


async def test_one_at_a_time_for_a_key_and_in_order() -> None:
    turns, running, order = Turns(), 0, list[int]()

    async def work(number: int) -> None:
        nonlocal running
        async with turns.turn("key"):
            running += 1
            assert running == 1
            await asyncio.sleep(0)
            order.append(number)
            running -= 1

    await asyncio.gather(*(work(number) for number in range(5)))
    assert order == [0, 1, 2, 3, 4]
    assert len(turns) == 0


async def test_other_keys_are_not_waited_for() -> None:
    turns = Turns()
    async with turns.turn("mine"), turns.turn("yours"):
        assert len(turns) == 2


async def test_who_gives_up_or_fails_leaves_the_turn_to_the_next() -> None:
    turns = Turns()

    async def work() -> None:
        async with turns.turn("key"):
            raise ValueError

    async with turns.turn("key"):
        waiting = [asyncio.ensure_future(work()) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    with pytest.raises(ValueError):
        await waiting[1]
    assert len(turns) == 0
