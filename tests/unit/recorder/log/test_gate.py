"""Nothing passes before the log was found whole, after a doubt, while it is stopped, or while too much is not shown."""

from __future__ import annotations

import asyncio

from countersign.recorder.log.gate import Gate


async def passes(gate: Gate, events: int = 1) -> bool:
    passing = asyncio.ensure_future(gate.passed(events))
    await asyncio.sleep(0)
    done = passing.done()
    passing.cancel()
    return done


def gate(most: int = 100) -> Gate:
    return Gate(lambda: most)


async def test_it_is_closed_until_somebody_looked() -> None:
    one = gate()
    assert not await passes(one)
    one.checked(one.doubts, 0)
    assert await passes(one)


async def test_a_doubt_while_somebody_looks_outlives_that_look() -> None:
    one = gate()
    one.checked(one.doubts, 0)
    began = one.doubts
    one.doubt()
    one.checked(began, 0)
    assert not await passes(one)
    one.checked(one.doubts, 0)
    assert await passes(one)


async def test_what_passes_counts_before_anybody_looks_again() -> None:
    one = gate(most=10)
    one.checked(one.doubts, 0)
    assert await passes(one, 9)
    assert await passes(one, 500)
    assert not await passes(one)
    one.published(3)
    assert await passes(one)


async def test_a_stop_closes_it_until_the_log_is_whole_again() -> None:
    one = gate()
    one.checked(one.doubts, 0)
    one.stop("an older copy")
    assert not await passes(one)
    assert one.stopped == "an older copy"
    one.published(0)
    assert not await passes(one)
    one.checked(one.doubts, 0)
    assert await passes(one)
    assert not one.stopped


async def test_all_who_wait_go_on() -> None:
    one = gate()
    waiting = [asyncio.ensure_future(one.passed(1)) for _ in range(3)]
    await asyncio.sleep(0)
    one.checked(one.doubts, 0)
    await asyncio.wait_for(asyncio.gather(*waiting), 5)


async def test_a_doubt_wakes_who_looks() -> None:
    one = gate()
    looking = asyncio.ensure_future(one.doubted(within_s=60))
    await asyncio.sleep(0)
    one.doubt()
    await asyncio.wait_for(looking, 5)
