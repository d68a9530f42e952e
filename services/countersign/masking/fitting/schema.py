"""What an output schema (JSON Schema 2020-12, as far as it speaks of single values) says of a string or a number.

A target wrote it, so its patterns are RE2's, and what is asked of it is bounded. What is not understood is taken for
kept: at worst a caller's own check fails, and never does a value pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import NamedTuple

import re2

from countersign.jsontext import JsonValue, Number
from countersign.masking.detectors.base import Pattern
from countersign.masking.fitting.formats import has_format

Node = dict[str, JsonValue]

_MOST_STEPS = 400_000
# What a step is: about a microsecond. To match a pattern takes some, and more in a long text.
_STEPS_OF_PATTERN = 4
_LETTERS_A_STEP = 64
_DEEPEST = 48
_CONJUNCTIONS = ("allOf", "anyOf", "oneOf")


class TooMuch(Exception):
    """The schema takes too many steps to look at."""


class Applied(NamedTuple):
    """A part of a schema that speaks of a value; ``chosen`` when it is one of several that may accept the value.

    ``optional`` is what speaks of it only if something around the value was chosen.
    """

    node: Node
    optional: bool = False
    chosen: bool = False


class Steps:
    """What may still be asked of the schemas of one body."""

    def __init__(self) -> None:
        self._left = _MOST_STEPS

    def take(self, steps: int) -> None:
        """Count some. Raises ``TooMuch``."""
        self._left -= steps
        if self._left < 0:
            raise TooMuch("the schemas take too long to look at")


class OutputSchema:
    """A schema, asked about the values of one answer; ``steps`` are shared by those that are asked about one body."""

    def __init__(self, root: JsonValue, steps: Steps | None = None) -> None:
        self._root = root
        self._steps = steps or Steps()

    def at(self, path: Sequence[str | int], before: JsonValue = None, after: JsonValue = None) -> list[Applied]:
        """Return the parts that speak of the value at a path of an answer ``before`` and ``after`` it was masked.

        Of what stands side by side as a choice all is taken to apply, unless what the caller sees of the answer says
        that it does not: what was masked must have no say in it. Raises ``TooMuch``.
        """
        applied = list(self._whole(self._root, before, after))
        for step in path:
            before, after = _child(before, step), _child(after, step)
            # What is chosen here does not matter by itself: the part that gives the choice says what it accepts.
            applied = [
                Applied(part.node, optional=one.optional or one.chosen or part.optional, chosen=part.chosen)
                for one in applied
                for below in self._below(one.node, step)
                for part in self._whole(below, before, after)
            ]
        return applied

    def accepts(self, node: JsonValue, value: JsonValue, depth: int = 0) -> bool:
        """Whether a part accepts a string, a number or null. Raises ``TooMuch``."""
        self._step(depth)
        if not isinstance(node, dict):
            return node is not False
        listed = node.get("enum")
        self._steps.take(len(listed) if isinstance(listed, list) else 0)
        if isinstance(value, str) and ("pattern" in node or "format" in node):
            self._steps.take(_of_patterns(1, value))
        return all(check(node[word], value) for word, check in _CHECKS.items() if word in node) and self._combined(
            node, value, depth
        )

    def has_form(self, node: Node, value: JsonValue) -> bool:
        """Whether a value is of the type and the format that a part speaks of, whatever else it may demand."""
        return all(_CHECKS[word](node[word], value) for word in ("type", "format") if word in node)

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

    def _whole(
        self, node: JsonValue, before: JsonValue, after: JsonValue, depth: int = 0, *, chosen: bool = False
    ) -> Iterator[Applied]:
        """A part, and those that speak of the same value beside it."""
        self._step(depth)
        if not isinstance(node, dict) or (chosen and self._is_ruled_out(node, before, after)):
            return
        yield Applied(node, chosen=chosen)
        for word in _CONJUNCTIONS:
            parts = node.get(word)
            for part in parts if isinstance(parts, list) else ():
                yield from self._whole(part, before, after, depth + 1, chosen=chosen or word != "allOf")
        referred = self._referred(node)
        if referred is not None:
            yield from self._whole(referred, before, after, depth + 1, chosen=chosen)

    def _is_ruled_out(self, node: Node, before: JsonValue, after: JsonValue) -> bool:
        """Whether members that were not masked say that an object is of another kind."""
        properties = node.get("properties")
        if not (isinstance(properties, dict) and isinstance(before, dict) and isinstance(after, dict)):
            return False
        self._steps.take(len(properties))
        return any(
            isinstance(part, dict)
            and ("const" in part or "enum" in part)
            and isinstance(before.get(name), str)
            and before[name] == after.get(name)
            and not self.accepts(part, before[name])
            for name, part in properties.items()
        )

    def _referred(self, node: Node) -> JsonValue:
        pointer = node.get("$ref")
        if not isinstance(pointer, str) or not pointer.startswith("#"):
            return None
        self._steps.take(len(pointer) // _LETTERS_A_STEP)
        found = self._root
        for step in pointer.removeprefix("#").split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def _below(self, node: Node, step: str | int) -> Iterator[JsonValue]:
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
        patterns = patterns if isinstance(patterns, dict) else {}
        self._steps.take(_of_patterns(len(patterns), step))
        matching = [part for name, part in patterns.items() if _matches(name, step)]
        yield from matching
        if not named and not matching and "additionalProperties" in node:
            yield node["additionalProperties"]

    def _step(self, depth: int) -> None:
        self._steps.take(1)
        if depth > _DEEPEST:
            raise TooMuch("the schema refers to itself")


def _of_patterns(count: int, text: str) -> int:
    return count * (_STEPS_OF_PATTERN + len(text) // _LETTERS_A_STEP)


def _child(value: JsonValue, step: str | int) -> JsonValue:
    if isinstance(value, dict) and isinstance(step, str):
        return value.get(step)
    return value[step] if isinstance(value, list) and isinstance(step, int) and step < len(value) else None


def number_of(value: JsonValue) -> Decimal | None:
    """Return a number, exactly as it was written; ``None`` for all else."""
    try:
        return Decimal(str(value)) if isinstance(value, Number) else None
    except InvalidOperation:
        return None


@lru_cache(maxsize=1_000)
def _pattern(text: str) -> Pattern | None:
    try:
        return Pattern(text).compiled()
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
