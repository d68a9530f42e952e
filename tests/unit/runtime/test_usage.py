"""What is not known is not passed off as nothing, and no clock that jumps empties a window."""

from __future__ import annotations

from dataclasses import replace

import pytest

from countersign.api.access.v1 import usage_pb2
from countersign.model.principal import Principal
from countersign.model.rule import Window
from countersign.model.windows import TIERS, usage_key
from countersign.runtime.usage import SILENCE_S, UsageView
from tests.support.events import ALICE

NOW_US = 1_790_000_000_000_000
HOUR_US = 3_600_000_000
BOB = replace(ALICE, subject="bob")


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.s = 5_000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def view(clock: Clock) -> UsageView:
    return UsageView("unix:/nowhere", monotonic_s=clock)


def message(
    calls: int = 0, *, who: Principal = ALICE, time_us: int = NOW_US, behind_us: int = 0, complete: bool = True
) -> usage_pb2.WatchUsageResponse:
    bucket = usage_pb2.UsageBucket(
        key=usage_key(who.issuer, who.subject, "orders"),
        window=usage_pb2.USAGE_WINDOW_MINUTE,
        bucket=TIERS[Window.MINUTE].bucket(time_us),
        calls=calls,
    )
    return usage_pb2.WatchUsageResponse(
        buckets=[bucket] if calls else [],
        position=1,
        complete=complete,
        time_us=time_us,
        counted_until_us=time_us - behind_us,
    )


def is_fresh(view: UsageView) -> bool:
    return view.fresh


def calls(view: UsageView, now_us: int = NOW_US, who: Principal = ALICE) -> int:
    return view.of(who, "orders", now_us).calls_1m


def test_nothing_is_fresh_before_all_was_told(view: UsageView) -> None:
    assert not is_fresh(view)
    view.take(message(5, complete=False))
    assert not is_fresh(view)
    view.take(message())
    assert is_fresh(view)
    assert calls(view) == 5


def test_nothing_is_fresh_before_all_is_counted_that_passed_before_the_start(view: UsageView) -> None:
    """Whoever could restart a gateway would else have some seconds in which nobody knows of its last calls."""
    view.take(message(5, behind_us=300_000))
    assert not is_fresh(view)
    view.take(message(time_us=NOW_US + 200_000, behind_us=300_000))
    assert not is_fresh(view)
    view.take(message(time_us=NOW_US + 400_000, behind_us=300_000))
    assert is_fresh(view)


def test_a_database_clock_that_steps_back_keeps_nobody_waiting(view: UsageView, clock: Clock) -> None:
    view.take(message(behind_us=300_000))
    view.take(message(time_us=NOW_US - HOUR_US))
    assert is_fresh(view)
    clock.s += SILENCE_S + 1
    view.take(message(time_us=NOW_US - 2 * HOUR_US))
    assert is_fresh(view)


def test_silence_makes_what_is_known_too_old(view: UsageView, clock: Clock) -> None:
    view.take(message())
    clock.s += SILENCE_S
    assert is_fresh(view)
    clock.s += 0.1
    assert not is_fresh(view)
    view.take(message())
    assert is_fresh(view)


def test_heartbeats_without_counting_make_nothing_fresh(view: UsageView, clock: Clock) -> None:
    view.take(message())
    clock.s += 4
    view.take(message(time_us=NOW_US + 4_000_000, behind_us=4_000_000))
    clock.s += 5
    assert is_fresh(view)
    clock.s += 2
    assert not is_fresh(view)
    view.take(message(time_us=NOW_US + 11_000_000, behind_us=11_000_000))
    assert not is_fresh(view)
    view.take(message(time_us=NOW_US + 11_000_000, behind_us=-1_000_000))
    assert is_fresh(view)


def test_pages_of_a_change_make_nothing_fresh_by_themselves(view: UsageView, clock: Clock) -> None:
    view.take(message())
    clock.s += SILENCE_S + 1
    view.take(message(1, complete=False))
    assert not is_fresh(view)


def test_own_calls_count_at_once_and_for_nobody_else(view: UsageView) -> None:
    for _ in range(3):
        view.count_call(ALICE, "orders", NOW_US)
    assert calls(view) == 3
    assert calls(view, who=BOB) == 0
    assert view.of(ALICE, "billing", NOW_US).calls_1m == 0
    assert view.of(replace(ALICE, token_id="other", groups=()), "orders", NOW_US).calls_1m == 3


def test_calls_leave_the_window_in_time(view: UsageView, clock: Clock) -> None:
    view.take(message())
    view.count_call(ALICE, "orders", NOW_US)
    clock.s += 59
    assert calls(view, NOW_US + 59_000_000) == 1
    clock.s += 4
    assert calls(view, NOW_US + 63_000_000) == 0


@pytest.mark.parametrize("jump_us", [HOUR_US, -HOUR_US, 24 * HOUR_US])
def test_our_own_clock_that_jumps_empties_no_window(view: UsageView, clock: Clock, jump_us: int) -> None:
    view.take(message(4))
    view.count_call(BOB, "orders", NOW_US)
    clock.s += 1
    jumped_us = NOW_US + 1_000_000 + jump_us
    assert (calls(view, jumped_us), calls(view, jumped_us, BOB)) == (4, 1)
    view.count_call(BOB, "orders", jumped_us)
    clock.s += 1
    assert calls(view, NOW_US + 2_000_000, BOB) == 2, "and back again"
    [leaves] = {one.after_us for one in view.departures(BOB, "orders", Window.MINUTE, jumped_us)}
    assert leaves <= 62_000_000


def test_a_clock_that_is_a_little_off_is_believed_so_that_calls_stay_in_their_buckets(
    view: UsageView, clock: Clock
) -> None:
    view.take(message(1))
    early_us = NOW_US - 3_000_000
    view.count_call(ALICE, "orders", early_us)
    view.take(message(1, time_us=early_us))
    assert calls(view) == 2


def test_a_restarted_count_is_not_added_to_what_was_told(view: UsageView) -> None:
    view.take(message(7))
    view.count_call(ALICE, "orders", NOW_US)
    restarted = message(2, complete=False)
    restarted.restarted = True
    view.take(restarted)
    assert not is_fresh(view)
    assert calls(view) == 2
    view.take(message())
    assert is_fresh(view)


def test_windows_that_are_not_known_are_passed_over(view: UsageView) -> None:
    odd = message(3)
    odd.buckets[0].window = 99  # type: ignore[assignment]  # from a newer recorder
    view.take(odd)
    assert calls(view) == 0
    assert is_fresh(view)


async def test_closing_without_a_start_and_twice_is_no_error(view: UsageView) -> None:
    await view.close()
    await view.start()
    await view.close()
    await view.close()
    assert not is_fresh(view)
