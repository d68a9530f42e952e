"""The columns of a query, through everything that it takes its rows from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from countersign.statements.lineage.found import CLEAR, WHICHEVER, Sources
from countersign.statements.lineage.frames import Frame, Value
from countersign.statements.lineage.postgres.names import shown_name
from countersign.statements.lineage.postgres.values import DISSOLVING, Values
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
from countersign.statements.postgres.parsing import Tree
from countersign.statements.postgres.tree import each, qualified, relation_name, strings

_STATISTICS: Final = names("pg_stats pg_statistic pg_stats_ext pg_stats_ext_exprs pg_statistic_ext_data")
"""Relations that hold values of other relations' columns, under names of their own."""

_MOST_ROUNDS: Final = 20
"""How often a recursive query is followed; each round adds a source to a column at least."""

_CONSTANTS: Final = frozenset({"A_Const", "ParamRef", "SetToDefault"})


class Queries:
    """Follows queries and changes. ``written`` are the relations that earlier statements of the text have made."""

    def __init__(self, masked: Sources, written: dict[str, Table]) -> None:
        self._masked = masked
        self._written = written
        self._values = Values(masked, self.query)
        self._routes: dict[str, Callable[[Tree, Frame], Table]] = {
            "SelectStmt": self._select,
            "InsertStmt": self._insert,
            "UpdateStmt": self._change,
            "DeleteStmt": self._change,
            "MergeStmt": self._change,
        }

    def query(self, wrapped: Tree, frame: Frame) -> Table:
        """Return the columns of a query, or of what a change returns."""
        kind, node = next(iter(wrapped.items()))
        route = self._routes.get(kind)
        return UNSEEN if route is None else route(node, self._with(node, frame))

    # WITH --------------------------------------------------------------------------------------------------------

    def _with(self, node: Tree, frame: Frame) -> Frame:
        clause = node.get("withClause")
        if clause is None:
            return frame
        tables = dict(frame.tables)
        expressions = [wrapped["CommonTableExpr"] for wrapped in clause["ctes"]]
        if not clause.get("recursive"):
            for one in expressions:
                tables[one["ctename"].casefold()] = self._common(one, replace(frame, tables=dict(tables)))
            return replace(frame, tables=tables)
        # They may name each other in any order: followed until nothing new is found.
        own = {one["ctename"].casefold(): Table() for one in expressions}
        for _ in range(_MOST_ROUNDS):
            before = dict(own)
            for one in expressions:
                inner = replace(frame, tables={**tables, **own})
                own[one["ctename"].casefold()] = self._common(one, inner)
            if own == before:
                return replace(frame, tables={**tables, **own})
        return replace(frame, tables={**tables, **dict.fromkeys(own, UNSEEN)})

    def _common(self, one: Tree, frame: Frame) -> Table:
        table = renamed(self.query(one["ctequery"], frame.within()), strings(one.get("aliascolnames", ())))
        more: list[Output] = []
        for clause, columns in (("search_clause", ["search_seq_column"]), ("cycle_clause", ["cycle_path_column"])):
            # They gather columns of the rows before.
            found = sources_of(table)
            more += (Output(one[clause][column].casefold(), found) for column in columns if clause in one)
        return (*table, *more)

    # SELECT ------------------------------------------------------------------------------------------------------

    def _select(self, node: Tree, frame: Frame) -> Table:
        if "larg" in node:
            left, right = (self._select(arm, self._with(arm, frame)) for arm in (node["larg"], node["rarg"]))
            return united(left, right)
        if "valuesLists" in node:
            return self._listed(node["valuesLists"], frame)
        inner = replace(frame, beside=self._sources(node.get("fromClause", ()), frame))
        return tuple(self._targets(node.get("targetList", ()), inner))

    def _listed(self, rows: Iterable[Tree], frame: Frame) -> Table:
        columns: list[Value] = []
        for row in rows:
            found = [self._target(item, frame) for item in row["List"]["items"]]
            columns = [one | other for one, other in zip(columns or found, found, strict=False)]
        return tuple(_output(f"column{place}", value) for place, value in enumerate(columns, 1))

    def _targets(self, targets: Iterable[Tree], frame: Frame) -> Iterator[Output]:
        for wrapped in targets:
            target = wrapped["ResTarget"]
            value = target["val"]
            alias = _star_of(value)
            if alias is not None:
                yield from self._star(alias, frame)
            elif "A_Star" in value.get("A_Indirection", {}).get("indirection", ({},))[-1]:
                # The fields of what a function gives, say.
                yield Output("", self._values.follow(value, frame).lost().sources, stored="")
            else:
                named = _output(target.get("name") or shown_name(value), self._target(value, frame))
                yield replace(named, plain=_is_plain(value, frame))

    def _star(self, alias: list[str], frame: Frame) -> Table:
        if not alias:
            return frame.all()
        name = alias[-1].casefold()
        return frame.named(name) if frame.knows(name) else (Output("", stored=""),)

    def _target(self, value: Tree, frame: Frame) -> Value:
        # The name of a column as a value of its own is not that column.
        return Value() if _CONSTANTS & value.keys() else self._values.follow(value, frame)

    # FROM --------------------------------------------------------------------------------------------------------

    def _sources(self, items: Iterable[Tree], frame: Frame) -> tuple[tuple[str, Table], ...]:
        found: tuple[tuple[str, Table], ...] = ()
        for item in items:
            # LATERAL, which functions need not say, sees what stands before.
            found += self._source(item, replace(frame, beside=found))
        return found

    def _source(self, item: Tree, frame: Frame) -> tuple[tuple[str, Table], ...]:
        kind, node = next(iter(item.items()))
        if kind == "JoinExpr":
            return self._join(node, frame)
        if kind == "RangeTableSample":
            return self._source(node["relation"], frame)
        alias = node.get("alias", {})
        name, columns = alias.get("aliasname", ""), strings(alias.get("colnames", ()))
        if kind == "RangeVar":
            return (((name or node["relname"]).casefold(), renamed(self.relation(node, frame), columns)),)
        if kind == "RangeSubselect":
            inner = Frame(frame.tables, (), frame)
            return ((name.casefold(), renamed(self.query(node["subquery"], inner), columns)),)
        if kind == "RangeFunction":
            return ((name.casefold(), self._function(node, name, columns, frame)),)
        return ((name.casefold(), self._of_document(node, columns, frame)),)

    def relation(self, node: Tree, frame: Frame) -> Table:
        """Return the columns of a relation, which may be of ``WITH`` or of an earlier statement."""
        name = node["relname"].casefold()
        if "schemaname" not in node and name in frame.tables:
            return frame.tables[name]
        if name in self._written:
            return self._written[name]
        return UNSEEN if name in _STATISTICS else stored(relation_name(node))

    def _join(self, node: Tree, frame: Frame) -> tuple[tuple[str, Table], ...]:
        left = self._source(node["larg"], frame)
        right = self._source(node["rarg"], replace(frame, beside=frame.beside + left))
        beside = left + right
        merged = "usingClause" in node or node.get("isNatural", False)
        if merged:
            # Columns that both have come first, and once: nobody can count on places any more.
            beside = (("", (Output("", stored=""),)), *beside)
        alias = node.get("alias")
        if alias is not None:
            whole = tuple(output for _, table in beside for output in table)
            beside = ((alias["aliasname"].casefold(), renamed(whole, strings(alias.get("colnames", ())))),)
        using = node.get("join_using_alias")
        if using is not None:
            beside = (
                *beside,
                (using["aliasname"].casefold(), tuple(output for _, table in beside for output in table)),
            )
        return beside

    def _function(self, node: Tree, alias: str, columns: list[str], frame: Frame) -> Table:
        """Return the columns of functions in ``FROM``: they may give whatever they are handed, under any name."""
        found = self._values.follow(node["functions"], frame).lost().sources
        names_of_calls = [qualified(call["funcname"])[1] for call in each(node["functions"], "FuncCall")]
        declared = [column["colname"] for column in each([node.get("coldeflist", ()), node["functions"]], "ColumnDef")]
        if not DISSOLVING.isdisjoint(name.casefold() for name in names_of_calls):
            found |= WHICHEVER
        known = columns or declared or [alias, *names_of_calls]
        outputs = tuple(Output(name.casefold(), found | self._values.name(name).sources) for name in known if name)
        # With a list of definitions, there are no other columns.
        return outputs if "coldeflist" in node else (*outputs, Output("", found, stored=""))

    def _of_document(self, node: Tree, columns: list[str], frame: Frame) -> Table:
        """Return the columns of ``JSON_TABLE`` and ``XMLTABLE``, and of whatever else may stand in ``FROM``."""
        found = self._values.follow(list(node.values()), frame).lost().sources
        declared = [column.get("name", "") for column in each(node, "JsonTableColumn")]
        declared += [column.get("colname", "") for column in each(node, "RangeTableFuncCol")]
        if not declared:
            return UNSEEN
        return renamed(tuple(Output(name.casefold(), found) for name in declared if name), columns)

    # Changes -----------------------------------------------------------------------------------------------------

    def _insert(self, node: Tree, frame: Frame) -> Table:
        source = node.get("selectStmt")
        table = self.query(source, frame.within()) if source is not None else ()
        columns = [column["ResTarget"]["name"] for column in node.get("cols", ())]
        written = renamed(table, columns) if columns else clouded(stored(""), _put(table))
        name, own = self._own(node, written)
        inner = replace(frame, beside=((name, own), ("excluded", own)))
        written += self._assigned(node.get("onConflictClause", {}).get("targetList", ()), inner)
        return self._returned(node, written, (), frame)

    def _change(self, node: Tree, frame: Frame) -> Table:
        items = [*node.get("fromClause", ()), *node.get("usingClause", ())]
        if "sourceRelation" in node:
            items.append(node["sourceRelation"])
        beside = self._sources(items, frame)
        inner = replace(frame, beside=(*beside, self._own(node, ())))
        written = self._assigned(node.get("targetList", ()), inner)
        for clause in each(node.get("mergeWhenClauses", ()), "MergeWhenClause"):
            values = self._values.follow(clause.get("values"), inner).lost()
            written += clouded(self._assigned(clause.get("targetList", ()), inner), values.sources)
        return self._returned(node, written, beside, frame)

    def _assigned(self, targets: Iterable[Tree], frame: Frame) -> Table:
        found = (wrapped["ResTarget"] for wrapped in targets)
        return tuple(
            Output(target["name"].casefold(), self._values.follow(target.get("val"), frame).lost().sources)
            for target in found
        )

    def _returned(self, node: Tree, written: Table, beside: tuple[tuple[str, Table], ...], frame: Frame) -> Table:
        """Return the columns of ``RETURNING``, and remember what the relation holds from now on."""
        name, own = self._own(node, tuple(output for output in written if output.sources))
        if sources_of(written):
            self._written[node["relation"]["relname"].casefold()] = own
        clause = node.get("returningClause", {})
        called = {option["ReturningOption"]["value"].casefold() for option in clause.get("options", ())}
        versions = tuple((alias, own) for alias in ("old", "new", *called))
        inner = replace(frame, beside=((name, own), *beside))
        outputs: list[Output] = []
        for wrapped in clause.get("exprs", ()):
            alias = _star_of(wrapped["ResTarget"]["val"])
            # "*" is without the versions, and everything else may use them.
            seen = inner if alias == [] else replace(inner, beside=(*inner.beside, *versions))
            outputs += self._targets([wrapped], seen)
        return tuple(outputs)

    def _own(self, node: Tree, written: Table) -> tuple[str, Table]:
        relation = node["relation"]
        name = relation.get("alias", {}).get("aliasname", relation["relname"])
        known = self._written.get(relation["relname"].casefold(), stored(relation_name(relation)))
        return name.casefold(), (*written, *known)


def _output(name: str, value: Value) -> Output:
    sources = value.sources | (WHICHEVER if value.row else CLEAR)
    return Output(name.casefold(), sources, rows=value.keyed)


def _is_plain(value: Tree, frame: Frame) -> bool:
    fields = [name.casefold() for name in strings(value.get("ColumnRef", {}).get("fields", ()))]
    return bool(fields) and frame.is_plain(fields[-1], fields[-2] if len(fields) > 1 else "")


def _put(table: Table) -> Sources:
    return sources_of(table) | (WHICHEVER if any(output.rows for output in table) else CLEAR)


def _star_of(value: Tree) -> list[str] | None:
    """Return what stands before a star; None: it is none."""
    if "ColumnRef" in value:
        fields: list[Any] = value["ColumnRef"]["fields"]
        return strings(fields) if "A_Star" in fields[-1] else None
    if "A_Indirection" in value and "A_Star" in value["A_Indirection"]["indirection"][-1]:
        owner = value["A_Indirection"]["arg"].get("ColumnRef")
        steps = value["A_Indirection"]["indirection"]
        return strings(owner["fields"]) if owner is not None and len(steps) == 1 else None
    return None
