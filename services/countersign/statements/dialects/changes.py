"""INSERT, UPDATE, DELETE and MERGE: what is changed, whether the rows are bounded, and what leaves beside."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from countersign.statements.dialects.effects import Effects
from countersign.statements.dialects.errors import NotUnderstoodError
from countersign.statements.dialects.outputs import STORED
from countersign.statements.dialects.queries import Queries, Scope
from countersign.statements.dialects.relations import change
from countersign.statements.dialects.shapes import rows_of_limit
from countersign.statements.dialects.sources import Sources
from countersign.statements.rows import FEW, Rows, bounded, capped
from countersign.statements.verdict import StatementClass as C


class Changes:
    """Judges one statement that changes rows; ``most`` is the bound of a ``TOP`` before the relation, if any."""

    def __init__(self, queries: Queries, effects: Effects, most: Rows) -> None:
        self._queries, self._effects, self._most = queries, effects, most

    def judge(self, node: exp.Expr) -> None:
        """Note what the statement does. Raises :class:`NotUnderstoodError`."""
        scope = self._queries.within(node, {})
        if isinstance(node, exp.Insert):
            rows = self._insert(node, scope)
        elif isinstance(node, exp.Update):
            rows = self._update(node, scope)
        elif isinstance(node, exp.Delete):
            rows = self._delete(node, scope)
        elif isinstance(node, exp.Merge):
            rows = self._merge(node, scope)
        elif isinstance(node, exp.MultitableInserts):
            rows = self._insert_all(node, scope)
        else:
            raise NotUnderstoodError("a change is of a kind that is not understood")
        rows = capped(rows, self._most)
        if bounded(rows):
            self._effects.add("changes a bounded number of rows", C.WRITE)
        else:
            self._effects.add("nothing bounds the rows that are changed", C.MASS_WRITE)
        returning = node.args.get("returning")
        if returning is not None:
            self._queries.visit([returning], scope)
            self._leave(rows)

    def returned(self, rows: Rows) -> None:
        """Note that the changed rows leave, by a clause that the grammar did not see."""
        self._leave(rows)

    def _leave(self, rows: Rows) -> None:
        self._effects.reads |= self._effects.writes
        self._effects.answer(rows)

    def _target(self, node: exp.Expr) -> None:
        if isinstance(node, exp.Schema):
            self._queries.declared.append(node.this.name.upper())
            self._queries.visit([each for each in node.expressions if isinstance(each, exp.Expr)], {})
            node = node.this
        if isinstance(node, exp.Table):
            self._queries.visit(list(node.iter_expressions()), {})
            if isinstance(node.this, exp.Identifier | exp.Dot):
                change(node, self._queries.dialect, self._effects)
                return
            if self._queries.dialect == "tsql" and isinstance(node.this, exp.Parameter):
                return
        raise NotUnderstoodError("what is changed is not a plain relation")

    def _insert(self, node: exp.Insert, scope: Scope) -> Rows:
        if node.args.get("directory") or node.args.get("is_function"):
            raise NotUnderstoodError("what is inserted into is not a plain relation")
        self._target(node.this)
        query = node.expression
        known = {"this", "expression", "with_", "returning"}
        rows: Rows = 1
        if isinstance(query, exp.Expr):
            rows = self._queries.rows(query, scope)
            if self._effects.reads:
                self._effects.answer(rows)
            elif rows is None and not isinstance(query, exp.Values):
                self._effects.add("rows of no bound are made", C.BULK_READ)
            rows = FEW if isinstance(query, exp.Values) else rows
        self._rest(node, scope, known)
        if node.args.get("overwrite"):
            self._effects.add("replaces all rows", C.MASS_WRITE, C.DESTRUCTIVE_DDL)
            return None
        return rows

    def _insert_all(self, node: exp.MultitableInserts, scope: Scope) -> Rows:
        for each in node.expressions:
            self._target(each.this.this)
            self._queries.visit(
                [value for value in (each.this.expression, each.args.get("expression")) if value], scope
            )
        rows = self._queries.rows(node.args["source"], scope)
        self._effects.answer(rows)
        return rows

    def _update(self, node: exp.Update, scope: Scope) -> Rows:
        sources, targets = self._changed(node, [node.this], scope)
        self._rest(node, scope, {"this", "from_", "joins", "with_", "returning", "limit"})
        return self._rows(node, sources, targets, scope)

    def _delete(self, node: exp.Delete, scope: Scope) -> Rows:
        listed = [each for each in node.args.get("tables") or () if isinstance(each, exp.Expr)]
        using = node.args.get("using")
        start = node.this if isinstance(node.this, exp.Expr) else None
        if using:
            listed, start = ([start] if start is not None else []), None
        sources, targets = self._changed(node, listed or [node.this], scope, start if listed else None, using or ())
        self._rest(node, scope, {"this", "tables", "using", "with_", "returning", "limit"})
        return self._rows(node, sources, targets, scope)

    def _changed(
        self,
        node: exp.Expr,
        named: list[exp.Expr],
        scope: Scope,
        start: exp.Expr | None = None,
        using: Iterable[exp.Expr] = (),
    ) -> tuple[Sources, list[str]]:
        """Return the sources of the change, and the names in it of the relations that are changed."""
        sources, inner = Sources(), Effects()
        from_ = node.args.get("from_")
        others = [each for each in (start, from_.this if from_ is not None else None, *using) if each is not None]
        for item in others:
            self._queries.take(sources, item, scope)
        aliases = {}
        for item in others:
            for table in item.find_all(exp.Table):
                aliases[table.alias_or_name.lower()] = table
        targets = []
        for each in named:
            table = each.this if isinstance(each, exp.Schema) else each
            known = aliases.get(table.name.lower()) if isinstance(table, exp.Table) and not table.db else None
            self._target(known if known is not None else table)
            name = table.alias_or_name.lower()
            outputs = self._queries.outputs_of_table(table, scope) if isinstance(table, exp.Table) else STORED
            targets.append(name if name in sources.members else sources.add(name, None, outputs))
            for join in table.args.get("joins") or ():
                self._queries.join(sources, [join], scope)
                if isinstance(node, exp.Update) and isinstance(join.this, exp.Table):
                    change(join.this, self._queries.dialect, inner)
        # UPDATE a, b SET: each that is assigned to is changed; which one a bare column is of cannot be told.
        if inner.writes:
            self._effects.writes |= inner.writes
            targets = list(sources.members)
        self._queries.join(sources, node.args.get("joins"), scope)
        self._queries.under(sources, node.args.get("where"), scope)
        return sources, targets

    def _rows(self, node: exp.Expr, sources: Sources, targets: list[str], scope: Scope) -> Rows:
        limit = node.args.get("limit")
        if limit is not None:
            self._queries.visit([limit], scope)
            most = rows_of_limit(limit)
            if most is not None:
                return most
        return FEW if targets and all(map(sources.pinned, targets)) else None

    def _merge(self, node: exp.Merge, scope: Scope) -> Rows:
        self._target(node.this)
        sources = Sources()
        self._queries.take(sources, node.args["using"], scope)
        source_rows = sources.rows()
        target = sources.add(node.this.alias_or_name, None)
        condition = node.args.get("on")
        if condition is not None:
            sources.holds(self._queries.reader(sources, scope).pins(condition))
        self._rest(node, scope, {"this", "using", "with_", "returning", "whens"})
        whens = node.args["whens"].expressions
        for when in whens:
            then = when.args.get("then")
            inner = list(then.iter_expressions()) if isinstance(then, exp.Insert | exp.Update) else []
            self._queries.visit([*inner, *(each for each in when.iter_expressions() if each is not then)], scope)
        if any(when.args.get("source") for when in whens) or not bounded(source_rows):
            return None
        matched = any(when.args.get("matched") for when in whens)
        return FEW if not matched or sources.pinned(target) else None

    def _rest(self, node: exp.Expr, scope: Scope, known: set[str]) -> None:
        for key, value in node.args.items():
            if key in known or not value:
                continue
            if isinstance(value, exp.Expr):
                self._queries.visit([value], scope)
            elif isinstance(value, list):
                self._queries.visit([each for each in value if isinstance(each, exp.Expr)], scope)
