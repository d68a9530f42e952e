"""Characters that hide a value from a machine and not from a reader: a card's number as it is typeset, say.

Taken off are characters that nobody sees, wide and mathematical forms, the dashes and blanks of print in numbers and
beside what assigns, and letters of other scripts within a Latin word. Prose, which has them all, is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from heapq import merge

from countersign.masking.characters import ALIKE, BLANKS, DASHES, INVISIBLE, fold
from countersign.masking.detectors.base import Pattern

_WIDE = "\uff01-\uff5e\U0001d400-\U0001d7ff"
_WIDE_IN_WORDS = "\uff10-\uff19\uff20-\uff3a\uff41-\uff5a\U0001d400-\U0001d7ff"
_ANY = f"[{INVISIBLE}{DASHES}{BLANKS}{_WIDE}]"
# What it begins with comes first and alone, so that a search passes over all else; then what must stand around it.
# Blanks are tried from the first of them only: from each one, a run of them would take quadratic time.
_RUN = re.compile(
    rf"{_ANY}(?:(?<=[!-~][{INVISIBLE}])[{INVISIBLE}]*(?=[!-~])|(?<=[0-9):=][{DASHES}{BLANKS}]){_ANY}*"
    rf"|(?<=[{BLANKS}])(?<![{BLANKS}]{{2}})[{BLANKS}]*(?=[0-9(+:=])"
    rf"|(?<=[{_WIDE_IN_WORDS}]){_ANY}*|(?<=[!-~][{_WIDE}]){_ANY}*)"
)
_IS_INVISIBLE, _IS_DASH, _IS_BLANK = (re.compile(f"[{kind}]+").fullmatch for kind in (INVISIBLE, DASHES, BLANKS))
_OF_PRINT = re.compile(f"[{DASHES}{BLANKS}]+").fullmatch
_LETTERS = "".join(map(chr, sorted(ALIKE)))
_MIXED = Pattern(rf"[A-Za-z][{_LETTERS}]|[{_LETTERS}][A-Za-z]")
_WORD = re.compile(r"[^\W_]{2,64}")
_LATIN = re.compile(r"[A-Za-z]")
_DIGIT = re.compile(r"[0-9]")
# No number that tells of a person is shorter; years, pages and sums of money mostly are.
_FEWEST_DIGITS, _NEAR = 7, 24

Piece = tuple[int, int, str]
"""Where it begins and ends as written, in code points, and what it reads as."""


def disguises(text: str) -> Iterator[Piece]:
    """Yield the characters of a text that read as others, in order."""
    if text.isascii():
        return iter(())
    runs = (piece for match in _RUN.finditer(text) if _hides(text, match) for piece in _of_run(match))
    if _MIXED.matches(text.encode("utf-8", "surrogatepass")):
        return merge(runs, (piece for match in _WORD.finditer(text) for piece in _of_word(match)))
    return runs


def _hides(text: str, match: re.Match[str]) -> bool:
    """Whether a run of such characters may stand in a value: of a number only if that is long enough."""
    if _OF_PRINT(match[0]) is None:
        return True
    start, end = match.span()
    if text[start - 1 : start] in _ASSIGNS or text[end : end + 1] in _ASSIGNS:
        return True
    return len(_DIGIT.findall(text, max(0, start - _NEAR), end + _NEAR)) >= _FEWEST_DIGITS


_ASSIGNS = frozenset(":=")


def _of_run(match: re.Match[str]) -> Iterator[Piece]:
    for at, character in enumerate(match[0], match.start()):
        plain = _shown(character)
        if plain is not None:
            yield at, at + 1, plain


@lru_cache(maxsize=2_048)
def _shown(character: str) -> str | None:
    if _IS_INVISIBLE(character):
        return ""
    if _IS_DASH(character):
        return "-"
    if _IS_BLANK(character):
        return " "
    plain = fold(character)
    return plain if plain.isascii() else None


def _of_word(match: re.Match[str]) -> Iterator[Piece]:
    """The letters of other scripts in a word that has Latin ones, too."""
    word = match[0]
    if word.isascii() or _LATIN.search(word) is None:
        return
    for at, character in enumerate(word, match.start()):
        if ord(character) in ALIKE:
            yield at, at + 1, character.translate(ALIKE)
