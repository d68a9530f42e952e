"""Which columns of a query are stored ones: a condition on what a query gives bounds rows by no other.

``SELECT * FROM (SELECT 1 AS k, name FROM staff) s WHERE k = 1`` names an equality, and leaves out nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from countersign.statements.rows import Rows


@dataclass(frozen=True, slots=True)
class Outputs:
    """The columns of a relation, lower case: ``stored`` are those of stored relations, ``made`` are computed.

    ``rest``: columns of any other name are stored ones. ``order``: all names in their order, where it is known.
    """

    stored: frozenset[str] = field(default_factory=frozenset)
    made: frozenset[str] = field(default_factory=frozenset)
    rest: bool = False
    order: tuple[str, ...] | None = None

    def pins(self, name: str) -> bool:
        """Whether a value of the column is one of few rows, as far as that can be said of a stored column."""
        return name not in self.made and (self.rest or name in self.stored)

    def renamed(self, names: Sequence[str]) -> Outputs:
        """Return the relation with ``names`` for its first columns, as ``AS x (a, b)`` gives them."""
        if not names or self is STORED:
            return self
        if self.order is None:
            return Outputs()
        order = (*names, *self.order[len(names) :])
        return listed((new, self.pins(old)) for new, old in zip(order, self.order, strict=False))


STORED: Final = Outputs(rest=True)
"""The columns of a stored relation."""


@dataclass(frozen=True, slots=True)
class Derived:
    """A common table expression: how many rows it has, and its columns."""

    rows: Rows
    outputs: Outputs


def listed(columns: Iterable[tuple[str, bool]]) -> Outputs:
    """Return a relation of these columns, each with whether it is a stored one."""
    found = tuple(columns)
    made = frozenset(name for name, stored in found if not stored)
    return Outputs(frozenset(name for name, _ in found) - made, made, order=tuple(name for name, _ in found))


def together(parts: Iterable[Outputs]) -> Outputs:
    """Return a relation of the columns of all parts, as ``*`` gives them."""
    stored, made, rest = frozenset[str](), frozenset[str](), False
    for part in parts:
        stored, made, rest = stored | part.stored, made | part.made, rest or part.rest
    return Outputs(stored - made, made, rest)


def united(sides: Sequence[Outputs]) -> Outputs:
    """Return what a set operation gives: the first side's names, stored where each side's column is."""
    orders = [side.order for side in sides if side.order is not None]
    if len(orders) == len(sides):
        columns = zip(*orders, strict=False)
        return listed(
            (names[0], all(side.pins(name) for side, name in zip(sides, names, strict=True))) for names in columns
        )
    names = frozenset[str]().union(*(side.stored for side in sides))
    stored = frozenset(name for name in names if all(side.pins(name) for side in sides))
    made = frozenset[str]().union(*(side.made for side in sides)) | (names - stored)
    return Outputs(stored, made, all(side.rest for side in sides))
