"""What every detector is, and the one door to RE2."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple, Protocol

import re2

ByteSpan = tuple[int, int]


class Hit(NamedTuple):
    """Where a value stands in UTF-8 text (byte offsets, end exclusive), and what gave it away: a few fixed words."""

    start: int
    end: int
    why: str


class Detector(Protocol):
    """Finds one family of values in UTF-8 text, in time that grows no faster than the text.

    It may have some attributes more:

    ``gate``, a tuple of patterns: in a text where none of them matches, ``find`` finds nothing, so it is not asked. All
    gates together cost one pass over a text, so one that most texts do not match makes its detector free. The patterns
    are read by hyperscan, byte by byte: literals, classes, groups, alternatives, small repeats, ``(?i)`` in front and
    ASCII's ``\\b``; of anchors only ``\\A`` and ``\\z``, no look-around, no Unicode classes (``[^\\x00-\\x7f]`` stands
    for what is not ASCII). The two letters that only RE2 folds (U+212A, U+017F) are seen to. A gate must be no stricter
    than its detector; where unsure, looser.

    ``shape``, in place of a gate, where hyperscan would find no literal to look for: a pattern of RE2 over UTF-8, with
    the same promise. All shapes together cost one pass, too, and a text that has one is searched for dozens of them.

    ``parts``, a tuple of detectors with the same label that together are this one: each has a gate of its own, and
    they are asked in its place.
    """

    @property
    def label(self) -> str:
        """What a finding is called: upper case, as in ``EMAIL``."""
        ...

    def find(self, data: bytes) -> list[Hit]:
        """Where the values stand, on character boundaries; they may overlap. ``why`` never quotes the text."""
        ...


def gate_of(detector: Detector) -> tuple[str, ...]:
    """The detector's gate; empty when it must see every text."""
    gate: tuple[str, ...] = getattr(detector, "gate", ())
    return gate


def shape_of(detector: Detector) -> str:
    """The detector's shape; empty when it has none."""
    shape: str = getattr(detector, "shape", "")
    return shape


def parts_of(detector: Detector) -> tuple[Detector, ...]:
    """The detectors to ask in place of this one."""
    parts: tuple[Detector, ...] = getattr(detector, "parts", ())
    return parts or (detector,)


class Pattern:
    """A regular expression that cannot be made to hang (RE2), over bytes of UTF-8.

    It must not need to look far past the end of a match to know that end: a search after each match would look again.
    It is compiled when it is first used: there are hundreds, most texts ask for few, and a start would pay for all.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    @cached_property
    def _regexp(self) -> re2._Regexp:
        options = re2.Options()
        options.log_errors = False
        return re2.compile(self._pattern, options)

    def compiled(self) -> Pattern:
        """Return it, compiled. Raises ``re2.error`` if RE2 does not take it."""
        _ = self._regexp
        return self

    def spans(self, data: bytes, group: int = 0) -> Iterator[ByteSpan]:
        """Yield where the group stands in each match that has it."""
        for match in self._regexp.finditer(data):
            start, end = match.span(group)
            if start >= 0:
                yield start, end

    def groups(self, data: bytes) -> Iterator[tuple[ByteSpan, ...]]:
        """Yield the spans of each match and all its groups; a group that took no part is ``(-1, -1)``."""
        numbers = range(self._regexp.groups + 1)
        for match in self._regexp.finditer(data):
            yield tuple(map(match.span, numbers))

    def matches(self, data: bytes) -> bool:
        """Whether it matches anywhere."""
        return self._regexp.search(data) is not None

    def end_of_match(self, data: bytes, start: int, limit: int) -> int:
        """Where a match that begins exactly at ``start`` ends, at most at ``limit``; ``start`` if there is none."""
        match = self._regexp.match(data, start, limit)
        return start if match is None else int(match.end())

    def group_of_match(self, data: bytes, start: int, limit: int, group: int = 1) -> ByteSpan | None:
        """Where the group stands in a match that begins exactly at ``start`` and ends, at most, at ``limit``."""
        match = self._regexp.match(data, start, limit)
        return None if match is None else match.span(group)
