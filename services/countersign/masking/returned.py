"""Values that a target was handed in place of tokens, found again in what it answers.

The caller has the tokens alone: a target that repeats what it was handed, in words that no other detector would look
at, must not be the way to the values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import re2

from countersign.masking.detectors.base import Hit, Pattern
from countersign.masking.masker import Masker, Rule
from countersign.masking.replacements import Minter, Replacement

MOST_RETURNED = 200
"""How many values a target can be handed at once."""

LABEL = "TOKEN"

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
# Shorter ones are found as whole words only: they stand in too many others.
_SURE = 6


def returned(tokens: Mapping[str, str], *, max_depth: int) -> Masker:
    """Return what puts ``tokens`` back for the values that are their keys, wherever they stand and however spaced.

    Raises ``ValueError`` for more than ``MOST_RETURNED``.
    """
    if len(tokens) > MOST_RETURNED:
        raise ValueError("too many values at once")
    known = dict(tokens)
    for value, token in tokens.items():
        bare = "".join(filter(str.isalnum, value))
        if len(bare) >= _SURE:
            known.setdefault(bare, token)
    return Masker(
        [Rule(_Values(known), _Tokens({_folded(value): token for value, token in known.items()}))],
        [],
        max_depth=max_depth,
    )


class _Values:
    """Finds values that are known, in letters of either case."""

    label = LABEL

    def __init__(self, values: Mapping[str, str]) -> None:
        # The longest first: of those that begin alike, RE2 takes the first.
        longest_first = sorted(values, key=lambda value: (-len(value), value))
        self._pattern = Pattern("(?i)" + "|".join(map(_pattern, longest_first)))

    def find(self, data: bytes) -> list[Hit]:
        """See ``Detector``."""
        return [Hit(start, end, "its target was handed it for a token") for start, end in self._pattern.spans(data)]


class _Tokens:
    """Puts each value's token in its place."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._tokens = tokens

    def text(self, value: str) -> str:
        """See ``Replacement``."""
        return self._tokens.get(_folded(value), f"[{LABEL}]")

    def number(self, literal: str) -> str:
        """See ``Replacement``."""
        token = self._tokens.get(literal, "")
        return token if _NUMBER.fullmatch(token) else "0"

    def within(self, minter: Minter) -> Replacement:
        """See ``Replacement``."""
        return self


def _folded(value: str) -> str:
    return value.casefold()


def _pattern(value: str) -> str:
    escaped = str(re2.escape(value))
    if len(value) >= _SURE:
        return escaped
    before, after = (
        r"\b" if value[end].isascii() and (value[end].isalnum() or value[end] == "_") else "" for end in (0, -1)
    )
    return before + escaped + after
