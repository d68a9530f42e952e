"""JSON that stands in lines of a text: NDJSON, whole or with prose around it, and blocks that span several lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from countersign.jsontext import JsonAmbiguous, JsonRefused, JsonText, check, check_lines

_FIRST = re.compile(r"(?m)^[ \t]*[{\[]")
_CLOSERS = {"{": "}", "[": "]"}
_BLANKS = " \t\r"
_MOST_FRAGMENTS = 1_000


class Doubtful(Exception):
    """JSON with escapes that two parsers could read in two ways, or that is nested too deeply. Carries no text."""


def fragments(text: str, *, max_depth: int) -> list[tuple[int, JsonText]]:
    """Return where JSON objects and arrays begin that have their lines for themselves, and what they are, in order.

    Neighbours that have a line each are one fragment. What only looks like JSON is left out; so is what could be read
    in two ways, as long as its names are written plainly. Raises :class:`Doubtful`. The time grows with the text only.
    """
    if _FIRST.search(text) is None:
        return []
    found: list[tuple[int, JsonText]] = []
    for start, end, is_lines in _candidates(text):
        candidate = text[start:end]
        try:
            read = check_lines if is_lines else check
            json = read(candidate, max_depth=max_depth, permit_nan=True)
        except JsonAmbiguous:
            doubtful = "\\" in candidate
        except JsonRefused:
            continue
        else:
            found.append((start, json))
            if len(found) == _MOST_FRAGMENTS:
                break
            continue
        if doubtful:
            raise Doubtful
    return found


def _candidates(text: str) -> Iterator[tuple[int, int, bool]]:
    """Yield stretches that may be JSON: runs of lines that open and close, and blocks between two lines that do."""
    run = block = -1
    closer = ""
    run_end = at = 0
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        line = text[at:end].strip(_BLANKS)
        closes = _CLOSERS.get(line[:1], "?")
        if line and block < 0 and line[-1] == closes and len(line) > 1:
            run = at if run < 0 else run
            run_end = end
        elif line:
            if run >= 0:
                yield run, run_end, True
                run = -1
            if block < 0 and closes != "?":
                block, closer = at, closes
            elif block >= 0 and line == closer and not text[at].isspace():
                yield block, end, False
                block = -1
            elif block >= 0 and not text[at].isspace() and closes != "?":
                block, closer = at, closes
        at = end + 1
    if run >= 0:
        yield run, run_end, True
