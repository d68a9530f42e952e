"""Tokens in the arguments of a call, turned into the values that they stand for. Pure.

A token counts where it stands for itself: as a whole argument, or as whole words within one. What policy judged had the
token there, so a value never changes what the text around it says: within a text only values stand that are written
as their tokens are, or of letters, digits and a few signs that end nothing.
"""

from __future__ import annotations

import re
from bisect import insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from countersign.jsontext import Document, Edit, Literal, apply_edits, literals, quote
from countersign.masking.offsets import raw_offsets
from countersign.masking.returned import MOST_RETURNED
from countersign.masking.shapes import MAIL, OPAQUE, is_separator

_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_PLAIN = re.compile(r"[\w@.+:]+(?:-[\w@.+:]+)*")
_ARGUMENTS = ("params", "arguments")
# With so many letters hardly two tokens begin alike.
_ENOUGH = 8


class NotUnmaskable(ValueError):
    """The arguments cannot be handed on as they are. The message is safe to show, and quotes nothing."""


def opening(token: str) -> str:
    """Return that by which a token is looked for: its first words, as many as have eight letters in all."""
    openings = [*_openings(_WORD.findall(token), 0)]
    return openings[-1] if openings else token


def argument_openings(document: Document) -> set[str]:
    """Return whatever in the arguments of the calls in a request may be the ``opening`` of a token."""
    found: set[str] = set()
    for leaf in _arguments(document):
        words = _WORD.findall(leaf.value)
        for start in range(len(words)):
            found.update(_openings(words, start))
    return found


@dataclass(frozen=True, slots=True)
class Unmasked:
    """A request's text, and the values in it that stood for tokens, each with its token."""

    text: str
    tokens: Mapping[str, str]


def unmasked(document: Document, values: Mapping[str, str]) -> Unmasked:
    """Return the request with ``values`` in place of their tokens; all else stays as it is, byte for byte.

    Raises :class:`NotUnmaskable` when a value may not stand where its token does, and for what looks like a token of
    this gateway and has no value.
    """
    known = _Known(values)
    edits = [edit for leaf in _arguments(document) for edit in _edits(document, leaf, known)]
    if len(known.used) > MOST_RETURNED:
        raise NotUnmaskable(f"the arguments hold more than {MOST_RETURNED} tokens")
    return Unmasked(apply_edits(document.text, edits), known.used)


def _openings(words: Sequence[str], start: int) -> Iterator[str]:
    """What begins with one of the words: with it alone, and with each that follows while there are few letters."""
    joined = ""
    for word in words[start : start + _ENOUGH]:
        joined += f" {word}" if joined else word
        yield joined
        if len(joined) >= _ENOUGH:
            return


class _Known:
    """Tokens by their first word, and how far into the token that stands."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values
        self.used: dict[str, str] = {}
        self._sizes: dict[str, list[tuple[int, int]]] = {}
        for token in values:
            first = _WORD.search(token)
            word = token if first is None else first.group()
            sizes = self._sizes.setdefault(word, [])
            # The longest first.
            size = (-len(token), token.find(word))
            if size not in sizes:
                insort(sizes, size)

    def places(self, text: str) -> list[tuple[int, int]]:
        """Where tokens stand in a text, in order, none within another."""
        found: list[tuple[int, int]] = []
        done = 0
        for match in _WORD.finditer(text):
            if match.start() < done:
                continue
            for size, before in self._sizes.get(match.group(), ()):
                start, end = match.start() - before, match.start() - before - size
                if start >= done and text[start:end] in self.values and not _goes_on(text, end):
                    found.append((start, end))
                    done = end
                    break
        return found


def _goes_on(text: str, end: int) -> bool:
    return bool(_WORD.match(text, end - 1)) and bool(_WORD.match(text, end))


def _arguments(document: Document) -> list[Literal]:
    batch = 1 if isinstance(document.root, list) else 0
    return [leaf for leaf in literals(document.text) if not leaf.is_key and leaf.path[batch : batch + 2] == _ARGUMENTS]


def _edits(document: Document, leaf: Literal, known: _Known) -> Sequence[Edit]:
    if leaf.is_number:
        return _number(leaf, known)
    places = known.places(leaf.value)
    rest = _without(leaf.value, places)
    if OPAQUE.search(rest) or MAIL.search(rest):
        raise NotUnmaskable("a token in the arguments has expired, or is of another session")
    if not places:
        return ()
    offsets = sorted({offset for place in places for offset in place})
    at = raw_offsets(document.text, leaf.start, leaf.end, leaf.value, offsets)
    edits: list[Edit] = []
    for start, end in places:
        token = leaf.value[start:end]
        value = known.values[token]
        known.used[value] = token
        if (start, end) != (0, len(leaf.value)) and not _may_stand_within(token, value):
            raise NotUnmaskable("a token stands within a text that its value could end: pass it as an argument alone")
        edits.append(Edit(at[start], at[end], quote(value)[1:-1]))
    return edits


def _number(leaf: Literal, known: _Known) -> Sequence[Edit]:
    value = known.values.get(leaf.value)
    if value is None:
        return ()
    known.used[value] = leaf.value
    if not _NUMBER.fullmatch(value):
        raise NotUnmaskable("the token of a text stands as a number in the arguments")
    return (Edit(leaf.start, leaf.end, value),)


def _may_stand_within(token: str, value: str) -> bool:
    alike = len(token) == len(value) and all(
        one == other if is_separator(one) else not is_separator(other) for one, other in zip(token, value, strict=True)
    )
    return alike or _PLAIN.fullmatch(value) is not None


def _without(text: str, places: Sequence[tuple[int, int]]) -> str:
    pieces: list[str] = []
    done = 0
    for start, end in places:
        pieces += (text[done:start], " ")
        done = end
    return "".join((*pieces, text[done:]))
