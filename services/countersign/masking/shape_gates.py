"""One look at a text tells which of many shapes of tokens stand in it: RE2 reads them all as one automaton."""

from __future__ import annotations

from collections.abc import Sequence

import re2

_PER_GROUP = 12
# Beyond so many places in a text it is cheaper to look for the shapes group by group.
_BYTES_PER_PLACE = 1_024
_FEWEST_PLACES = 16
# With the 8 MiB that RE2 takes unless told, texts full of digits have it forget states all the time, at a hundred times
# the price. Most texts need a tenth of this.
_MOST_MEMORY_BYTES = 48 * 1024 * 1024


class Shapes:
    """Patterns without a literal that hyperscan could look for.

    All of them together cost one pass; only at the places where one matches, it is worked out which ones do.
    """

    def __init__(self, shapes: Sequence[str]) -> None:
        """Take RE2 patterns over UTF-8; those that are seen together had better be neighbours."""
        self._any = _union(shapes)
        self._shapes = [_union([shape]) for shape in shapes]
        self._groups = [
            (_union(shapes[at : at + _PER_GROUP]), range(at, min(at + _PER_GROUP, len(shapes))))
            for at in range(0, len(shapes), _PER_GROUP)
        ]

    def seen(self, data: bytes) -> list[int]:
        """The numbers of shapes that may stand somewhere in ``data``; none that do is left out."""
        found: set[int] = set()
        at = 0
        for _ in range(len(data) // _BYTES_PER_PLACE + _FEWEST_PLACES):
            match = self._any.search(data, at)
            if match is None:
                return sorted(found)
            at = match.start()
            for group, numbers in self._groups:
                if not found.issuperset(numbers) and group.match(data, at) is not None:
                    found.update(number for number in numbers if self._shapes[number].match(data, at) is not None)
            # The next match may begin within this one.
            at += 1
        return [number for group, numbers in self._groups if group.search(data) is not None for number in numbers]


def _union(shapes: Sequence[str]) -> re2._Regexp[bytes]:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MOST_MEMORY_BYTES
    return re2.compile("|".join(f"(?:{shape})" for shape in shapes).encode(), options)
