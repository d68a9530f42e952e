"""A window never lets go of a moment too early, and keys tell callers apart as the record does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.model.rule import Window
from countersign.model.windows import TIERS, usage_key
from countersign.recorder.entry import searchable

TIMES = st.integers(min_value=0, max_value=2**52)


@given(TIMES, TIMES, st.sampled_from(list(Window)))
def test_a_window_holds_all_moments_within_it_and_few_before(time_us: int, now_us: int, window: Window) -> None:
    tier = TIERS[window]
    held = tier.bucket(time_us) >= tier.oldest(now_us)
    age_us = now_us - time_us
    if age_us <= tier.window_us:
        assert held
    if age_us >= tier.window_us + tier.bucket_us:
        assert not held


@given(TIMES, st.sampled_from(list(Window)))
def test_a_bucket_leaves_exactly_when_it_is_said_to(time_us: int, window: Window) -> None:
    tier = TIERS[window]
    bucket = tier.bucket(time_us)
    leaves_us = tier.leaves_us(bucket)
    assert tier.oldest(leaves_us - 1) <= bucket < tier.oldest(leaves_us)


def test_coarse_buckets_are_made_of_whole_fine_ones() -> None:
    finest = TIERS[Window.MINUTE].bucket_us
    assert [tier.bucket_us % finest for tier in TIERS.values()] == [0, 0, 0]
    assert [tier.window_us // tier.bucket_us for tier in TIERS.values()] == [30, 60, 48]


def test_keys_tell_the_parts_apart() -> None:
    keys = {usage_key(*parts) for parts in [("a", "b", "c"), ("ab", "", "c"), ("a", "bc", ""), ("b", "a", "c")]}
    assert len(keys) == 4


@pytest.mark.parametrize("subject", ["x" * 512, "a\0b", "\U0001f600" * 600, "a\ud800"])
def test_keys_are_of_what_the_record_can_search(subject: str) -> None:
    assert usage_key("i", subject, "t") == usage_key("i", searchable(subject), "t")
