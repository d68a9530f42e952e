"""Each check by name takes what is right and refuses what one digit, or two that changed places, make wrong."""

from __future__ import annotations

import pytest

from countersign.masking.own import is_valid
from countersign.masking.own.validators import is_random
from countersign.model.rule import VALIDATORS

# From the standards and from encyclopaedias, as examples of the check digits.
RIGHT = {
    "luhn": "7992 7398 713",
    "verhoeff": "2363",
    "damm": "5724",
    "iban": "gb82 WEST 1234 5698 7654 32",
    "mod97": "794 44",
    "mod11_2": "0000-0002-1825-0097",
    "mod11_10": "794623",
    "mod37_2": "G123498654321H",
    "gtin": "4006381333931",
    "entropy": "q7Zp2LxV9tRw",
}


def test_each_name_that_a_file_may_hold_is_known_and_no_other() -> None:
    assert set(RIGHT) == set(VALIDATORS)
    with pytest.raises(KeyError):
        is_valid("lunh")


@pytest.mark.parametrize("name", VALIDATORS)
def test_what_is_right_is_taken_and_what_is_not_is_refused(name: str) -> None:
    check = is_valid(name)
    assert check(RIGHT[name])
    for wrong in ("", "x", "é", " - ", "1" * 40 + "2"):
        assert not check(wrong)


@pytest.mark.parametrize("name", [name for name in VALIDATORS if name != "entropy"])
def test_one_wrong_digit_is_noticed(name: str) -> None:
    check, right = is_valid(name), RIGHT[name]
    digits = [place for place, character in enumerate(right) if character.isdigit()]
    for place in digits:
        wrong = right[:place] + str((int(right[place]) + 1) % 10) + right[place + 1 :]
        assert not check(wrong)


def test_a_word_is_not_random() -> None:
    assert not is_random("password")
    assert not is_random("aaaaaaaabbbbbbbb")
    assert not is_random("q7Zp2Lx")
    assert is_random("8f3a91c27be04d65")
