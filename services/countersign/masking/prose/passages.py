"""Where prose stands in what detectors look at: the leaves of a body, in quotes and on lines."""

from __future__ import annotations

from collections.abc import Iterator

_FEWEST_WORDS = 3
_LEAST_SHARE = 0.6
_LONGEST_CHARACTERS = 5_000
_PUNCTUATION = ".,;:!?()'-"


def passages(text: str) -> Iterator[tuple[int, int]]:
    """Yield where paragraphs of prose stand: lines without a blank one between them, most of whose words are words.

    A quotation mark ends a paragraph, as leaves stand between them. Long ones are cut between two words.
    """
    start = 0
    for leaf in text.split('"'):
        for first, last in _paragraphs(leaf):
            if _is_prose(leaf[first:last]):
                yield from ((start + begin, start + end) for begin, end in _pieces(leaf, first, last))
        start += len(leaf) + 1


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    first, at = 0, 0
    for line in text.split("\n"):
        if not line or line.isspace():
            yield first, at
            first = at + len(line) + 1
        at += len(line) + 1
    yield min(first, len(text)), len(text)


def _is_prose(text: str) -> bool:
    tokens = text.split()
    words = sum(token.strip(_PUNCTUATION).isalpha() for token in tokens)
    return words >= _FEWEST_WORDS and words >= _LEAST_SHARE * len(tokens)


def _pieces(text: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    while last - first > _LONGEST_CHARACTERS:
        limit = first + _LONGEST_CHARACTERS
        cut = max(text.rfind(". ", first, limit) + 1, text.rfind("\n", first, limit))
        cut = cut if cut > first else text.rfind(" ", first, limit)
        cut = cut if cut > first else limit
        yield first, cut
        first = cut
    yield first, last
