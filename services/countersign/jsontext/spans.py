"""Where things stand in a document. Positions are code points of ``document.text``; ends are exclusive."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from json import JSONDecoder
from json.scanner import make_scanner
from typing import Any, NamedTuple, cast

from countersign.jsontext.values import Document, JsonText

Path = tuple[str | int, ...]

# Only for text that was read already.
_STRING, _NUMBER = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', r"-?+(?:[0-9][0-9.eE+-]*+|Infinity)|NaN"
_TOKEN = re.compile(rf"{_STRING}|[{{}}\[\],]|{_NUMBER}")
# The same, but a key, the string or number that is its value, and the comma after that are one.
_PART = re.compile(
    rf"({_STRING})[ \t\n\r]*+:[ \t\n\r]*+(?:({_STRING}|{_NUMBER})[ \t\n\r]*+,?+)?|({_STRING}|{_NUMBER})|([{{}}\[\],])"
)
_KEY, _VALUE, _ALONE, _MARK = 1, 2, 3, 4
_WHITESPACE = re.compile(r"[ \t\n\r]*")
_BLANKS = frozenset(" \t\n\r")
# Keeps no objects: a value may be as large as its text.
_SKIPPER = JSONDecoder(object_pairs_hook=len, parse_int=str.isspace, parse_float=str.isspace)
# Without what words errors: of text that was read already there are none. Its stub wants another scanner.
_scan: Callable[[str, int], tuple[Any, int]] = make_scanner(cast(Any, _SKIPPER))


class Place(NamedTuple):
    """Where a string (keys are strings, too) or a number stands in a document; see :class:`Literal`."""

    start: int
    end: int
    path: Path
    is_key: bool
    is_number: bool


class Literal(NamedTuple):
    """A string (keys are strings, too) or a number of a document.

    The span includes a string's quotes. ``value`` is decoded; a number's is its text. ``path`` leads to the value; a
    key carries the path of its member.
    """

    start: int
    end: int
    value: str
    path: Path
    is_key: bool
    is_number: bool


def tokens(text: str) -> Iterator[re.Match[str]]:
    """Find the strings, numbers, brackets, braces and commas of a JSON text, in its order."""
    return _TOKEN.finditer(text)


def decoded(token: str) -> str:
    """What a string's token says; a number's is its text."""
    if token[0] != '"':
        return token
    return str(_SKIPPER.decode(token)) if "\\" in token else token[1:-1]


def string_at(text: str, start: int) -> tuple[str, int]:
    """The value of the string that begins at ``start`` in a JSON text, and where it ends."""
    value, end = _SKIPPER.raw_decode(text, start)
    return str(value), end


def literals(text: str) -> list[Literal]:
    """List every string, key and number of a JSON text in its order."""
    return [
        Literal(place.start, place.end, decoded(text[place.start : place.end]), *place[2:])
        for place in pick_places(text, [(0, len(text))])
    ]


def pick_places(text: str, stretches: Iterable[tuple[int, int]]) -> Iterator[Place]:
    """Yield where the literals of a JSON text stand that have a part in one of these stretches (in order and apart).

    Of their values nothing is kept.
    """
    coming = iter(stretches)
    first, last = next(coming, (0, 0))
    # Of each open container: the key as written, and -1; or nothing, and the position.
    keys: list[str] = []
    positions: list[int] = []
    known: dict[str, str] = {}
    for match in _PART.finditer(text):
        kind = match.lastindex
        if kind == _MARK:
            mark = match[0]
            if mark == ",":
                if positions[-1] >= 0:
                    positions[-1] += 1
            elif mark in "{[":
                keys.append("")
                positions.append(-1 if mark == "{" else 0)
            else:
                keys.pop()
                positions.pop()
            continue
        if kind == _KEY:
            keys[-1] = match[_KEY]
        if match.end() <= first:
            continue
        if kind == _VALUE:
            keys[-1] = match[_KEY]
        for group in (_KEY, _VALUE) if kind != _ALONE else (_ALONE,):
            start, end = match.span(group)
            if end <= first:
                continue
            while last <= start:
                following = next(coming, None)
                if following is None:
                    return
                first, last = following
            if first < end:
                yield Place(start, end, _path(keys, positions, known), group == _KEY, text[start] != '"')


def _path(keys: Iterable[str], positions: Iterable[int], known: dict[str, str]) -> Path:
    """The path to what is at hand; ``known`` are the keys that were decoded before, so that paths share them."""
    return tuple(
        [
            (known.get(key) or known.setdefault(key, decoded(key))) if at < 0 else at
            for key, at in zip(keys, positions, strict=True)
        ]
    )


def value_span(document: Document | JsonText, path: Sequence[str | int]) -> tuple[int, int] | None:
    """Where the value at a path of keys and array positions stands; ``None`` when there is none."""
    text = document.text
    start = _skip_whitespace(text, 0)
    for step in path:
        member = next((at for name, _, at in _members(text, start) if name == step and type(name) is type(step)), None)
        if member is None:
            return None
        start = member
    return start, _end(text, start)


def element_spans(document: Document, path: Sequence[str | int]) -> list[tuple[int, int]]:
    """Where the elements of the array at a path stand; empty when there is no array."""
    span = value_span(document, path)
    text = document.text
    if span is None or text[span[0]] != "[":
        return []
    return [(start, _end(text, start)) for _, _, start in _members(text, span[0])]


def member_spans(document: Document, path: Sequence[str | int]) -> dict[str, tuple[int, int]]:
    """Where the members of the object at a path stand, each from its key to the end of its value, in their order.

    Empty when there is no object.
    """
    span = value_span(document, path)
    text = document.text
    if span is None or text[span[0]] != "{":
        return {}
    return {str(name): (begin, _end(text, start)) for name, begin, start in _members(text, span[0])}


def _members(text: str, start: int) -> Iterator[tuple[str | int, int, int]]:
    """Yield of each value in the container at ``start`` its key or position, where that begins, and where it does.

    Nothing for a leaf.
    """
    opening = text[start]
    if opening not in "{[":
        return
    at = _skip_whitespace(text, start + 1)
    index = 0
    while text[at] not in "}]":
        name: str | int = index
        begin = at
        if opening == "{":
            name, at = _scan(text, at)
            at = _skip_whitespace(text, _skip_whitespace(text, at) + 1)
        yield name, begin, at
        at = _skip_whitespace(text, _end(text, at))
        if text[at] == ",":
            at = _skip_whitespace(text, at + 1)
        index += 1


def _end(text: str, start: int) -> int:
    return _scan(text, start)[1]


def _skip_whitespace(text: str, at: int) -> int:
    # Most texts have a space or none; an end is no space.
    if text[at : at + 1] not in _BLANKS:
        return at
    match = _WHITESPACE.match(text, at)
    return at if match is None else match.end()
