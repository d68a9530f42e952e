"""Spans made ready for a session: what replaces them, and those that hold a token already left out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

from countersign.masking.replacements import Minter
from countersign.masking.result import Span

# No token holds a blank unless its value did, and then it is found whole or not at all.
_LONGEST_WORD = 300

_Leaf = TypeVar("_Leaf", bound=Hashable)


def bind(
    found: Mapping[_Leaf, Sequence[Span]], value_of: Callable[[_Leaf], str], minter: Minter
) -> dict[_Leaf, list[Span]]:
    """Return the spans by leaf, without those that stand within a token, each with its session's replacement."""
    bound: dict[_Leaf, list[Span]] = {}
    for leaf, spans in found.items():
        value = value_of(leaf)
        left = [
            span._replace(replacement=span.replacement.within(minter))
            for span in spans
            if not _in_token(value, span, minter)
        ]
        if left:
            bound[leaf] = left
    return bound


def _in_token(value: str, span: Span, minter: Minter) -> bool:
    if minter.knows(value[span.start : span.end]):
        return True
    # A detector may see less than all of a token: then it is the word around it.
    start, end = span.start, span.end
    while start > 0 and span.start - start < _LONGEST_WORD and not _parts(value[start - 1]):
        start -= 1
    while end < len(value) and end - span.end < _LONGEST_WORD and not _parts(value[end]):
        end += 1
    return (start, end) != (span.start, span.end) and minter.knows(value[start:end])


def _parts(char: str) -> bool:
    return char.isspace() or char in "\"'`<>()[]{},;=|"
