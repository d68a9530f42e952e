"""Identifiers that are all that a text says: nothing beside them tells what they are, and nothing says otherwise."""

from __future__ import annotations

from collections.abc import Callable

from countersign.masking.detectors.base import Hit, Pattern

_WHY = "the text is nothing but its form, and its check is right"
_SHORTEST = 9
# Times since 1970 of the years 2014 to 2033, in seconds and in milliseconds.
_FIRST_TIME_S, _END_OF_TIMES_S = 1_400_000_000, 2_000_000_000
_BLANKS = r"[ \t\r\n]{0,8}"
# The message around a text may be seen, too, in which MCP calls the text so.
_BEFORE, _AFTER = rf"""(?:\A{_BLANKS}["']?|"text":[ \t\n]?")""", rf"""(?:["']?{_BLANKS}\z|")"""
# A larger message says more than one identifier.
_LONGEST_MESSAGE_BYTES = 4_096


class Whole:
    """One way to write an identifier, where it is a whole text, in capital letters or small ones; a `Detector`."""

    gate = (rf"{_BEFORE}[A-Za-z]{{0,6}}[ -]?[0-9][0-9A-Za-z ./-]{{4,30}}{_AFTER}",)

    def __init__(self, label: str, pattern: str, check: Callable[[str], bool], compact: Callable[[bytes], str]) -> None:
        """``check`` sees what ``compact`` makes of a match."""
        self.label = label
        self._pattern = Pattern(rf"{_BEFORE}((?i:{pattern})){_AFTER}")
        self._check = check
        self._compact = compact

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`."""
        if len(data) > _LONGEST_MESSAGE_BYTES:
            return []
        return [
            Hit(start, end, _WHY)
            for start, end in self._pattern.spans(data, 1)
            if self._may_be_one(self._compact(data[start:end]))
        ]

    def _may_be_one(self, number: str) -> bool:
        return number.isascii() and len(number) >= _SHORTEST and not _is_time(number) and self._check(number)


def _is_time(number: str) -> bool:
    """Whether it is a time of these years rather than a number of somebody's."""
    if len(number) not in (10, 13) or not number.isdigit():
        return False
    return _FIRST_TIME_S <= int(number[:10]) < _END_OF_TIMES_S
