"""The strings of a JSON text that do not read as they are written, or may be JSON themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import re2

from countersign.jsontext import string_at

# A string without escapes that may be JSON itself: no quotation mark that closes one is followed by a bracket.
_OPENING = re.compile(r'"[ \ufeff]*[{\[]')
_ASCII_OPENING: re.Pattern[bytes] = re2.compile(r'" *[{\[]')
_LONG, _CHUNK = 4_096, 262_144


def special_strings(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield each string of a JSON text that holds an escape or may be JSON itself: its start, end and value."""
    if '"' not in text:
        return
    find_opening = _finder(text)
    done = 0
    escape = text.find("\\")
    opening = find_opening(0)
    while escape >= 0 or opening >= 0:
        # Up to the first escape every quotation mark opens or closes a string, so the last one opened this.
        start = opening if 0 <= opening < escape or escape < 0 else text.rfind('"', done, escape)
        value, done = string_at(text, start)
        yield start, done, value
        if 0 <= escape < done:
            escape = text.find("\\", done)
        if 0 <= opening < done:
            opening = find_opening(done)


def _finder(text: str) -> Callable[[int], int]:
    """Return what finds the next string, from a place on, that may be JSON although it has no escape; or -1."""
    if len(text) < _LONG or not text.isascii():
        return lambda start: _start(_OPENING.search(text, start))
    return _AsciiFinder(text).find


class _AsciiFinder:
    """Finds in bytes, several times faster, and encodes no more of the text at once than it must."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._chunk = b""
        self._at = 0

    def find(self, start: int) -> int:
        while start < len(self._text):
            if not self._at <= start < self._at + len(self._chunk):
                self._chunk, self._at = self._text[start : start + _CHUNK].encode(), start
            match = _ASCII_OPENING.search(self._chunk, start - self._at)
            if match is not None:
                return self._at + match.start()
            end = self._at + len(self._chunk)
            # A quotation mark before the blanks at the end may open one whose bracket comes later.
            before_blanks = self._at + len(self._chunk.rstrip(b" "))
            if (
                self._text[before_blanks - 1] == '"'
                and end < len(self._text)
                and _OPENING.match(self._text, before_blanks - 1) is not None
            ):
                return before_blanks - 1
            start = end
        return -1


def _start(match: re.Match[str] | None) -> int:
    return -1 if match is None else match.start()
