"""The relations that a statement takes its rows from, and how many rows they give together under a condition."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp

from countersign.statements.dialects.errors import NotUnderstoodError
from countersign.statements.dialects.outputs import STORED, Outputs, listed, together
from countersign.statements.dialects.predicates import UNNAMED, Pins, Reader
from countersign.statements.rows import FEW, ONE, Rows, bounded, product

MOST_SOURCES: Final = 64


@dataclass(slots=True)
class Sources:
    """Relations by the name that columns are qualified with, and what ties them."""

    members: dict[str, Rows] = field(default_factory=dict)
    pins: Pins = field(default_factory=Pins)
    outputs: dict[str, Outputs] = field(default_factory=dict)
    """Of the relations that are no stored ones."""
    made: set[str] = field(default_factory=set)
    """Names that the query itself gives to what it computes, where conditions see them."""

    def add(self, name: str, rows: Rows, outputs: Outputs = STORED) -> str:
        """Add a relation and return the name it is known by here: two of one name are told apart."""
        if len(self.members) >= MOST_SOURCES:
            raise NotUnderstoodError("the statement names more relations than can be understood in time")
        name = name.lower() or "?"
        while name in self.members:
            name += "'"
        self.members[name] = rows
        if outputs is not STORED:
            self.outputs[name] = outputs
        return name

    def tie(self, names: Iterable[str], other: str, columns: Collection[str]) -> None:
        """Note that rows of ``other`` go with rows of each of ``names``, equal in ``columns``; none: in any."""
        for name in names:
            if self._joins(name, columns) and self._joins(other, columns):
                self.pins.ties.append((name, other))

    def _joins(self, name: str, columns: Collection[str]) -> bool:
        if columns:
            return all(self.stores(name, column) for column in columns)
        return name not in self.outputs or bounded(self.members[name]) or not self.outputs[name].made

    def stores(self, name: str, column: str) -> bool:
        """Whether the column of the relation ``name``, or of one that is not told, is a stored one or of few rows."""
        if name != UNNAMED:
            return name not in self.outputs or bounded(self.members[name]) or self.outputs[name].pins(column)
        if column in self.made:
            return False
        if not self.outputs:
            return True
        every = [self.outputs.get(each, STORED) for each in self.members]
        return any(each.pins(column) for each in every) and not any(column in each.made for each in every)

    def loosen(self, names: Iterable[str]) -> None:
        """Note that an outer join keeps what does not match ``names``: their own bound bounds nothing else."""
        for name in names:
            self.members[name] = None

    def holds(self, found: Pins, *, keeps: bool = True) -> None:
        """Note what a condition says. ``keeps``: it leaves out rows, and does not only decide on what is joined."""
        self.pins.ties += found.ties
        if keeps:
            self.pins.names |= found.names
            self.pins.never |= found.never

    def rows(self) -> Rows:
        """Return how many rows there are at most."""
        if self.pins.never:
            return 0
        if not self.members:
            return ONE
        total: Rows = ONE
        groups = self._groups()
        spare = UNNAMED in self.pins.names
        for group in groups:
            rows = self._of_group(group)
            if rows is None and spare:
                # A bare column is of one of the groups; it can pin no more than that one.
                rows, spare = FEW, False
            total = product(total, rows)
        return total

    def pinned(self, name: str) -> bool:
        """Whether the condition bounds the rows of the relation ``name``."""
        if self.pins.never:
            return True
        groups = self._groups()
        group = next((each for each in groups if name in each), {name})
        if bounded(self._of_group(group)):
            return True
        open_groups = [each for each in groups if not bounded(self._of_group(each))]
        return UNNAMED in self.pins.names and open_groups == [group]

    def _of_group(self, group: set[str]) -> Rows:
        if group & self.pins.names:
            return FEW
        counts = [self.members[name] for name in group if name in self.members]
        known = [rows for rows in counts if rows is not None]
        if len(counts) == len(known):
            total: Rows = ONE
            for rows in known:
                total = product(total, rows)
            return total
        return FEW if any(bounded(rows) for rows in known) else None

    def _groups(self) -> list[set[str]]:
        groups = [{name} for name in self.members]
        for one, other in self.pins.ties:
            left, right = _group_of(groups, one), _group_of(groups, other)
            if left is not None and right is not None and left is not right:
                left |= right
                groups.remove(right)
        return groups


def _group_of(groups: list[set[str]], name: str) -> set[str] | None:
    # A bare column ties nothing: it may be of the very relation that it is compared with.
    return next((group for group in groups if name in group), None)


def outputs_of(expressions: Iterable[exp.Expr], sources: Sources, reader: Reader) -> Outputs:
    """Return the columns that a query of these expressions over the sources gives."""
    starred: list[Outputs] = []
    columns: list[tuple[str, bool]] = []
    for each in expressions:
        if not each.is_star:
            columns.append((each.output_name.lower(), reader.column(each.unalias()) is not None))
            continue
        table = each.table.lower() if isinstance(each, exp.Column) else ""
        starred += [sources.outputs.get(name, STORED) for name in sources.members if table in {"", name}]
        star = each.this if isinstance(each, exp.Column) else each
        columns += [(name.alias.lower(), False) for key in ("replace", "rename") for name in star.args.get(key) or ()]
    found = listed(columns)
    return together([found, *starred]) if starred else found


def note_made(expressions: Iterable[exp.Expr], sources: Sources, reader: Reader) -> None:
    """Note the names of what the query computes, unless it computes them of a stored column of the same name."""
    for each in expressions:
        if isinstance(each, exp.Alias) and reader.column(each.this) is None:
            name = each.alias.lower()
            if all(column.name.lower() != name for column in each.this.find_all(exp.Column)):
                sources.made.add(name)
