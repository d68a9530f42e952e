"""Where the code points of a string's value stand in the literal that writes it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from json import JSONEncoder

_WRITERS = (JSONEncoder(ensure_ascii=True), JSONEncoder(ensure_ascii=False))
_ESCAPE = re.compile(
    r"\\[^u]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}",
)
# A long value is measured in pieces, so that no copy of all of it is made.
_PIECE = 65_536


def raw_offsets(text: str, start: int, end: int, value: str, offsets: Iterable[int]) -> dict[int, int]:
    """Turn offsets in a value, in ascending order, into offsets in the text that holds its literal.

    The literal stands from ``start`` to ``end``, quotation marks included.
    """
    if end - start == len(value) + 2:
        return {offset: start + 1 + offset for offset in offsets}
    found: dict[int, int] = {}
    done, at = 0, start + 1
    for offset in offsets:
        while done < offset:
            piece = value[done : min(done + _PIECE, offset)]
            at = _end_of(piece, text, at)
            done += len(piece)
        found[offset] = at
    return found


def _end_of(piece: str, text: str, at: int) -> int:
    """Where what begins at ``at``, and writes a piece of a value, ends."""
    for writer in _WRITERS:
        # Nearly every literal is what a common writer writes; then to write the piece again is the fastest ruler.
        written = writer.encode(piece)[1:-1]
        if text.startswith(written, at):
            return at + len(written)
    left = len(piece)
    for match in _ESCAPE.finditer(text, at):
        plain = match.start() - at
        if plain >= left:
            break
        left -= plain + 1
        at = match.end()
    return at + left
