"""Use that is counted again from the record is what the live counters would have said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.model.decision import Outcome
from countersign.model.situation import Usage
from countersign.model.windows import usage_key
from countersign.rehearsal.record import RecordedAnswer
from countersign.rehearsal.usage import LONGEST_US, UsageHistory
from countersign.runtime.counts import Counts
from tests.support.events import ALICE, START_US
from tests.unit.rehearsal.policies import answer, call, decided

steps = st.lists(st.integers(0, 4 * 3_600 * 10**6), max_size=40)


@given(steps=steps)
def test_calls_are_counted_as_the_live_counters_count_them(steps: list[int]) -> None:
    live, again, now_us = Counts(), UsageHistory(), 0
    key = usage_key(ALICE.issuer, "alice", "orders")
    for step in steps:
        now_us += step
        assert again.before(ALICE, "orders", START_US + now_us) == live.usage(key, START_US + now_us)
        again.add_call(call(after_us=now_us))
        live.add_call(key, START_US + now_us)


def test_rows_and_bytes_are_those_of_answers_in_their_windows() -> None:
    history = UsageHistory()
    history.add_answer(answer(5, 100))
    history.add_answer(answer(7, 10, after_us=3_000_000))
    now_us = START_US + 63_000_000
    expected = Usage(rows_1m=7, rows_1h=12, rows_24h=12, bytes_1m=10, bytes_1h=110, bytes_24h=110)
    assert history.before(ALICE, "orders", now_us) == expected
    assert history.before(ALICE, "orders", START_US + LONGEST_US + 10**10) == Usage()


def test_only_allowed_calls_that_do_something_count_and_each_for_its_own() -> None:
    history = UsageHistory()
    listing = call()
    for one in (
        call(),
        call(decision=decided(Outcome.DENY)),
        call(subject="bob"),
        replace(listing, call=replace(listing.call, method="tools/list")),
    ):
        history.add_call(one)
    assert history.before(ALICE, "orders", START_US).calls_1m == 1
    assert history.before(ALICE, "stock", START_US) == Usage()
    assert history.before(replace(ALICE, issuer="https://other.example"), "orders", START_US) == Usage()


def test_those_who_fell_silent_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countersign.rehearsal.usage._SWEEP_FROM_KEYS", 10)
    history = UsageHistory()
    for number in range(50):
        time_us = START_US + number * LONGEST_US
        history.add_answer(RecordedAnswer(number, time_us, ALICE.issuer, f"s{number}", "orders", 1, 1))
    assert len(history._entries) <= 10
