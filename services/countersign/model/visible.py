"""Texts of callers and targets as people are shown them: nothing hidden, nothing reordered, nothing obeyed."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Final

DRAWN_AS_NOTHING: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800")
"""Letters and marks that are drawn as nothing (Unicode, Default_Ignorable_Code_Point, without category Cf)."""

_SELECTORS: Final = (("\ufe00", "\ufe0f"), ("\U000e0100", "\U000e01ef"), ("\u180b", "\u180f"))
# More marks on one letter than any script puts there cover the lines above and below.
_MOST_MARKS: Final = 4
_MARKS: Final = ("Mn", "Me")


def visible(text: str, *, keep: str = "") -> str:
    r"""Return ``text`` with all that is not drawn itself written out (``\x1b``, ``\u202e``, ``\U000e0041``).

    Written out are controls, what directs or reorders text, what has no width or no shape, blanks other than the space,
    lone surrogates, private-use and unassigned characters, and marks that pile up on one letter; ``keep`` are controls
    to leave as they are (``"\n"``). What is returned can be encoded, and a terminal obeys nothing in it. It is not
    escaped for HTML or any markup. Linear.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_written(text, keep))


def _written(text: str, keep: str) -> Iterator[str]:
    marks = 0
    for char in text:
        if char.isascii():
            marks = 0
            yield char if char.isprintable() or char in keep else _escaped(char)
            continue
        marks = marks + 1 if unicodedata.category(char) in _MARKS else 0
        yield char if marks <= _MOST_MARKS and _is_drawn(char) else _escaped(char)


def _is_drawn(char: str) -> bool:
    return (
        char.isprintable()
        and char not in DRAWN_AS_NOTHING
        and not any(first <= char <= last for first, last in _SELECTORS)
    )


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()
