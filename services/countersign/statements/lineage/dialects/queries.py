"""The columns of a query, through everything that it takes its rows from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from sqlglot import exp

from countersign.statements.lineage.dialects.values import QUERIES, Values
from countersign.statements.lineage.found import CLEAR, WHICHEVER, Sources
from countersign.statements.lineage.frames import Frame, Value
from countersign.statements.lineage.tables import (
    UNSEEN,
    Output,
    Table,
    clouded,
    renamed,
    sources_of,
    stored,
    united,
)
from countersign.statements.names import names

_MOST_ROUNDS: Final = 20
"""How often tables of ``WITH`` that name themselves are followed; each round adds a source to a column at least."""

_STATISTICS: Final = names("sqlite_stat3 sqlite_stat4 column_statistics")
"""Relations that hold values of other relations' columns, under names of their own."""

_TELLING_OF_SCHEMA: Final = "pragma_"
"""Begins the names of SQLite's functions that tell of tables, and never of what is in them."""

_VERSIONS: Final = ("inserted", "deleted", "new", "old", "excluded")
_CONSTANTS: Final = (exp.Literal, exp.Null, exp.Boolean)


class Queries:
    """Follows queries and changes. ``written`` are the relations that earlier statements of the text have made."""

    def __init__(self, masked: Sources, dialect: str, written: dict[str, Table]) -> None:
        self._written = written
        self._values = Values(masked, self.query, has_rows=dialect == "bigquery")

    def query(self, node: exp.Expr, frame: Frame) -> Table:
        """Return the columns of a query."""
        frame = self._with(node, frame)
        if isinstance(node, exp.Select):
            return self._select(node, frame)
        if isinstance(node, exp.SetOperation):
            left, right = self.query(node.this, frame), self.query(node.expression, frame)
            together = united(left, right)
            # By name, places tell nothing.
            named = node.args.get("by_name") or node.args.get("on") or node.args.get("side")
            return clouded(together, sources_of(right)) if named else together
        if isinstance(node, exp.Subquery):
            return replace(frame, beside=self._parenthesised(node, frame)).all()
        if isinstance(node, exp.Values):
            return self._listed(node, frame)
        if isinstance(node, exp.Table):
            return self._relation(node, frame)
        return UNSEEN

    # WITH --------------------------------------------------------------------------------------------------------

    def _with(self, node: exp.Expr, frame: Frame) -> Frame:
        clause = node.args.get("with_")
        if clause is None:
            return frame
        # Where RECURSIVE need not be said, a name may be that of the table itself or of a stored relation.
        own: dict[str, Table] = {
            table.alias.casefold(): () if clause.args.get("recursive") else stored(table.alias.casefold())
            for table in clause.expressions
        }
        for _ in range(_MOST_ROUNDS):
            before = dict(own)
            for table in clause.expressions:
                inner = Frame({**frame.tables, **own}, (), frame)
                own[table.alias.casefold()] = renamed(self.query(table.this, inner), _columns_of(table))
            if own == before:
                return replace(frame, tables={**frame.tables, **own})
        return replace(frame, tables={**frame.tables, **dict.fromkeys(own, UNSEEN)})

    # SELECT ------------------------------------------------------------------------------------------------------

    def _select(self, node: exp.Select, frame: Frame) -> Table:
        inner = replace(frame, beside=self._sources(node, frame))
        table = tuple(self._targets(node.expressions, inner))
        if node.args.get("for_") or node.args.get("kind"):
            # All columns become one, of JSON, XML or a struct.
            lost = any(output.stored is not None for output in table)
            return (Output("", sources_of(table) | (WHICHEVER if lost else CLEAR)),)
        return clouded(table, WHICHEVER) if node.args.get("match") or node.args.get("pivots") else table

    def _targets(self, targets: Iterable[exp.Expr], frame: Frame) -> Iterator[Output]:
        made: Table = ()
        for target in targets:
            star = target.this if isinstance(target, exp.Column) else target
            # Some dialects let an expression use the aliases before it.
            named = tuple(output for output in made if output.name)
            seen = replace(frame, beside=(*frame.beside, ("", named)))
            if isinstance(star, exp.Star):
                outputs = self._star(star, target.table if isinstance(target, exp.Column) else "", frame)
            elif isinstance(target, exp.Aliases):
                outputs = (Output("", self._values.follow(target, seen).sources, stored=""),)
            else:
                outputs = (self._target(target, seen),)
            made += outputs
            yield from outputs

    def _target(self, target: exp.Expr, frame: Frame) -> Output:
        value = target.this if isinstance(target, exp.Alias) else target
        name = target.alias_or_name if isinstance(target, (exp.Alias, exp.Column)) else ""
        # The name of a column as a value of its own is not that column.
        found = Value() if isinstance(value, _CONSTANTS) else self._values.follow(value, frame)
        plain = isinstance(value, exp.Column) and frame.is_plain(value.name.casefold(), value.table.casefold())
        return Output(name.casefold(), found.sources, plain=plain)

    def _star(self, star: exp.Star, alias: str, frame: Frame) -> Table:
        name = alias.casefold()
        table = frame.all() if not alias else frame.named(name) if frame.knows(name) else (Output("", stored=""),)
        changed = [each for part in ("replace", "rename") for each in star.args.get(part) or ()]
        return (*table, *(self._target(each, frame) for each in changed))

    def _listed(self, node: exp.Values, frame: Frame) -> Table:
        columns: list[Sources] = []
        for row in node.expressions:
            cells = row.expressions if isinstance(row, exp.Tuple) else [row]
            found = [
                self._values.all_of([cell], frame) if not isinstance(cell, _CONSTANTS) else CLEAR for cell in cells
            ]
            columns = [one | other for one, other in zip(columns or found, found, strict=False)]
        table = tuple(Output("" if found else f"column{place}", found) for place, found in enumerate(columns, 1))
        return renamed(table, _columns_of(node))

    # FROM --------------------------------------------------------------------------------------------------------

    def _sources(self, node: exp.Expr, frame: Frame) -> tuple[tuple[str, Table], ...]:
        found: tuple[tuple[str, Table], ...] = ()
        start = node.args.get("from_")
        if start is not None:
            found += self._source(start.this, replace(frame, beside=found))
        for lateral in node.args.get("laterals") or ():
            found += self._source(lateral, replace(frame, beside=found))
        return self._joined(node, found, frame)

    def _joined(
        self, node: exp.Expr, found: tuple[tuple[str, Table], ...], frame: Frame
    ) -> tuple[tuple[str, Table], ...]:
        for join in node.args.get("joins") or ():
            found += self._source(join.this, replace(frame, beside=(*frame.beside, *found)))
            if join.args.get("using") or join.args.get("method"):
                # Columns that both have come first, and once: nobody can count on places any more.
                found = (("", (Output("", stored=""),)), *found)
        return found

    def _source(self, item: exp.Expr, frame: Frame) -> tuple[tuple[str, Table], ...]:
        alias = item.alias.casefold()
        if item.args.get("pivots") or item.args.get("match_recognize"):
            return ((alias, UNSEEN),)
        if isinstance(item, exp.Table):
            name = alias or item.name.casefold()
            found: tuple[tuple[str, Table], ...] = ((name, renamed(self._relation(item, frame), _columns_of(item))),)
            for lateral in item.args.get("laterals") or ():
                found += self._source(lateral, replace(frame, beside=(*frame.beside, *found)))
            return self._joined(item, found, frame)
        if isinstance(item, exp.Subquery):
            return self._parenthesised(item, frame)
        if isinstance(item, QUERIES):
            return ((alias, self.query(item, frame.within())),)
        if isinstance(item, exp.Lateral) and isinstance(item.this, QUERIES):
            return ((alias, renamed(self.query(item.this, frame.within()), _columns_of(item))),)
        if isinstance(item, exp.Unnest):
            return ((alias, self._unnested(item, frame)),)
        return ((alias, UNSEEN),)

    def _parenthesised(self, item: exp.Subquery, frame: Frame) -> tuple[tuple[str, Table], ...]:
        """Return what parentheses in ``FROM`` hold, a query or relations that keep their names."""
        alias = item.alias.casefold()
        if isinstance(item.this, QUERIES):
            table = renamed(self.query(item.this, self._with(item, frame.within())), _columns_of(item))
            return self._joined(item, ((alias, table),), frame)
        found = self._joined(item, self._source(item.this, frame), frame)
        whole = tuple(output for _, table in found for output in table)
        return ((alias, whole),) if alias else found

    def _unnested(self, item: exp.Unnest, frame: Frame) -> Table:
        found = self._values.all_of(item.expressions, frame)
        names = [*_columns_of(item), item.alias]
        return (*(Output(name.casefold(), found) for name in names if name), Output("", found, stored=""))

    def _relation(self, table: exp.Table, frame: Frame) -> Table:
        if not isinstance(table.this, exp.Identifier):
            # A function, a variable, a file: it may give whatever it is handed, under any name.
            called = table.this.name.casefold() if isinstance(table.this, exp.Anonymous) else ""
            return stored("") if called.startswith(_TELLING_OF_SCHEMA) else UNSEEN
        name = table.name.casefold()
        if name in _STATISTICS:
            return UNSEEN
        if not table.db and name in frame.tables:
            return frame.tables[name]
        return self._written.get(name) or stored(".".join(part.name.casefold() for part in table.parts))

    # Changes -----------------------------------------------------------------------------------------------------

    def change(self, node: exp.Expr) -> Table:
        """Return the columns that a change gives back by ``RETURNING`` or ``OUTPUT``."""
        frame = self._with(node, Frame())
        target = node.this
        relation = target.this if isinstance(target, exp.Schema) else target
        if not isinstance(relation, exp.Table):
            return UNSEEN
        beside = self._sources(node, frame)
        using = node.args.get("using")
        for item in using if isinstance(using, list) else [using] if isinstance(using, exp.Expr) else ():
            beside += self._source(item, replace(frame, beside=beside))
        known = self._relation(relation, frame)
        name = relation.alias_or_name.casefold()
        written: Table = ()
        source = node.args.get("expression")
        if isinstance(source, QUERIES):
            table = self.query(source, frame.within())
            columns = [column.name for column in target.expressions] if isinstance(target, exp.Schema) else []
            lost = any(output.stored is not None for output in table)
            put = sources_of(table) | (WHICHEVER if lost else CLEAR)
            written += renamed(table, columns) if columns else clouded(stored(""), put if sources_of(table) else CLEAR)
        # What is set may be made of what is put in.
        before = (*written, *known)
        versions = tuple((version, before) for version in _VERSIONS)
        written += self._assigned(node, replace(frame, beside=((name, before), *beside, *versions)))
        own = (*(output for output in written if output.sources), *known)
        if sources_of(written):
            self._written[relation.name.casefold()] = own
        returning = node.args.get("returning")
        if returning is None:
            return ()
        seen = replace(frame, beside=((name, own), *beside, *((version, own) for version in _VERSIONS)))
        return tuple(self._targets(returning.expressions, seen))

    def _assigned(self, node: exp.Expr, frame: Frame) -> Table:
        """Return the columns that are set, in the change itself or in its branches."""
        found: list[Output] = []
        pairs = [*node.expressions] if isinstance(node, exp.Update) else []
        for part in (node.args.get("conflict"), node.args.get("whens")):
            if isinstance(part, exp.Expr):
                pairs += part.find_all(exp.EQ)
                found += (Output("", self._values.all_of([one], frame)) for one in part.find_all(exp.Insert))
        for pair in pairs:
            sources = self._values.all_of([pair.expression] if isinstance(pair, exp.EQ) else [pair], frame)
            found.append(Output(pair.this.name.casefold() if isinstance(pair, exp.EQ) else "", sources))
        return tuple(found)


def _columns_of(item: exp.Expr) -> list[str]:
    alias = item.args.get("alias")
    return [column.name for column in alias.columns] if isinstance(alias, exp.TableAlias) else []
