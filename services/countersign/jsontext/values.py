"""What a JSON text becomes once it is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias


class JsonRefused(ValueError):
    """The text is not JSON that every parser reads the same way.

    ``reason`` says what is wrong and never quotes the text; ``position`` is where, in code points from the start.
    """

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"{reason} (at code point {position})")
        self.reason = reason
        self.position = position


class JsonAmbiguous(JsonRefused):
    """Refused although some parser would read it: a repeated key, a lone surrogate, NaN, too deep or too long."""


class Number(str):
    """A number exactly as it was written; never a float. Test for it before ``str``, of which it is a kind."""

    __slots__ = ()


JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | Number | str | bool | None"
"""A parsed value. Objects keep the order of the text."""


def value_at(value: JsonValue, path: Iterable[str | int]) -> JsonValue:
    """Return what stands at a path within a value; ``None`` when nothing does."""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON text together with what it says. Only :func:`countersign.jsontext.parse` should make one."""

    text: str
    root: JsonValue


@dataclass(frozen=True, slots=True)
class JsonText:
    """A text that is JSON, strictly read, and what is remembered of it: less than a :class:`Document`.

    ``keys`` are those of all its objects, decoded. ``depth`` is how many containers stand in one another.
    """

    text: str
    keys: frozenset[str]
    depth: int
