"""The promise: a check tells when one digit is wrong, and agrees with python-stdnum."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn as stdnum_luhn
from stdnum import verhoeff as stdnum_verhoeff
from stdnum.iso7064 import mod_11_10 as stdnum_mod_11_10

from countersign.masking.detectors import checksums

CHECKS: dict[str, tuple[Callable[[str], bool], Callable[[str], bool]]] = {
    "luhn": (checksums.luhn, stdnum_luhn.is_valid),
    "verhoeff": (checksums.verhoeff, stdnum_verhoeff.is_valid),
    "mod_11_10": (checksums.mod_11_10, stdnum_mod_11_10.is_valid),
}
DIGITS = st.text("0123456789", min_size=2, max_size=20)


@pytest.mark.parametrize("name", CHECKS)
@given(number=DIGITS)
def test_it_agrees_with_stdnum(name: str, number: str) -> None:
    ours, theirs = CHECKS[name]
    assert ours(number) == theirs(number)


@pytest.mark.parametrize("name", CHECKS)
@given(number=DIGITS, at=st.integers(0, 19))
def test_of_all_digits_at_one_place_one_is_right(name: str, number: str, at: int) -> None:
    ours, _ = CHECKS[name]
    at %= len(number)
    assert sum(ours(number[:at] + digit + number[at + 1 :]) for digit in "0123456789") == 1


def test_the_check_digits_of_doc_9303() -> None:
    assert checksums.icao("L898902C3") == 6
    assert checksums.icao("740812") == 2
    assert checksums.icao("ZE184226B<<<<<") == 1
