"""Tables as lineage sees them: columns in their order, each with the masked columns that it derives from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from countersign.statements.lineage.found import CLEAR, WHICHEVER, Column, Lineage, Sources


@dataclass(frozen=True, slots=True)
class Output:
    """A column of a table, by its name in small letters (empty: it cannot be told).

    Or, where ``stored`` is given, all columns of that stored relation, however many, under their own names; with
    ``sources``, under names that may have changed. ``rows``: the values are JSON of stored rows, whose keys are the
    names of their columns. ``plain``: the values are those of a stored column as they are.
    """

    name: str
    sources: Sources = CLEAR
    stored: str | None = None
    rows: bool = False
    plain: bool = False


Table: TypeAlias = tuple[Output, ...]

UNSEEN: Final[Table] = (Output("", WHICHEVER, stored=""),)
"""A table of which nothing is known."""


def stored(name: str) -> Table:
    """Return the stored relation of that name."""
    return (Output("", stored=name),)


def sources_of(table: Iterable[Output]) -> Sources:
    """Return all that any column derives from."""
    return CLEAR.union(*(output.sources for output in table))


def clouded(table: Table, sources: Sources) -> Table:
    """Return the table with every column deriving from ``sources``, too."""
    if not sources:
        return table
    return tuple(replace(output, sources=output.sources | sources, plain=False) for output in table)


def renamed(table: Table, names: Sequence[str]) -> Table:
    """Return the table with ``names`` for its first columns, as ``AS t (a, b)`` gives them."""
    if not names:
        return table
    first = next((place for place, output in enumerate(table) if output.stored is not None), len(table))
    known = tuple(
        replace(output, name=name.casefold()) for output, name in zip(table[:first], names[:first], strict=False)
    )
    if len(names) <= first:
        return known + table[len(names) :]
    # Behind a star nobody knows which column gets which name.
    return (*known, *(Output(name.casefold(), WHICHEVER) for name in names[first:]), *table[first:])


def united(left: Table, right: Table) -> Table:
    """Return what ``UNION`` and its like give: the left names, and by place what either side's column derives from."""
    places = [output.stored for output in left]
    if "" not in places and places == [output.stored for output in right]:
        return tuple(
            replace(
                one,
                sources=one.sources | other.sources,
                rows=one.rows or other.rows,
                plain=one.plain and other.plain,
            )
            for one, other in zip(left, right, strict=True)
        )
    behind_star = any(output.stored is not None for output in right)
    if behind_star or sources_of(left) or sources_of(right):
        # The places of one side are not those of the other.
        return clouded(left, WHICHEVER)
    return left


def lineage_of(table: Table) -> Lineage:
    """Return what is said of a result with these columns."""
    tainted = [output for output in table if output.sources]
    if any(output.stored is not None or not output.name for output in tainted):
        return Lineage(everything=True, touched=True)
    count = Counter(output.name for output in table)
    columns: dict[str, Column] = {}
    for output in tainted:
        known = columns.get(output.name, Column(output.name, CLEAR, plain=True))
        columns[output.name] = Column(output.name, known.sources | output.sources, known.plain and output.plain)
    star = any(output.stored is not None for output in table)
    beside_star = star and any(name not in column.sources for name, column in columns.items())
    return Lineage(
        tuple(columns.values()),
        # Clients tell columns of one name apart by adding to it.
        loose=beside_star or any(count[name] > 1 for name in columns) or any(output.rows for output in table),
        stored=star,
        touched=bool(tainted),
    )
