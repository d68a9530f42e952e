"""A signature never denies what it holds, and seldom affirms what it does not."""

from __future__ import annotations

import random

import pytest

from countersign.recorder.search.signature import EVERYTHING, MAX_KEYS, key_of, may_hold, signature, word_key


@pytest.mark.parametrize("count", [0, 1, 3, 500, 3_000])
def test_what_was_signed_may_be_held(count: int) -> None:
    keys = {key_of(f"word-{number}") for number in range(count)}
    bits = signature(keys)
    assert all(may_hold(bits, key) for key in keys)


def test_it_errs_about_once_in_seven_thousand() -> None:
    chance = random.Random(1)
    bits = signature({chance.getrandbits(64) for _ in range(1_000)})
    wrong = sum(may_hold(bits, chance.getrandbits(64)) for _ in range(20_000))
    assert wrong < 12
    assert len(bits) == 2_500


def test_it_errs_as_seldom_about_words_that_are_alike() -> None:
    bits = signature({word_key(b"%d" % number) for number in range(10_000, 14_000)})
    assert all(may_hold(bits, word_key(b"%d" % number)) for number in range(10_000, 14_000))
    wrong = sum(may_hold(bits, word_key(b"%d" % number)) for number in range(20_000, 40_000))
    assert wrong < 12


def test_too_many_keys_may_be_anything_and_take_a_byte() -> None:
    bits = signature(set(range(MAX_KEYS + 1)))
    assert bits == EVERYTHING
    assert may_hold(bits, key_of("anything"))
