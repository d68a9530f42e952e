"""Sinks follow the list of them: none is skipped, none fed twice at a time, none waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest

from countersign.config.types import CsvSink, OcsfSink, OtlpSink, Secret, Sink
from countersign.exports.facts import Fact
from countersign.exports.lineup import Lineup
from countersign.exports.ports import NotTaken
from countersign.exports.runner import Pace, SinkRunner
from tests.support.exporting import HeldDestination, HeldFeed, facts
from tests.support.recorders import until

SLOW_TO_TRY_AGAIN = Pace(first_s=3600.0, most_s=3600.0, beat_s=0.01, held_s=0.005)
SIEM, TABLE, OTHER = Sink("siem", OcsfSink("/a")), Sink("table", CsvSink("/b")), Sink("other", CsvSink("/d"))
SIEM_ELSEWHERE = Sink("siem", OcsfSink("/c"))


@dataclass
class _Stuck(HeldDestination):
    """Takes nothing until ``free``; ``under_way`` while it is asked to."""

    free: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: bool = False

    async def take(self, facts: Sequence[Fact]) -> None:
        self.under_way = True
        self.came.set()
        try:
            await self.free.wait()
        finally:
            self.under_way = False
        self.taken += facts


@dataclass
class _Rig:
    """A feed for each name and a destination for each sink, which a test may put there before."""

    feeds: dict[str, HeldFeed] = field(default_factory=dict)
    destinations: dict[Sink, HeldDestination] = field(default_factory=dict)
    made: list[Sink] = field(default_factory=list)

    def runner(self, sink: Sink) -> SinkRunner:
        self.made.append(sink)
        destination = self.destinations.setdefault(sink, HeldDestination())
        return SinkRunner(sink.name, "out", destination, self.feed(sink.name), pace=SLOW_TO_TRY_AGAIN)

    def feed(self, name: str) -> HeldFeed:
        return self.feeds.setdefault(name, HeldFeed(facts(25)))


@pytest.fixture
def rig() -> _Rig:
    return _Rig()


@pytest.fixture
async def lineup(rig: _Rig) -> AsyncIterator[Lineup]:
    one = Lineup(rig.runner)
    yield one
    await one.close()


async def test_an_edit_that_changes_no_sink_touches_none(rig: _Rig, lineup: Lineup) -> None:
    token = Secret("-".join(["one", "token"]))
    logs = Sink("logs", OtlpSink("https://otlp.example", token))
    lineup.feed([SIEM, logs])
    await until(lambda: rig.feed("siem").cursor == 25 and rig.feed("logs").cursor == 25)
    lineup.feed([Sink("siem", OcsfSink("/a")), Sink("logs", OtlpSink("https://otlp.example", Secret(token.reveal())))])
    rig.feed("siem").published += facts(5, 25)
    rig.feed("siem").more.set()
    await until(lambda: rig.feed("siem").cursor == 30)
    assert [rig.feed(name).opened for name in ("siem", "logs")] == [1, 1]
    # The file has another token than before, and nothing else changed.
    lineup.feed([SIEM, Sink("logs", OtlpSink("https://otlp.example", Secret("-".join(["another", "token"]))))])
    await until(lambda: rig.feed("logs").opened == 2)
    assert rig.feed("siem").opened == 1


async def test_a_changed_sink_begins_anew_where_the_one_before_ended(rig: _Rig, lineup: Lineup) -> None:
    lineup.feed([SIEM])
    await until(lambda: rig.feed("siem").cursor == 25)
    lineup.feed([SIEM_ELSEWHERE])
    rig.feed("siem").published += facts(5, 25)
    rig.feed("siem").more.set()
    await until(lambda: rig.feed("siem").cursor == 30)
    assert rig.destinations[SIEM].indices + rig.destinations[SIEM_ELSEWHERE].indices == list(range(30))
    assert (rig.feed("siem").opened, rig.feed("siem").released, rig.destinations[SIEM].closed) == (2, 1, 1)
    assert [one.next_index for one in lineup.standings] == [30]


async def test_a_sink_that_stands_still_keeps_neither_itself_nor_others_from_following(
    rig: _Rig, lineup: Lineup
) -> None:
    # The next try would be in an hour.
    rig.destinations[SIEM] = HeldDestination(refusals=[NotTaken("refused")])
    lineup.feed([SIEM])
    await until(lambda: any(one.problem for one in lineup.standings))
    lineup.feed([SIEM, TABLE])
    await until(lambda: rig.feed("table").cursor == 25)
    lineup.feed([SIEM_ELSEWHERE, TABLE])
    await until(lambda: rig.feed("siem").cursor == 25)
    assert rig.destinations[SIEM].indices == []
    assert rig.destinations[SIEM_ELSEWHERE].indices == list(range(25))
    assert rig.feed("table").opened == 1


async def test_a_sink_that_is_taken_out_ends_after_its_batch_and_goes_on_there_when_it_is_back(
    rig: _Rig, lineup: Lineup
) -> None:
    stuck = rig.destinations[SIEM] = _Stuck()
    lineup.feed([SIEM, TABLE])
    await until(lambda: stuck.under_way)
    lineup.feed([TABLE])
    # Put back elsewhere while the batch is under way: nobody else has the sink before that is counted.
    lineup.feed([SIEM_ELSEWHERE, TABLE, OTHER])
    # By then the edit has come through.
    await until(lambda: rig.feed("table").cursor == rig.feed("other").cursor == 25)
    assert stuck.under_way
    assert rig.made == [SIEM, TABLE, OTHER]
    stuck.free.set()
    await until(lambda: rig.feed("siem").cursor == 25)
    assert stuck.indices == list(range(10))
    assert rig.destinations[SIEM_ELSEWHERE].indices == list(range(10, 25))
    lineup.feed([TABLE])
    await until(lambda: [one.name for one in lineup.standings] == ["table"])
    lineup.feed([TABLE, SIEM])
    await until(lambda: rig.feed("siem").opened == 3)
    assert rig.feed("siem").released == 2


async def test_a_destination_that_hangs_is_left_and_what_it_was_handed_goes_elsewhere(rig: _Rig) -> None:
    stuck = rig.destinations[SIEM] = _Stuck()
    lineup = Lineup(rig.runner, drain_s=0.01)
    lineup.feed([SIEM])
    await until(lambda: stuck.under_way)
    lineup.feed([SIEM_ELSEWHERE])
    await until(lambda: rig.feed("siem").cursor == 25)
    assert not stuck.under_way
    assert rig.destinations[SIEM_ELSEWHERE].indices == list(range(25))
    await lineup.close()


async def test_told_to_stop_all_end_and_no_other_begins(rig: _Rig, lineup: Lineup) -> None:
    lineup.feed([SIEM])
    await until(lambda: rig.feed("siem").cursor == 25)
    lineup.stop()
    lineup.feed([SIEM_ELSEWHERE, TABLE])
    async with asyncio.timeout(10):
        await lineup.ended()
    assert rig.made == [SIEM]
    assert rig.feed("siem").released == 1
