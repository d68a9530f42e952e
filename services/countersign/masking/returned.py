"""Values that a target was handed in place of tokens, found again in what it answers.

The caller has the tokens alone: a target that repeats what it was handed, in words that no other detector would look
at, must not be the way to the values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import re2

from countersign.masking.detectors.base import ByteSpan, Hit, Pattern
from countersign.masking.encoded import Codes, DataUris
from countersign.masking.masker import Masker, Rule
from countersign.masking.replacements import Minter, Redacted, Replacement

MOST_RETURNED = 200
"""How many values a target can be handed at once."""

LABEL = "TOKEN"

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_BETWEEN = bytes(byte for byte in range(128) if not chr(byte).isalnum())
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
        bare = _bare(value)
        if len(bare) >= _SURE:
            known.setdefault(bare, token)
    plain = Rule(_Values(known), _Tokens({_folded(value): token for value, token in known.items()}))
    looks = Masker([plain], [], max_depth=max_depth).text
    redacted = Redacted(f"[{LABEL}]")
    encoded = (Rule(detector, redacted) for detector in (DataUris(looks), Codes(looks)))
    return Masker([plain, *encoded], [], max_depth=max_depth)


class _Values:
    """Finds values that are known, in letters of either case; numbers of some length however they are spaced."""

    label = LABEL

    def __init__(self, values: Mapping[str, str]) -> None:
        self._pattern = _any_of(map(_pattern, _longest_first(values)))
        numbers = {bare for bare in map(_bare, values) if sum(map(str.isdigit, bare)) >= _SURE}
        self._spaced = _any_of(map(re2.escape, _longest_first(numbers))) if numbers else None

    def find(self, data: bytes) -> list[Hit]:
        """See ``Detector``."""
        spans = list(self._pattern.spans(data))
        if self._spaced is not None:
            spans += _spread(data, self._spaced)
        return [Hit(start, end, "its target was handed it for a token") for start, end in spans]


def _spread(data: bytes, pattern: Pattern) -> list[ByteSpan]:
    """Where a pattern of letters and digits matches once all that stands between those is left out."""
    found = list(pattern.spans(data.translate(None, _BETWEEN)))
    if not found:
        return []
    places = [at for at, byte in enumerate(data) if byte not in _BETWEEN]
    return [(places[start], places[end - 1] + 1) for start, end in found]


def _any_of(patterns: Iterable[str]) -> Pattern:
    return Pattern("(?i)" + "|".join(patterns))


def _longest_first(values: Iterable[str]) -> list[str]:
    # Of those that begin alike, RE2 takes the first.
    return sorted(values, key=lambda value: (-len(value), value))


class _Tokens:
    """Puts each value's token in its place."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._tokens = tokens

    def text(self, value: str) -> str:
        """See ``Replacement``."""
        token = self._tokens.get(_folded(value)) or self._tokens.get(_folded(_bare(value)))
        return token or f"[{LABEL}]"

    def number(self, literal: str) -> str:
        """See ``Replacement``."""
        token = self._tokens.get(literal, "")
        return token if _NUMBER.fullmatch(token) else "0"

    def within(self, minter: Minter) -> Replacement:
        """See ``Replacement``."""
        return self


def _bare(value: str) -> str:
    return "".join(filter(str.isalnum, value))


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
