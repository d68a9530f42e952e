"""One look at a text tells which of many shapes of tokens may stand in it: RE2 reads them all as one automaton."""

from __future__ import annotations

from collections.abc import Sequence

import re2

_PER_GROUP = 12


class Shapes:
    """Patterns without a literal that hyperscan could look for.

    All of them together cost one pass; only where one matches, they are looked for in groups.
    """

    def __init__(self, shapes: Sequence[str]) -> None:
        """Take RE2 patterns over UTF-8; those that are seen together had better be neighbours."""
        self._any = _union(shapes)
        self._groups = [
            (_union(shapes[at : at + _PER_GROUP]), range(at, min(at + _PER_GROUP, len(shapes))))
            for at in range(0, len(shapes), _PER_GROUP)
        ]

    def seen(self, data: bytes) -> list[int]:
        """The numbers of shapes that may stand somewhere in ``data``; none that do is left out."""
        if self._any.search(data) is None:
            return []
        return [number for union, numbers in self._groups if union.search(data) is not None for number in numbers]


def _union(shapes: Sequence[str]) -> re2._Regexp[bytes]:
    options = re2.Options()
    options.log_errors = False
    return re2.compile("|".join(f"(?:{shape})" for shape in shapes).encode(), options)
