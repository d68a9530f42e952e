"""Texts in the arguments of a call, and what is shown of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from countersign.jsontext import JsonValue, Number

Path: TypeAlias = tuple[str, ...]
"""The keys that lead to an argument."""

Stated: TypeAlias = frozenset[tuple[Path, str]]
"""Arguments that are statements, each with its language: SQL's dialect, or "shell"."""


def texts_at(params: JsonValue, path: Path) -> list[str]:
    """Return the texts at a path of the arguments, or in a list there."""
    value = params.get("arguments") if isinstance(params, dict) else None
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    values: list[JsonValue] = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, str) and not isinstance(each, Number)]


def side_by_side(judged: list[str], shown: list[str]) -> Iterator[tuple[str | None, str]]:
    """Return what is judged with what is shown of it; ``None`` for what is not known."""
    if len(judged) == len(shown):
        yield from zip(judged, shown, strict=True)
    else:
        yield from ((None, each) for each in shown)
