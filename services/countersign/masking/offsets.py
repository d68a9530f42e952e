"""Where the code points of a string's value stand in the literal that writes it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from json import JSONEncoder

_WRITERS = (JSONEncoder(ensure_ascii=True), JSONEncoder(ensure_ascii=False))
_ESCAPE = re.compile(
    r"\\[^u]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}",
)


def raw_offsets(raw: str, value: str, offsets: Sequence[int]) -> dict[int, int]:
    """Turn offsets in a value, in ascending order, into offsets in its literal (quotes included)."""
    if len(raw) == len(value) + 2:
        return {offset: offset + 1 for offset in offsets}
    for writer in _WRITERS:
        # Nearly every literal is what a common writer writes; then to write the pieces again is the fastest ruler.
        if writer.encode(value) == raw:
            return _by_writing(writer, value, offsets)
    return _by_reading(raw, offsets)


def _by_writing(writer: JSONEncoder, value: str, offsets: Sequence[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    at = 1
    for before, offset in pairwise((0, *offsets)):
        at += len(writer.encode(value[before:offset])) - 2
        found[offset] = at
    return found


def _by_reading(raw: str, offsets: Sequence[int]) -> dict[int, int]:
    # One entry for the opening quote and one after each escape; between two, both sides advance alike.
    decoded_at, raw_at = [0], [1]
    for match in _ESCAPE.finditer(raw):
        decoded_at.append(decoded_at[-1] + match.start() - raw_at[-1] + 1)
        raw_at.append(match.end())
    found: dict[int, int] = {}
    for offset in offsets:
        index = bisect_right(decoded_at, offset) - 1
        found[offset] = raw_at[index] + offset - decoded_at[index]
    return found
