"""How many rows: counted where that can be told, few where a condition names them, or no bound at all."""

from __future__ import annotations

from typing import Final, TypeAlias

Rows: TypeAlias = int | None
"""A greatest number of rows, :data:`FEW`, or None: no bound."""

FEW: Final = -1
"""Bounded by an equality, so by the data and not by a number that the statement tells."""

ONE: Final = 1

MOST_ROWS: Final = 1000
"""A bound above this is none that protects anything."""


def bounded(rows: Rows) -> bool:
    """Whether the number of rows is bounded in a way that means something."""
    return rows is not None and rows <= MOST_ROWS


def both(left: Rows, right: Rows) -> Rows:
    """Return the rows of one after the other."""
    if left is None or right is None:
        return None
    return _few(left, right) if FEW in (left, right) else left + right


def product(left: Rows, right: Rows) -> Rows:
    """Return the rows of each with each."""
    if left == 0 or right == 0:
        return 0
    if left is None or right is None:
        return None
    return _few(left, right) if FEW in (left, right) else left * right


def _few(left: int, right: int) -> Rows:
    """Few and few are few, and few and a number are where that is no great one."""
    return FEW if max(left, right) <= MOST_ROWS else None


def capped(rows: Rows, most: Rows) -> Rows:
    """Return the rows, of which no more than ``most`` are taken (None: no cap)."""
    if most is None:
        return rows
    return most if rows is None or rows == FEW else min(rows, most)


def told(rows: Rows) -> int | None:
    """Return the bound as a number, None where it is none."""
    return None if rows == FEW else rows
