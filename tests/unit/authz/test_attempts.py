"""A flood of strangers fills no record, and none of their attempts is missing from it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest

from countersign.authz.attempts import WINDOW_US, Attempts
from countersign.model.decision import Decision, Outcome
from countersign.model.event import Event, EventKind
from countersign.runtime.moments import new_id
from countersign.runtime.recording import NotRecorded
from tests.support.sinks import Sink


class Bench:
    """Attempts between a clock and a sink that the test controls."""

    def __init__(self, most: int = 100) -> None:
        self.sink = Sink()
        self.now_us = 1_790_000_000_000_000
        self.attempts = Attempts(self.sink, lambda: self.now_us, new_id, most=most)

    def event(self, address: str, reason: str, target: str) -> Event:
        return Event(
            event_id=new_id(),
            session_id=new_id(),
            call_id=new_id(),
            kind=EventKind.REFUSED,
            time_us=self.now_us,
            target=target,
            method="POST",
            source_address=address,
            decision=Decision(Outcome.REFUSED, (), (), reason, "", "v"),
            status=401,
            reason=reason,
        )

    async def come(
        self, times: int = 1, address: str = "192.0.2.7", reason: str = "no bearer token", target: str = "orders"
    ) -> None:
        for _ in range(times):
            await self.attempts.record(self.event(address, reason, target))

    @property
    def told(self) -> int:
        """How many attempts the durable events speak of."""
        counts = [re.search(r"\((\d+) more attempts? since the first\)$", event.reason) for event in self.sink.durable]
        return sum(int(count[1]) if count else 1 for count in counts)


async def test_the_first_is_durable_before_it_is_answered_and_a_thousand_more_are_one_event() -> None:
    bench = Bench()
    bench.sink.open.clear()
    first = asyncio.ensure_future(bench.come())
    await bench.sink.asked.wait()
    done, _ = await asyncio.wait({first}, timeout=0.05)
    assert not done
    bench.sink.open.set()
    await first
    await bench.come(1000)
    assert len(bench.sink.durable) == 1
    bench.now_us += WINDOW_US
    await bench.attempts.settle()
    assert (len(bench.sink.durable), bench.told) == (2, 1001)
    assert len({event.event_id for event in bench.sink.durable}) == 2


async def test_another_address_target_or_reason_is_recorded_at_once() -> None:
    bench = Bench()
    await bench.come()
    await bench.come(address="192.0.2.8")
    await bench.come(target="billing")
    await bench.come(reason="the token expired")
    assert len(bench.sink.durable) == bench.told == 4


async def test_within_the_minute_nothing_more_is_recorded_and_after_it_the_next_is_a_first() -> None:
    bench = Bench()
    await bench.come(2)
    bench.now_us += WINDOW_US - 1
    await bench.attempts.settle()
    assert len(bench.sink.durable) == 1
    bench.now_us += 1
    await bench.come()
    assert (len(bench.sink.durable), bench.told) == (3, 3)


async def test_what_was_counted_is_recorded_at_the_end() -> None:
    bench = Bench()
    await bench.come(5)
    await bench.come(3, address="192.0.2.8")
    await bench.attempts.close()
    assert bench.told == 8
    await bench.attempts.close()
    assert bench.told == 8


async def test_who_comes_once_leaves_one_event() -> None:
    bench = Bench()
    await bench.come()
    bench.now_us += WINDOW_US
    await bench.attempts.settle()
    await bench.attempts.close()
    assert len(bench.sink.durable) == 1


async def test_those_who_come_from_ever_new_addresses_are_bounded_in_memory_and_none_is_missing() -> None:
    bench = Bench(most=10)
    for number in range(200):
        await bench.come(2, address=f"192.0.2.{number}")
        assert len(bench.attempts._known) <= 10
    await bench.attempts.close()
    assert bench.told == 400


async def test_when_the_first_cannot_be_recorded_none_like_it_is_answered() -> None:
    bench = Bench()
    bench.sink.open.clear()
    bench.sink.refuse = lambda _: True
    waiting = [asyncio.ensure_future(bench.come()) for _ in range(5)]
    await bench.sink.asked.wait()
    bench.sink.open.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, NotRecorded) for result in results)
    bench.sink.refuse = lambda _: False
    await bench.come()
    assert bench.told == 1


async def test_a_first_who_hangs_up_is_recorded_all_the_same() -> None:
    bench = Bench()
    bench.sink.open.clear()
    first, second = asyncio.ensure_future(bench.come()), asyncio.ensure_future(bench.come())
    await bench.sink.asked.wait()
    first.cancel()
    bench.sink.open.set()
    await second
    assert len(bench.sink.durable) == 1


async def test_a_count_that_could_not_be_recorded_is_recorded_later() -> None:
    bench = Bench(most=1)
    await bench.come(4)
    bench.sink.refuse = lambda _: True
    bench.now_us += WINDOW_US
    await bench.attempts.settle()
    with pytest.raises(NotRecorded):
        await bench.come(address="192.0.2.8")
    bench.sink.refuse = lambda _: False
    await bench.attempts.settle()
    assert bench.told == 4


async def test_no_body_is_held_and_the_event_says_when_the_last_one_came() -> None:
    bench = Bench()
    await bench.come()
    bench.now_us += 5_000_000
    await bench.come()
    await bench.attempts.close()
    first, last = bench.sink.durable
    assert last.time_us - first.time_us == 5_000_000
    assert replace(last, event_id="", session_id="", call_id="", time_us=0, reason="") == replace(
        first, event_id="", session_id="", call_id="", time_us=0, reason=""
    )
