"""Counts against a plain model: never too low, and exact where there is room."""

from __future__ import annotations

from dataclasses import astuple

from hypothesis import given
from hypothesis import strategies as st

from countersign.model.rule import Window
from countersign.model.windows import TIERS
from countersign.runtime.counts import Counts

START_US = 1_790_000_000_000_000
SECOND_US = 1_000_000
KEYS = [bytes([number]) * 32 for number in range(4)]
# Two of them share a place once there is no room: see ``_number``.
TWINS = [b"\0\0\0\0" + bytes(28), b"\0\0\1\0" + bytes(28), b"\0\0\0\1" + bytes(28)]

MOMENTS = st.one_of(
    st.integers(min_value=0, max_value=130 * SECOND_US),
    st.integers(min_value=0, max_value=2 * 3_600 * SECOND_US),
    st.integers(min_value=0, max_value=30 * 3_600 * SECOND_US),
)
CALLS = st.lists(st.tuples(st.sampled_from(range(3)), MOMENTS), max_size=60)


def plain(times: list[int], window: Window, now_us: int) -> int:
    """How many of the moments the window holds, counting its oldest bucket in full."""
    tier = TIERS[window]
    return sum(time_us // tier.bucket_us >= (now_us - tier.window_us) // tier.bucket_us for time_us in times)


def by_window(counts: Counts, key: bytes, now_us: int) -> list[int]:
    usage = counts.usage(key, now_us)
    return [usage.calls_1m, usage.calls_1h, usage.calls_24h]


@given(CALLS, MOMENTS)
def test_calls_that_pass_here_are_counted_exactly(calls: list[tuple[int, int]], after: int) -> None:
    counts = Counts()
    for key, at in sorted(calls, key=lambda one: one[1]):
        counts.add_call(KEYS[key], START_US + at)
        counts.prune(START_US + at, at_most=1)
    now_us = START_US + max([at for _, at in calls], default=0) + after
    for key in range(3):
        times = [START_US + at for mine, at in calls if mine == key]
        assert by_window(counts, KEYS[key], now_us) == [plain(times, window, now_us) for window in Window]


@given(CALLS, CALLS, st.integers(min_value=0, max_value=12))
def test_without_room_counts_are_too_high_or_right_and_never_too_low(
    here: list[tuple[int, int]], elsewhere: list[tuple[int, int]], room: int
) -> None:
    counts = Counts(max_buckets=room)
    now_us = START_US
    told: dict[tuple[int, Window, int], int] = {}
    for at, key, passes_here in sorted(
        [(at, key, True) for key, at in here] + [(at, key, False) for key, at in elsewhere]
    ):
        now_us = START_US + at
        if passes_here:
            counts.add_call(TWINS[key], now_us)
        for window, tier in TIERS.items():
            place = (key, window, tier.bucket(now_us))
            told[place] = told.get(place, 0) + (not passes_here)
            counts.put(TWINS[key], *place[1:], told[place], 0, 0)
        counts.prune(now_us, at_most=2)
        assert counts.held_buckets <= room
    for key in range(3):
        mine, others = ([START_US + at for who, at in calls if who == key] for calls in (here, elsewhere))
        for window, counted in zip(Window, by_window(counts, TWINS[key], now_us), strict=True):
            assert counted >= max(plain(mine, window, now_us), plain(others, window, now_us))


def test_a_call_that_is_told_of_and_passed_here_counts_once() -> None:
    counts = Counts()
    for _ in range(3):
        counts.add_call(KEYS[0], START_US)
    for window, tier in TIERS.items():
        counts.put(KEYS[0], window, tier.bucket(START_US), 2, 0, 0)
    assert by_window(counts, KEYS[0], START_US) == [3, 3, 3]
    for window, tier in TIERS.items():
        counts.put(KEYS[0], window, tier.bucket(START_US), 7, 0, 0)
    assert by_window(counts, KEYS[0], START_US) == [7, 7, 7]


def test_totals_replace_what_was_told_before() -> None:
    counts = Counts()
    bucket = TIERS[Window.HOUR].bucket(START_US)
    for total in (5, 9):
        counts.put(KEYS[0], Window.HOUR, bucket, total, 10 * total, 100 * total)
    usage = counts.usage(KEYS[0], START_US)
    assert astuple(usage) == (0, 9, 0, 0, 90, 0, 0, 900, 0)


def test_a_bucket_of_the_future_counts() -> None:
    counts = Counts()
    counts.add_call(KEYS[0], START_US + 3_600 * SECOND_US)
    assert by_window(counts, KEYS[0], START_US) == [1, 1, 1]


def test_many_subjects_do_not_make_a_busy_one_forgotten() -> None:
    counts = Counts(max_buckets=300)
    for _ in range(50):
        counts.add_call(KEYS[0], START_US)
    for number in range(20_000):
        counts.add_call(number.to_bytes(32, "little"), START_US + number)
    assert min(by_window(counts, KEYS[0], START_US + 20_000)) >= 50
    assert counts.held_buckets == 300
    late = (7).to_bytes(32, "little")
    assert min(by_window(counts, late, START_US + 20_000)) >= 1


def test_a_key_that_had_no_room_keeps_its_counts_when_there_is_room() -> None:
    counts = Counts(max_buckets=3)
    counts.add_call(TWINS[2], START_US)
    for _ in range(5):
        counts.add_call(TWINS[0], START_US)
    much_later_us = START_US + 2 * 3_600 * SECOND_US
    counts.prune(much_later_us, at_most=9)  # the other key's minute and hour make room
    counts.add_call(TWINS[0], much_later_us)
    assert by_window(counts, TWINS[0], much_later_us) == [1, 1, 6]


def test_what_no_window_holds_takes_no_memory() -> None:
    counts = Counts(max_buckets=30)
    for number in range(100):
        counts.add_call(number.to_bytes(32, "big"), START_US)
    counts.prune(START_US + 25 * 3_600 * SECOND_US, at_most=1_000)
    assert counts.held_buckets == 0
    assert by_window(counts, KEYS[0], START_US) == [0, 0, 0]


def test_void_totals_are_forgotten_and_own_calls_are_not() -> None:
    counts = Counts()
    counts.add_call(KEYS[0], START_US)
    for window, tier in TIERS.items():
        counts.put(KEYS[0], window, tier.bucket(START_US), 9, 9, 9)
    counts.forget_told()
    assert by_window(counts, KEYS[0], START_US) == [1, 1, 1]
    assert counts.usage(KEYS[0], START_US).rows_1h == 0


def test_departures_are_all_calls_in_the_order_in_which_they_leave() -> None:
    counts = Counts()
    for seconds in (0, 1, 4, 50):
        counts.add_call(KEYS[0], START_US + seconds * SECOND_US)
    now_us = START_US + 60 * SECOND_US
    leaving = counts.departures(KEYS[0], Window.MINUTE, now_us)
    assert [one.calls for one in leaving] == [2, 1, 1]
    assert [one.after_us for one in leaving] == [2 * SECOND_US, 6 * SECOND_US, 52 * SECOND_US]
