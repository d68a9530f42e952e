"""A limit lets exactly its calls pass, to those it is about, and says truly when the next may come."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.model.principal import PrincipalKind
from countersign.model.rule import RateLimit, Selector, Window
from countersign.model.situation import Usage
from countersign.model.windows import TIERS, Departure
from countersign.policy.rates import RateLimits, describe, retry_after_s
from countersign.runtime.counts import Counts
from tests.support.events import ALICE

SECOND_US = 1_000_000


EVERYBODY = Selector()


def limit(
    calls: int = 10, window: Window = Window.MINUTE, name: str = "gentle", selector: Selector = EVERYBODY
) -> RateLimit:
    return RateLimit(name, selector, calls, window)


def used(calls: int) -> Usage:
    return Usage(calls_1m=calls, calls_1h=calls, calls_24h=calls)


@pytest.mark.parametrize("window", Window)
def test_as_many_calls_pass_as_the_limit_says(window: Window) -> None:
    one = limit(10, window)
    limits = RateLimits([one])
    assert limits.exceeded(ALICE, "orders", used(9)) == ()
    assert limits.exceeded(ALICE, "orders", used(10)) == (one,)
    assert limits.exceeded(ALICE, "orders", used(8), more=2) == ()
    assert limits.exceeded(ALICE, "orders", used(8), more=3) == (one,)


def test_each_window_is_judged_by_its_own_count() -> None:
    usage = Usage(calls_1m=1, calls_1h=20, calls_24h=300)
    for window, passing in ((Window.MINUTE, 2), (Window.HOUR, 21), (Window.DAY, 301)):
        assert RateLimits([limit(passing, window)]).exceeded(ALICE, "orders", usage) == ()
        assert RateLimits([limit(passing - 1, window)]).exceeded(ALICE, "orders", usage) != ()


SELECTORS = [
    (Selector(), True),
    (Selector(groups=("analysts",)), True),
    (Selector(groups=("*",)), True),
    (Selector(groups=("admins",)), False),
    (Selector(principals=("ali*",)), True),
    (Selector(principals=("bob",)), False),
    (Selector(kinds=(PrincipalKind.PERSON,)), True),
    (Selector(kinds=(PrincipalKind.AGENT, PrincipalKind.MACHINE)), False),
    (Selector(targets=("ord*",)), True),
    (Selector(targets=("billing",)), False),
    (Selector(targets=("orders",), groups=("admins",)), False),
    (Selector(tools=("query",), methods=("x",)), True),
]


@pytest.mark.parametrize(("selector", "bound"), SELECTORS)
def test_a_limit_is_about_whom_it_names_and_nobody_else(selector: Selector, bound: bool) -> None:
    limits = RateLimits([limit(1, selector=selector)])
    assert limits.bind(ALICE, "orders") is bound
    assert bool(limits.exceeded(ALICE, "orders", used(99))) is bound


def test_everybody_is_bound_who_is_in_no_group() -> None:
    loner = replace(ALICE, groups=())
    assert RateLimits([limit(selector=Selector(groups=("*",)))]).bind(loner, "orders")


def test_of_several_limits_all_are_told_in_the_same_order() -> None:
    some = [limit(5, name="short"), limit(7, Window.DAY, name="long"), limit(90, Window.DAY, name="longest")]
    for ordered in (some, some[::-1]):
        reached = RateLimits(ordered).exceeded(ALICE, "orders", used(50))
        assert [one.name for one in reached] == ["long", "short"]


def test_without_limits_nobody_is_held_back() -> None:
    assert RateLimits([]).exceeded(ALICE, "orders", used(10**9)) == ()


def test_the_wait_ends_when_enough_calls_left() -> None:
    leaving = [Departure(30 * SECOND_US, 2), Departure(10 * SECOND_US, 3), Departure(20_000_001, 5)]
    assert [retry_after_s(limit(calls), leaving) for calls in (10, 8, 7, 3, 2, 1)] == [10, 10, 21, 21, 30, 30]


def test_the_wait_is_at_least_a_second_and_for_what_never_passes_the_window() -> None:
    assert retry_after_s(limit(5), [Departure(1, 5)]) == 1
    assert retry_after_s(limit(5), []) == 1
    assert retry_after_s(limit(5), [Departure(SECOND_US, 5)], more=6) == 60
    assert retry_after_s(limit(5, Window.DAY), [], more=6) == 86_400


CALLS = st.lists(st.integers(min_value=0, max_value=90 * SECOND_US), min_size=1, max_size=40)


@given(CALLS, st.integers(min_value=1, max_value=10), st.sampled_from(list(Window)))
def test_a_call_that_waits_as_told_passes_and_none_passes_much_earlier(
    times: list[int], calls: int, window: Window
) -> None:
    counts, start = Counts(), 10**15
    for time_us in times:
        counts.add_call(b"k" * 32, start + time_us)
    now_us = start + 90 * SECOND_US
    one = limit(calls, window)
    limits = RateLimits([one])
    if not limits.exceeded(ALICE, "orders", counts.usage(b"k" * 32, now_us)):
        return
    wait_s = retry_after_s(one, counts.departures(b"k" * 32, window, now_us))
    after = counts.usage(b"k" * 32, now_us + wait_s * SECOND_US)
    assert limits.exceeded(ALICE, "orders", after) == ()
    before = counts.usage(b"k" * 32, now_us + (wait_s - 1) * SECOND_US - 1)
    assert wait_s == 1 or limits.exceeded(ALICE, "orders", before) == (one,)
    assert wait_s <= (TIERS[window].window_us + TIERS[window].bucket_us) // SECOND_US


def test_a_caller_is_told_the_limit_by_its_name() -> None:
    assert describe(limit(1)) == 'the rate limit "gentle" (1 call in any minute) is reached'
    assert (
        describe(limit(5), more=6) == 'the rate limit "gentle" (5 calls in any minute) never lets 6 calls pass at once'
    )
    assert describe(limit(5, Window.DAY)) == 'the rate limit "gentle" (5 calls in any 24 hours) is reached'
