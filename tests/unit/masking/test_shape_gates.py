"""The promise: a shape that stands in a text is seen, wherever others begin before it or overlap it."""

from __future__ import annotations

from random import Random

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from countersign.masking import detectors
from countersign.masking.detectors.base import parts_of, shape_of
from countersign.masking.shape_gates import Shapes
from countersign.model.personal_data import PERSONAL_DATA
from tests.support.cost import cpu_s

PATTERNS = [
    shape for name in PERSONAL_DATA for part in parts_of(detectors.make(name, None)) if (shape := shape_of(part))
]
SHAPES = Shapes(PATTERNS)
SINGLE = [re2.compile(pattern.encode()) for pattern in PATTERNS]
PIECES = [
    *(
        "12",
        "345",
        "6789",
        "44051401359",
        "415-555",
        "-0132",
        "A",
        "AB",
        "X2482300",
        "W",
        "GB82",
        "WEST",
        "1.1",
        ".2.3",
    ),
    *(
        "00:1A:2b",
        ":3C:4d:5E",
        "0",
        "+",
        " ",
        " ",
        "-",
        "/",
        ".",
        "_",
        "(",
        ")",
        "\n",
        "\u00e9",
        "\u212a",
        "P<UTO",
        "<<",
    ),
]


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=60))
def test_no_shape_is_overlooked(pieces: list[str]) -> None:
    data = "".join(pieces).encode()
    there = {number for number, pattern in enumerate(SINGLE) if pattern.search(data) is not None}
    assert there <= set(SHAPES.seen(data))


def test_few_places_open_no_more_than_what_matches_there() -> None:
    data = b"x" * 5_000 + b" 415-555-0132 " + b"x" * 5_000
    assert set(SHAPES.seen(data)) == {number for number, pattern in enumerate(SINGLE) if pattern.search(data)}


def test_many_places_leave_nothing_out() -> None:
    data = b"44051401359 " * 2_000 + b"X2482300W"
    there = {number for number, pattern in enumerate(SINGLE) if pattern.search(data) is not None}
    assert there <= set(SHAPES.seen(data))


@pytest.mark.parametrize("most_digits", [4, 9, 16])
def test_a_text_full_of_digits_is_looked_at_as_fast_as_any(most_digits: int) -> None:
    random = Random(1)
    data = " ".join(str(random.randrange(10**most_digits)) for _ in range(500_000 // most_digits)).encode()
    assert cpu_s(lambda: SHAPES.seen(data)) < 0.8
