"""Which paragraphs hold one pair of name and value a line, so that a comma is part of its value."""

from __future__ import annotations

import re

_PAIR_LINE = re.compile(r"""[ \t]*(?:[-*•+>][ \t]+)*["'`*_]*[^\W\d][^:=\n]{0,80}[:=]""")
_OTHER_LINE = re.compile(r"[ \t]+\S|[-#]")
_ANOTHER = re.compile(r"""[ ,;]["']?[A-Za-z_][\w.-]{0,63}["']? ?[:=](?!//)""")


class Paragraphs:
    """Remembers the paragraph asked for last: names come in the order of the text."""

    def __init__(self) -> None:
        self._start = self._end = 0
        self._verdict = False

    def of_pairs(self, text: str, at: int) -> bool:
        """Whether each line of the paragraph around ``at`` is one pair, or goes on with one."""
        if not self._start <= at < self._end:
            lines = self._lines(text, at)
            self._verdict = all(map(_is_one_pair, lines)) and _PAIR_LINE.match(lines[0]) is not None
        return self._verdict

    def _lines(self, text: str, at: int) -> list[str]:
        start = text.rfind("\n", 0, at) + 1
        while start > self._end:
            above = text.rfind("\n", 0, start - 1) + 1
            if not text[above : start - 1].strip():
                break
            start = above
        end = start
        lines: list[str] = []
        while end < len(text):
            stop = text.find("\n", end)
            stop = len(text) if stop < 0 else stop
            if end > at and not text[end:stop].strip():
                break
            lines.append(text[end:stop])
            end = stop + 1
        self._start, self._end = start, end
        return lines


def _is_one_pair(line: str) -> bool:
    match = _PAIR_LINE.match(line)
    if match is None:
        return _OTHER_LINE.match(line) is not None
    if line[match.end() :].lstrip()[:1] in ("{", "[", '"', "'"):
        return True
    return _ANOTHER.search(line, match.end()) is None
