"""The promise: an offset in a long string stands in its literal behind what writes the characters before it."""

from __future__ import annotations

import json

import pytest

from countersign.masking.offsets import raw_offsets

PART = 'a "quoted" é / word\n😀 '


@pytest.mark.parametrize(
    "written",
    [
        json.dumps(PART)[1:-1],
        json.dumps(PART, ensure_ascii=False)[1:-1],
        json.dumps(PART).replace("/", r"\/")[1:-1],
        json.dumps(PART, ensure_ascii=False).replace(" ", r"\u0020")[1:-1],
    ],
    ids=["ascii", "utf-8", "slashes", "mixed"],
)
def test_offsets_hold_across_the_pieces_of_a_long_value(written: str) -> None:
    times = 10_000
    text = f'["{written * times}"]'
    value = PART * times
    offsets = [0, 3, 65_535, 65_536, 65_537, 131_072, len(value) - 1, len(value)]
    found = raw_offsets(text, 1, len(text) - 1, value, offsets)
    assert [json.loads(f'{text[1:at]}"') for at in found.values()] == [value[:offset] for offset in found]
    assert list(found) == offsets
