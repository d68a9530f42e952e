"""What names mean inside of a query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from countersign.statements.lineage.found import CLEAR, WHICHEVER, Sources
from countersign.statements.lineage.tables import Table, sources_of


class Value(NamedTuple):
    """What a value derives from, beside the columns that it names by themselves.

    ``keyed``: it is JSON of stored rows, with the names of their columns as keys. ``row``: it is a stored row as such,
    whose columns have lost their names as soon as anything but JSON is made of it.
    """

    sources: Sources = CLEAR
    keyed: bool = False
    row: bool = False

    def __or__(self, other: object) -> Value:
        if not isinstance(other, Value):
            return NotImplemented
        return Value(self.sources | other.sources, self.keyed or other.keyed, self.row or other.row)

    def lost(self) -> Value:
        """Return the value once something was made of it that has no keys any more."""
        return Value(self.sources | WHICHEVER) if self.keyed or self.row else self

    def as_json(self) -> Value:
        """Return the JSON that is made of the value."""
        return Value(self.sources, keyed=self.keyed or self.row)


NO_VALUE: Final = Value()


@dataclass(frozen=True, slots=True)
class Frame:
    """The tables beside each other in ``FROM`` by alias, the tables of ``WITH`` in sight, and the query around.

    Aliases and names are in small letters: to take two for one masks more, never less.
    """

    tables: Mapping[str, Table] = field(default_factory=dict)
    beside: tuple[tuple[str, Table], ...] = ()
    outer: Frame | None = None

    def within(self) -> Frame:
        """Return what a query finds that stands inside of this one."""
        return Frame(self.tables, (), self)

    def knows(self, alias: str) -> bool:
        """Whether a table of that alias is in sight."""
        return any(name == alias for name, _ in self.beside) or (self.outer is not None and self.outer.knows(alias))

    def named(self, alias: str) -> Table:
        """Return the columns of all that has that alias in the nearest query that has any."""
        if any(name == alias for name, _ in self.beside):
            return tuple(output for name, table in self.beside if name == alias for output in table)
        return () if self.outer is None else self.outer.named(alias)

    def all(self) -> Table:
        """Return the columns of everything beside, in order."""
        return tuple(output for _, table in self.beside for output in table)

    def column(self, name: str, alias: str = "") -> tuple[Value, bool]:
        """Return what a column derives from, and whether a table in sight surely has it."""
        found, sure = NO_VALUE, False
        for _, table in (each for each in self.beside if not alias or each[0] == alias):
            for output in table:
                if output.stored is not None or output.name in ("", name):
                    found |= Value(output.sources, keyed=output.rows)
                    sure |= output.stored is None and output.name == name
        here = bool(alias) and any(each == alias for each, _ in self.beside)
        if sure or here or self.outer is None:
            return found, sure
        outside, sure = self.outer.column(name, alias)
        return found | outside, sure

    def is_plain(self, name: str, alias: str = "") -> bool:
        """Whether the values of a column are those of a stored one as they are."""
        found = [
            output.plain
            for each, table in self.beside
            if not alias or each == alias
            for output in table
            if output.stored is None and output.name == name
        ]
        if found or self.outer is None or (alias and any(each == alias for each, _ in self.beside)):
            return all(found)
        return self.outer.is_plain(name, alias)

    def row(self, alias: str) -> Value:
        """Return what a whole row of a table in sight derives from."""
        table = self.named(alias)
        return Value(sources_of(table), row=any(output.stored is not None or output.rows for output in table))
