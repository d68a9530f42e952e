"""Where a name stands that has a value beside it."""

from __future__ import annotations

from typing import NamedTuple


class Mark(NamedTuple):
    """A name and what separates it from its value (code points).

    ``start`` is the first character of the name without its quotes, ``end`` where the value may begin, blanks skipped.
    """

    start: int
    end: int
    colon: bool
