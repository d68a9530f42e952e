r"""What a text says once its escapes are undone and its disguises off, and where each part of it stands as written.

A text that is no JSON as a whole may still hold what somebody decodes: JSON that was cut off or stands in prose,
string literals of code, Markdown, HTML, URIs, mail. Undone are the escapes of JSON (RFC 8259, section 7), of Python,
JavaScript and C (``\x40``, ``\u{40}``, ``\U00000040``, ``\100``), those of punctuation (CommonMark, section 2.4), a
backslash before the end of a line, the character references of HTML, percent escapes (RFC 3986, section 2.1), and what
mail escapes (quoted-printable, RFC 2045, section 6.7); and characters that read as others (see ``disguises``).
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from heapq import merge
from typing import NamedTuple

from countersign.masking.disguises import Piece, disguises

# What a text is read as, then that again: JSON in JSON in what was cut off.
_MOST_ROUNDS = 3
# How much around an escape may belong to a value that it is part of, or that stands beside it.
_BEFORE, _AFTER = 512, 2_048
# A text is read in pieces, so that what is known of each of its escapes stays small; a value may stand across two.
_CHUNK, _OVERLAP = 262_144, 4_096
_BETWEEN = "\n\n"
# No alternative repeats without a small bound, so the time grows with the text only.
_PIECE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[ux]\{0{0,6}[0-9a-fA-F]{1,6}\}"
    r"|\\U00[0-9a-fA-F]{6}|\\x[0-9a-fA-F]{2}|\\[0-3][0-7]{2}|\\[bfnrt!-/:-@\[-`{-~]|\\\r?\n"
    r"|&\#(?:[0-9]{1,7}|[xX][0-9a-fA-F]{1,6});?|&[A-Za-z][A-Za-z0-9]{1,31};"
)
_REFERENCE = re.compile(r"&(?:#|[A-Za-z][A-Za-z0-9]{1,31};)")
# A line of other texts may end with an equals sign, as Base64 does.
_MAIL = ("=3D", "uoted-printable", "UOTED-PRINTABLE")
_PERCENT = re.compile(r"%[0-7][0-9A-Fa-f]|(?:%[89A-Fa-f][0-9A-Fa-f])+")
_MAIL_PIECE = re.compile(r"=[0-7][0-9A-Fa-f]|(?:=[89A-Fa-f][0-9A-Fa-f])+|=\r?\n")
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_BLANK = re.compile(r"\s")
_LAST_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


class _Step(NamedTuple):
    """One text made of another by replacing pieces of it; offsets in code points, one entry for each piece."""

    text: str
    begins: list[int]
    """Where the pieces begin in the new text."""
    ends: list[int]
    written_begins: list[int]
    """Where they begin in the old one."""
    written_ends: list[int]

    def written(self, start: int, end: int) -> tuple[int, int]:
        """Where a stretch of the new text stands in the old one; it covers whole pieces."""
        first, last = bisect_right(self.begins, start) - 1, bisect_right(self.begins, end - 1) - 1
        if first >= 0:
            inside = start < self.ends[first]
            start = self.written_begins[first] if inside else self.written_ends[first] + start - self.ends[first]
        if last >= 0:
            end = self.written_ends[last] + max(end - self.ends[last], 0)
        return start, end


class Reading(NamedTuple):
    """A text as it reads, near its escapes."""

    text: str
    steps: tuple[_Step, ...]
    start: int
    """Where what was read begins in the text as written."""

    def written(self, start: int, end: int) -> tuple[int, int]:
        """Where a stretch of the reading, not empty, stands as written (code points); it covers whole escapes."""
        for step in reversed(self.steps):
            start, end = step.written(start, end)
        return self.start + start, self.start + end


def readings(text: str) -> Iterator[Reading]:
    """Yield what a text reads as with its escapes and disguises undone once, twice and so on; nothing if it has none.

    Only what stands near one of them is part of a reading: elsewhere a text reads as it is written.
    """
    start = 0
    mail = any(mark in text for mark in _MAIL)
    while start < len(text):
        end = _cut(text, start + _CHUNK)
        yield from _of_chunk(text[start:end], start, mail=mail)
        start = _cut(text, end - _OVERLAP) if end < len(text) else end


def _of_chunk(text: str, start: int, *, mail: bool) -> Iterator[Reading]:
    steps: tuple[_Step, ...] = ()
    for _ in range(_MOST_ROUNDS):
        step = _undone(text, _pieces(text, mail=mail))
        if step is None:
            return
        steps = (*steps, step)
        text = step.text
        yield Reading(text, steps, start)


def _pieces(text: str, *, mail: bool) -> Iterable[Piece]:
    """What in a text reads as something else, in order; two may meet."""
    kinds = [disguises(text)]
    if "\\" in text or ("&" in text and _REFERENCE.search(text) is not None):
        kinds.append(
            (*match.span(), plain) for match in _PIECE.finditer(text) if (plain := _plain(match[0])) is not None
        )
    if "%" in text:
        kinds.append((*match.span(), _of_hex(match[0], "%")) for match in _PERCENT.finditer(text))
    if mail:
        kinds.append((*match.span(), _of_hex(match[0], "=")) for match in _MAIL_PIECE.finditer(text))
    return merge(*kinds) if len(kinds) > 1 else kinds[0]


def _undone(text: str, pieces: Iterable[Piece]) -> _Step | None:
    """Undo pieces of a text and leave out what stands far from them; ``None`` if there are none."""
    step = _Step("", [], [], [], [])
    parts: list[str] = []
    done = size = 0

    def put(start: int, end: int, plain: str) -> None:
        nonlocal done, size
        parts.extend((text[done:start], plain))
        size += start - done
        step.begins.append(size)
        size += len(plain)
        step.ends.append(size)
        step.written_begins.append(start)
        step.written_ends.append(end)
        done = end

    def leave_out(start: int, end: int) -> None:
        nonlocal done
        # What ends in between ends where the gap begins, and what follows begins where it ends.
        put(start, start, _BETWEEN)
        done = end
        put(end, end, "")

    for start, end, plain in pieces:
        if start < done:
            continue
        if start - done > _BEFORE + _AFTER:
            leave_out(_cut(text, done + _AFTER if done else 0), _cut(text, start - _BEFORE))
        put(start, end, plain)
    if not done:
        return None
    parts.append(text[done : _cut(text, done + _AFTER)])
    return step._replace(text="".join(parts))


def _cut(text: str, at: int) -> int:
    """A place to cut a text, close after ``at``: before a blank, so that no half of a number is taken for one."""
    blank = _BLANK.search(text, at, at + _BEFORE // 2) if at else None
    return min(at, len(text)) if blank is None else blank.start()


def _of_hex(piece: str, mark: str) -> str:
    """What bytes in hexadecimal digits read as; an escaped end of a line reads as nothing."""
    digits = piece.replace(mark, "")
    return bytes.fromhex(digits).decode("utf-8", "replace") if digits.isalnum() else ""


@lru_cache(maxsize=4_096)
def _plain(piece: str) -> str | None:
    """What a piece reads as; ``None`` for what is no character."""
    if piece[0] == "&":
        return html.unescape(piece)
    kind = piece[1]
    if kind in "\r\n":
        return ""
    if kind in _LETTERS:
        return _LETTERS[kind]
    if len(piece) == 2:
        return kind
    if kind in "01234567":
        return chr(int(piece[1:], 8))
    if len(piece) == len(r"\ud83d\ude00") and piece[6] == "\\":
        high, low = int(piece[2:6], 16), int(piece[8:], 16)
        return chr(0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF))
    code = int(piece[2:].strip("{}"), 16)
    return None if code in _SURROGATES or code > _LAST_CODE_POINT else chr(code)
