"""Runs as `countersign export run` makes them, over gRPC and a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from countersign.exports.ports import FeedAway, RunLost, SinkHeld
from countersign.exports.recorder import RecorderFeed
from countersign.exports.runner import Pace, SinkRunner
from tests.contract.feed.conftest import Rig
from tests.support.events import new_id, request
from tests.support.exporting import HeldDestination

QUICK = Pace(first_s=0.01, most_s=0.02, beat_s=0.05, held_s=0.01)


@pytest.fixture
async def feed(rig: Rig) -> AsyncIterator[RecorderFeed]:
    one = RecorderFeed(rig.address)
    yield one
    await one.close()


async def test_a_run_takes_what_is_published_and_the_next_goes_on_behind_it(rig: Rig, feed: RecorderFeed) -> None:
    start = await rig.append(*[request(body=b"hello") for _ in range(5)])
    rig.size, sink = start + 3, new_id()
    first, second = HeldDestination(), HeldDestination()
    await SinkRunner(sink, "ocsf out", first, feed, once=True, bodies=True, pace=QUICK).run()
    assert first.indices == list(range(start + 3))
    assert first.taken[-1].body == "hello"
    rig.size = start + 5
    await SinkRunner(sink, "ocsf out", second, feed, once=True, pace=QUICK).run()
    assert second.indices == [start + 3, start + 4]
    assert second.taken[-1].body == ""


async def test_two_runs_never_have_one_sink(rig: Rig, feed: RecorderFeed) -> None:
    rig.size, sink = await rig.append(request()) + 1, new_id()
    run = await feed.open(sink, "ocsf out")
    with pytest.raises(SinkHeld):
        await feed.open(sink, "ocsf out")
    refused = SinkRunner(sink, "ocsf out", HeldDestination(), feed, once=True, pace=QUICK)
    await refused.run()
    assert "another run feeds this sink" in refused.standing.problem
    await rig.expire(sink)
    await feed.open(sink, "ocsf out")
    with pytest.raises(RunLost):
        await feed.move(sink, run, 1)
    with pytest.raises(RunLost):
        await anext(feed.pages(run, 0, bodies=False))


async def test_a_recorder_that_is_away_or_refuses_is_told_apart_from_both(rig: Rig, feed: RecorderFeed) -> None:
    rig.size, sink = await rig.append(request()) + 1, new_id()
    run = await feed.open(sink, "ocsf out")
    with pytest.raises(FeedAway, match="INVALID_ARGUMENT"):
        await feed.move(sink, run, rig.size + 1)
    nobody = RecorderFeed("127.0.0.1:1")
    with pytest.raises(FeedAway, match="UNAVAILABLE"):
        await nobody.open(sink, "ocsf out")
    await nobody.close()
