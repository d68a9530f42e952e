"""What is said of a statement's result: which of its columns derive from which masked ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

Sources: TypeAlias = frozenset[str]
"""Names of masked columns, small letters; :data:`ANY` among them stands for whichever there are."""

ANY: Final = "*"
CLEAR: Final[Sources] = frozenset()
WHICHEVER: Final[Sources] = frozenset({ANY})


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the result: its name, as the result shows it but in small letters, and what it derives from.

    ``plain``: its values are those of a stored column as they are, of which nothing was made.
    """

    name: str
    sources: Sources
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Lineage:
    """The columns of a result that derive from masked ones; all others are clear, or stored columns by their own names.

    ``everything``: any cell may be of a masked column. ``loose``: a name may stand for several columns, or a cell for
    a row of them, so names can be relied on only where they are keys of JSON. ``stored``: there are columns of stored
    relations that the statement does not name, so without names nobody knows which they are. ``touched``: the statement
    uses masked columns anywhere, conditions among it, so an error of the database may quote their values.
    """

    columns: tuple[Column, ...] = ()
    everything: bool = False
    loose: bool = False
    stored: bool = False
    touched: bool = False


NOTHING: Final = Lineage()
UNKNOWN: Final = Lineage(everything=True, touched=True)


def together(parts: Iterable[Lineage]) -> Lineage:
    """Return what is said of several results, of which any may be the answer."""
    found = tuple(parts)
    columns: dict[str, Column] = {}
    for column in (column for part in found for column in part.columns):
        known = columns.get(column.name, column)
        columns[column.name] = Column(column.name, known.sources | column.sources, known.plain and column.plain)
    return Lineage(
        tuple(columns.values()),
        everything=any(part.everything for part in found),
        loose=any(part.loose for part in found),
        stored=any(part.stored for part in found),
        touched=any(part.touched for part in found),
    )
