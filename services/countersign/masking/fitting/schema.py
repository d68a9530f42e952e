"""What an output schema (JSON Schema 2020-12, as far as it speaks of single values) says of a string or a number.

A target wrote it, so its patterns are RE2's, and what is asked of it is bounded. What is not understood is taken for
kept: at worst a caller's own check fails, and never does a value pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import re2

from countersign.jsontext import JsonValue, Number
from countersign.masking.detectors.base import Pattern
from countersign.masking.fitting.formats import has_format

Node = dict[str, JsonValue]

_MOST_STEPS = 200_000
_DEEPEST = 48
_CONJUNCTIONS = ("allOf", "anyOf", "oneOf")


class TooMuch(Exception):
    """The schema takes too many steps to look at."""


class OutputSchema:
    """A schema, asked about the values of one answer."""

    def __init__(self, root: JsonValue) -> None:
        self._root = root
        self._steps = 0

    def at(self, path: Sequence[str | int]) -> list[Node]:
        """Return the parts that speak of the value at a path, each as if it applied. Raises ``TooMuch``."""
        nodes = list(self._whole(self._root, 0))
        for step in path:
            nodes = [part for node in nodes for below in _below(node, step) for part in self._whole(below, 0)]
        return nodes

    def accepts(self, node: JsonValue, value: JsonValue, depth: int = 0) -> bool:
        """Whether a part accepts a string, a number or null. Raises ``TooMuch``."""
        self._step(depth)
        if not isinstance(node, dict):
            return node is not False
        return all(check(node[word], value) for word, check in _CHECKS.items() if word in node) and self._combined(
            node, value, depth
        )

    def _combined(self, node: Node, value: JsonValue, depth: int) -> bool:
        def of(word: str) -> list[bool]:
            parts = node.get(word)
            return [self.accepts(part, value, depth + 1) for part in parts] if isinstance(parts, list) else []

        referred = self._referred(node)
        return (
            all(of("allOf"))
            and (not isinstance(node.get("anyOf"), list) or any(of("anyOf")))
            and (not isinstance(node.get("oneOf"), list) or sum(of("oneOf")) == 1)
            and ("not" not in node or not self.accepts(node["not"], value, depth + 1))
            and (referred is None or self.accepts(referred, value, depth + 1))
        )

    def _whole(self, node: JsonValue, depth: int) -> Iterator[Node]:
        """A part, and those that speak of the same value beside it."""
        self._step(depth)
        if not isinstance(node, dict):
            return
        yield node
        for word in _CONJUNCTIONS:
            parts = node.get(word)
            for part in parts if isinstance(parts, list) else ():
                yield from self._whole(part, depth + 1)
        referred = self._referred(node)
        if referred is not None:
            yield from self._whole(referred, depth + 1)

    def _referred(self, node: Node) -> JsonValue:
        pointer = node.get("$ref")
        if not isinstance(pointer, str) or not pointer.startswith("#"):
            return None
        found = self._root
        for step in pointer.removeprefix("#").split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def _step(self, depth: int) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS or depth > _DEEPEST:
            raise TooMuch("the schema is too large, or refers to itself")


def number_of(value: JsonValue) -> Decimal | None:
    """Return a number, exactly as it was written; ``None`` for all else."""
    try:
        return Decimal(str(value)) if isinstance(value, Number) else None
    except InvalidOperation:
        return None


def _below(node: Node, step: str | int) -> Iterator[JsonValue]:
    if isinstance(step, int):
        first = node.get("prefixItems")
        listed = first if isinstance(first, list) else []
        if step < len(listed):
            yield listed[step]
        elif "items" in node:
            yield node["items"]
        return
    properties = node.get("properties")
    named = isinstance(properties, dict) and step in properties
    if isinstance(properties, dict) and named:
        yield properties[step]
    patterns = node.get("patternProperties")
    matching = [part for name, part in patterns.items() if _matches(name, step)] if isinstance(patterns, dict) else []
    yield from matching
    if not named and not matching and "additionalProperties" in node:
        yield node["additionalProperties"]


@lru_cache(maxsize=1_000)
def _pattern(text: str) -> Pattern | None:
    try:
        return Pattern(text)
    except re2.error:
        return None


def _matches(pattern: JsonValue, value: str) -> bool:
    compiled = _pattern(pattern) if isinstance(pattern, str) else None
    return compiled is None or next(compiled.spans(value.encode("utf-8", "replace")), None) is not None


def _is_text(value: JsonValue) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def _has_type(wanted: JsonValue, value: JsonValue) -> bool:
    names = wanted if isinstance(wanted, list) else [wanted]
    number = number_of(value)
    if number is not None:
        return "number" in names or ("integer" in names and number == number.to_integral_value())
    return ("null" if value is None else "string") in names


def _same(one: JsonValue, other: JsonValue) -> bool:
    number = number_of(one)
    if number is not None:
        return number == number_of(other)
    return number_of(other) is None and one == other


def _bound(holds: Callable[[Decimal, Decimal], bool]) -> Callable[[JsonValue, JsonValue], bool]:
    def check(bound: JsonValue, value: JsonValue) -> bool:
        limit, number = number_of(bound), number_of(value)
        return limit is None or number is None or holds(number, limit)

    return check


def _length(holds: Callable[[int, Decimal], bool]) -> Callable[[JsonValue, JsonValue], bool]:
    def check(bound: JsonValue, value: JsonValue) -> bool:
        limit = number_of(bound)
        return limit is None or not isinstance(value, str) or not _is_text(value) or holds(len(value), limit)

    return check


def _of_text(holds: Callable[[JsonValue, str], bool]) -> Callable[[JsonValue, JsonValue], bool]:
    def check(wanted: JsonValue, value: JsonValue) -> bool:
        return not isinstance(value, str) or not _is_text(value) or holds(wanted, value)

    return check


_CHECKS: Mapping[str, Callable[[JsonValue, JsonValue], bool]] = {
    "type": _has_type,
    "enum": lambda listed, value: not isinstance(listed, list) or any(_same(one, value) for one in listed),
    "const": _same,
    "minimum": _bound(lambda number, limit: number >= limit),
    "maximum": _bound(lambda number, limit: number <= limit),
    "exclusiveMinimum": _bound(lambda number, limit: number > limit),
    "exclusiveMaximum": _bound(lambda number, limit: number < limit),
    "multipleOf": _bound(lambda number, step: step <= 0 or number % step == 0),
    "minLength": _length(lambda length, limit: length >= limit),
    "maxLength": _length(lambda length, limit: length <= limit),
    "pattern": _of_text(_matches),
    "format": _of_text(lambda name, value: not isinstance(name, str) or has_format(name, value)),
}
