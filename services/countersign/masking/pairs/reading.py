"""From a name to the stretches of text that are its value: on its line, and in YAML on those below it."""

from __future__ import annotations

import re

from countersign.masking.pairs.marks import Mark
from countersign.masking.pairs.paragraphs import Paragraphs
from countersign.masking.pairs.scalars import rest_of_line, scalar, undecorated

Cell = tuple[int, int]

_BEFORE_KEYS = re.compile(r"""[ \t]*(?:[-?*•+>][ \t]+)*["'`*_]*""")
_BLOCK = re.compile(r"[|>][-+0-9]{0,2}[ \t]*(?:#[^\n]*)?$")
_ITEMS = re.compile(r"[ \t]*(?:[-*•+][ \t]+)*")
_PAIR = re.compile(r"""["']?[^\s"'#:,\[{][^:\n]{0,127}:(?:[ \t]+|$)""")
_QUOTES = "\"'"
_MOST_WORDS_BELOW = 5


def values(text: str, mark: Mark, since: int, limit: int, paragraphs: Paragraphs) -> tuple[list[Cell], int]:
    """The stretches that a mark's value takes up, and where to go on reading.

    ``since`` is where the mark before ends, 0 for the first; ``limit`` is where the next one begins.
    """
    start = undecorated(text, mark.end) if mark.colon else mark.end
    line = text.rfind("\n", since, mark.start) + 1
    before = None if since and not line else _BEFORE_KEYS.match(text, line)
    if before is None or before.end() < mark.start:
        return _alone(scalar(text, start, limit))
    indent = mark.start - line
    while text[line + indent - 1] in _QUOTES and indent > 0:
        indent -= 1
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    written = text[start:end].strip()
    if mark.colon and (not written or written.startswith("#") or _BLOCK.match(written)):
        found, done = _below(text, end + 1, indent, literal=written[:1] in ("|", ">"))
        return (found, done) if done > end or written else _next_line(text, end + 1)
    if written[:1] in (*_QUOTES, "`", "\\", "(", "[", "{"):
        value = scalar(text, start, limit)
        unclosed = written[0] in _QUOTES and text[value[1] : value[1] + 1] != written[0]
        return _continued(text, value, indent, written[0]) if unclosed and mark.colon else _alone(value)
    if paragraphs.of_pairs(text, mark.start):
        value = rest_of_line(text, start)
        return _continued(text, value, indent, None) if mark.colon else _alone(value)
    return _alone(scalar(text, start, limit))


def _alone(value: tuple[int, int, int]) -> tuple[list[Cell], int]:
    start, end, following = value
    return ([(start, end)] if start < end else []), following


def _below(text: str, at: int, indent: int, *, literal: bool) -> tuple[list[Cell], int]:
    """The leaves of the lines that are indented deeper; the items of a list may be indented as their key is."""
    found: list[Cell] = []
    done = at - 1
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        content = text[at:end].strip()
        if content:
            depth = len(text[at:end]) - len(text[at:end].lstrip())
            if depth < indent or (depth == indent and (literal or not content.startswith("- "))):
                break
            found += [(start, stop) for start, stop in [_leaf(text, at, end, literal=literal)] if start < stop]
            done = end
        at = end + 1
    return found, done


def _leaf(text: str, at: int, end: int, *, literal: bool) -> Cell:
    stop = at + len(text[at:end].rstrip())
    if literal:
        return at + len(text[at:end]) - len(text[at:end].lstrip()), stop
    items = _ITEMS.match(text, at, end)
    start = at if items is None else items.end()
    pair = _PAIR.match(text, start, end)
    return (start if pair is None else min(pair.end(), stop)), stop


def _next_line(text: str, at: int) -> tuple[list[Cell], int]:
    """``SSN:`` at the end of a line of prose, and the number on the next."""
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    content = text[at:end].strip()
    few = len(content.split()) <= _MOST_WORDS_BELOW
    if not few or not any(map(str.isdigit, content)) or _PAIR.match(content):
        return [], at - 1
    start = text.index(content, at)
    return [(start, start + len(content))], end


def _continued(text: str, value: tuple[int, int, int], indent: int, quote: str | None) -> tuple[list[Cell], int]:
    """A value and the lines with which it goes on: deeper ones, to the closing quote or up to a pair."""
    found, _ = _alone(value)
    at = done = text.find("\n", value[1])
    while 0 <= at < len(text):
        at += 1
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        content = text[at:end].strip()
        if content:
            start = text.index(content, at)
            closing = content.find(quote) if quote is not None else -1
            if start - at <= indent or (quote is None and (_PAIR.match(content) or content.startswith(("- ", "#")))):
                break
            stop = start + (len(content) if closing < 0 else closing)
            found += [(start, stop)] if start < stop else []
            done = end
            if closing >= 0:
                break
        elif quote is None:
            break
        at = end
    return found, max(done, value[2])
