"""A sink's run: in order, at least once, and never past what was not taken."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from countersign.exports.ports import NotTaken
from countersign.exports.runner import Pace, SinkRunner
from tests.support.exporting import HeldDestination, HeldFeed, facts
from tests.support.recorders import until

QUICK = Pace(first_s=0.005, most_s=0.01, beat_s=0.01, held_s=0.005)


def _runner(feed: HeldFeed, destination: HeldDestination, *, once: bool = False) -> SinkRunner:
    return SinkRunner("siem", "ocsf out", destination, feed, pace=QUICK, once=once, chance=lambda: 0.0)


@asynccontextmanager
async def _running(runner: SinkRunner) -> AsyncIterator[None]:
    task = asyncio.ensure_future(runner.run())
    try:
        yield
        runner.stop()
        async with asyncio.timeout(10):
            await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_all_is_taken_in_order_and_the_sink_given_back() -> None:
    feed, destination = HeldFeed(facts(25)), HeldDestination()
    runner = _runner(feed, destination)
    async with _running(runner):
        await until(lambda: feed.cursor == 25)
        feed.published += facts(5, 25)
        feed.more.set()
        await until(lambda: feed.cursor == 30)
    assert destination.indices == list(range(30))
    assert (feed.opened, feed.released, destination.closed) == (1, 1, 1)
    assert (runner.standing.taken, runner.standing.behind, runner.standing.problem) == (30, 0, "")


async def test_a_run_goes_on_where_the_sink_stood() -> None:
    feed, destination = HeldFeed(facts(10), cursor=7), HeldDestination()
    await _runner(feed, destination, once=True).run()
    assert destination.indices == [7, 8, 9]


async def test_what_is_not_taken_is_tried_again_and_nothing_overtakes(caplog: pytest.LogCaptureFixture) -> None:
    destination = HeldDestination(refusals=[NotTaken("the collector answered 503") for _ in range(4)])
    feed = HeldFeed(facts(20))
    with caplog.at_level(logging.INFO):
        await _runner(feed, destination, once=True).run()
    assert destination.indices == list(range(20))
    said = [record.getMessage() for record in caplog.records]
    # Once, however often it is tried, and that it is over.
    assert sum("stands still: the collector answered 503" in one for one in said) == 1
    assert "export goes on" in said


async def test_an_event_that_is_never_taken_is_come_close_to_named_and_not_passed_over() -> None:
    feed, destination = HeldFeed(facts(10)), HeldDestination(poison=6)
    runner = _runner(feed, destination)
    poison = feed.published[6].event.event_id
    async with _running(runner):
        await until(lambda: poison in runner.standing.problem)
        assert feed.cursor == 6
        assert set(destination.indices) == set(range(6))
        destination.poison = -1
        await until(lambda: feed.cursor == 10)
    assert destination.indices[-4:] == [6, 7, 8, 9]


async def test_what_was_taken_and_not_counted_comes_again_with_the_same_ids() -> None:
    """A crash between the two: the next run begins at the cursor."""
    feed, destination = HeldFeed(facts(10)), HeldDestination()
    runner = _runner(feed, destination)
    task = asyncio.ensure_future(runner.run())
    await destination.came.wait()
    # Taken; the cursor is moved, or not, after this.
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    feed.cursor = 0
    await _runner(feed, destination, once=True).run()
    ids = [one.event.event_id for one in destination.taken]
    assert ids == [one.event.event_id for one in feed.published] * 2


async def test_a_recorder_that_is_away_is_waited_for() -> None:
    feed, destination = HeldFeed(facts(5), away=True), HeldDestination()
    runner = _runner(feed, destination)
    async with _running(runner):
        await until(lambda: runner.standing.problem == "away")
        feed.away = False
        await until(lambda: feed.cursor == 5)
    assert runner.standing.problem == ""


async def test_a_sink_that_another_run_has_is_waited_for_or_refused() -> None:
    feed, destination = HeldFeed(facts(5), held=True), HeldDestination()
    once = _runner(feed, destination, once=True)
    await once.run()
    assert "another run feeds this sink" in once.standing.problem
    assert not once.standing.opened
    waiting = _runner(feed, destination)
    async with _running(waiting):
        await until(lambda: waiting.standing.held)
        assert destination.taken == []
        feed.held = False
        await until(lambda: feed.cursor == 5)


async def test_a_sink_that_was_taken_over_is_let_go_while_its_destination_refuses() -> None:
    destination = HeldDestination(refusals=[NotTaken("away") for _ in range(10_000)])
    feed = HeldFeed(facts(5))
    runner = _runner(feed, destination)
    async with _running(runner):
        await destination.came.wait()
        feed.lost, feed.held = True, True
        await until(lambda: runner.standing.held)
        tries, asked = destination.tries, feed.asked
        await until(lambda: feed.asked > asked + 3)
        assert destination.tries == tries
    assert feed.opened == 1


async def test_the_recorder_hears_of_a_run_whose_destination_refuses() -> None:
    destination = HeldDestination(refusals=[NotTaken("away") for _ in range(10_000)])
    feed = HeldFeed(facts(5))
    async with _running(_runner(feed, destination)):
        await until(lambda: feed.beats >= 3)
    assert feed.cursor == 0


class _Broken(HeldDestination):
    async def take(self, facts: object) -> None:
        raise RuntimeError("secret body")


async def test_a_fault_of_ours_neither_ends_a_run_nor_shows_a_body(caplog: pytest.LogCaptureFixture) -> None:
    feed = HeldFeed(facts(5))
    runner = _runner(feed, _Broken())
    with caplog.at_level(logging.INFO):
        async with _running(runner):
            await until(lambda: feed.opened > 2)
    assert "unexpected RuntimeError" in runner.standing.problem
    assert "secret" not in caplog.text
    assert feed.cursor == 0


async def test_a_wait_that_the_other_side_asks_for_is_kept() -> None:
    destination = HeldDestination(refusals=[NotTaken("answered 429", wait_s=60)])
    feed = HeldFeed(facts(5))
    async with _running(_runner(feed, destination)):
        await destination.came.wait()
        await until(lambda: feed.beats >= 5)
        assert destination.tries == 1
