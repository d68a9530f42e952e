"""Where things stand in a document. Positions are code points of ``document.text``; ends are exclusive."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from json import JSONDecoder
from typing import NamedTuple

from countersign.jsontext.values import Document, JsonValue, Number

Path = tuple[str | int, ...]

_ESCAPE = re.compile(r"\\.")
# Only for text that was parsed and whose escapes were blanked out: a quotation mark is the end, a number stands alone.
_LITERAL = re.compile(r'"[^"]*"|-?[0-9][0-9.eE+-]*|NaN|-?Infinity')
_WHITESPACE = re.compile(r"[ \t\n\r]*")
_SKIPPER = JSONDecoder(parse_int=str, parse_float=str)


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


def literals(document: Document) -> list[Literal]:
    """List every string, key and number in the order of the text."""
    # The tree holds its leaves in the order of the text, so each is the next one of its kind: nothing is parsed twice.
    # An escape may hold a quotation mark; blanked out, the next mark is always an end.
    text = _ESCAPE.sub("__", document.text) if "\\" in document.text else document.text
    find = text.find
    found: list[Literal] = []
    at = 0

    def add(value: str, path: Path, is_key: bool = False) -> None:
        nonlocal at
        is_number = type(value) is Number
        start = find(value, at) if is_number else find('"', at)
        at = start + len(value) if is_number else find('"', start + 1) + 1
        # Through tuple itself: half the time of the generated constructor.
        found.append(tuple.__new__(Literal, (start, at, value, path, is_key, is_number)))

    def collect(value: JsonValue, path: Path) -> None:
        if isinstance(value, str):
            add(value, path)
        elif isinstance(value, dict):
            for key, child in value.items():
                child_path = (*path, key)
                add(key, child_path, True)
                if child is not None:
                    collect(child, child_path)
        elif isinstance(value, list):
            for index, child in enumerate(value):
                if child is not None:
                    collect(child, (*path, index))

    collect(document.root, ())
    return found


def pick_literals(document: Document, wanted: Container[int]) -> dict[int, Literal]:
    """List some of the ``literals`` by their number, in a fraction of the time that all of them take."""
    text = _ESCAPE.sub("__", document.text) if "\\" in document.text else document.text
    spans = [match.span() for match in _LITERAL.finditer(text)]
    found: dict[int, Literal] = {}
    number = 0

    def collect(value: JsonValue, path: Path) -> None:
        nonlocal number
        if isinstance(value, dict):
            for key, child in value.items():
                if number in wanted:
                    found[number] = Literal(*spans[number], key, (*path, key), True, False)
                number += 1
                if isinstance(child, str):
                    if number in wanted:
                        found[number] = Literal(*spans[number], child, (*path, key), False, type(child) is Number)
                    number += 1
                elif isinstance(child, (dict, list)):
                    collect(child, (*path, key))
        elif isinstance(value, list):
            for index, child in enumerate(value):
                if isinstance(child, (str, dict, list)):
                    collect(child, (*path, index))
        elif isinstance(value, str):
            if number in wanted:
                found[number] = Literal(*spans[number], value, path, False, type(value) is Number)
            number += 1

    collect(document.root, ())
    return found


def value_span(document: Document, path: Sequence[str | int]) -> tuple[int, int] | None:
    """Where the value at a path of keys and array positions stands; ``None`` when there is none."""
    text = document.text
    start = _skip_whitespace(text, 0)
    for step in path:
        member = next((at for name, at in _members(text, start) if name == step and type(name) is type(step)), None)
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
    return [(start, _end(text, start)) for _, start in _members(text, span[0])]


def _members(text: str, start: int) -> Iterator[tuple[str | int, int]]:
    """Yield key or position, and start, of each value in the container at ``start``; nothing for a leaf."""
    opening = text[start]
    if opening not in "{[":
        return
    at = _skip_whitespace(text, start + 1)
    index = 0
    while text[at] not in "}]":
        name: str | int = index
        if opening == "{":
            name, at = _SKIPPER.raw_decode(text, at)
            at = _skip_whitespace(text, _skip_whitespace(text, at) + 1)
        yield name, at
        at = _skip_whitespace(text, _end(text, at))
        if text[at] == ",":
            at = _skip_whitespace(text, at + 1)
        index += 1


def _end(text: str, start: int) -> int:
    end: int = _SKIPPER.raw_decode(text, start)[1]
    return end


def _skip_whitespace(text: str, at: int) -> int:
    match = _WHITESPACE.match(text, at)
    return at if match is None else match.end()
