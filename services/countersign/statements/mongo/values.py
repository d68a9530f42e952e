"""What can stand in a MongoDB statement, and what is said when something else does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


class NotUnderstoodError(ValueError):
    """The text is outside the subset that is read. The message quotes nothing of the text."""


class ProgramError(NotUnderstoodError):
    """The text holds JavaScript that would have to run before one knows what it asks for."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression."""

    text: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A value whose content does not matter here: an object id, a date, a UUID, binary data."""


Value: TypeAlias = "str | int | float | bool | Pattern | Constant | list[Value] | dict[str, Value] | None"
Document: TypeAlias = dict[str, Value]


def document(value: Value) -> Document:
    """Return the document that this value is. Raises :class:`NotUnderstoodError` when it is something else."""
    if not isinstance(value, dict):
        raise NotUnderstoodError("a document was expected")
    return value


def array(value: Value) -> list[Value]:
    """Return the array that this value is. Raises :class:`NotUnderstoodError` when it is something else."""
    if not isinstance(value, list):
        raise NotUnderstoodError("an array was expected")
    return value


def name(value: Value) -> str:
    """Return the name that this value is. Raises :class:`NotUnderstoodError` when it is something else."""
    if not isinstance(value, str) or not value:
        raise NotUnderstoodError("a name was expected")
    return value


def count(value: Value) -> int | None:
    """Return a whole number; ``None`` for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) else None
