"""Patterns made of the names of fields: for SQL, they change with each statement, and most statements come again."""

from __future__ import annotations

from functools import lru_cache

from countersign.masking.detectors.base import Pattern


@lru_cache(maxsize=64)
def compiled(pattern: str) -> Pattern:
    """Compile a pattern, which may name columns but never quote a value: to compile takes longer than a short text."""
    return Pattern(pattern)
