"""What a query reads and how many rows it gives, from its tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sqlglot import exp

from countersign.statements.dialects.effects import Effects
from countersign.statements.dialects.errors import NotUnderstoodError
from countersign.statements.dialects.outputs import STORED, Derived, Outputs, united
from countersign.statements.dialects.piece import QUOTED, Piece
from countersign.statements.dialects.predicates import Reader
from countersign.statements.dialects.relations import folded, is_metadata, touch
from countersign.statements.dialects.shapes import QUERIES, called, contains, rows_of_limit, sides
from countersign.statements.dialects.sources import Sources, note_made, outputs_of
from countersign.statements.dialects.tables.aggregates import AGGREGATE_NAMES, AGGREGATES, PACKING, PACKING_NAMES
from countersign.statements.dialects.tables.functions import HARMLESS
from countersign.statements.dialects.tables.words import NOT_CALLED
from countersign.statements.rows import FEW, ONE, Rows, both, bounded, capped
from countersign.statements.verdict import StatementClass as C

Scope = Mapping[str, Derived]
"""The common table expressions in sight."""

_CHANGES: Final = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Command)
_LOOKED_AT: Final = frozenset(
    {
        *(exp.Select, exp.Union, exp.Except, exp.Intersect, exp.SetOperation, exp.Subquery, exp.Values, exp.Table),
        *_CHANGES,
        *(
            exp.Lock,
            exp.PropertyEQ,
            exp.Anonymous,
            exp.Placeholder,
            exp.JSONPathKey,
            exp.Array,
            exp.NextValueFor,
            exp.Schema,
        ),
        *(exp.TableFromRows, exp.WithTableHint, exp.Columns, exp.Aliases),
    }
)
"""The exact types that are more to :meth:`Queries.visit` than their parts."""
_PACKED: Final = "an aggregate packs a table into one row"
_LOCKS: Final = frozenset({"UPDLOCK", "XLOCK", "TABLOCKX", "HOLDLOCK", "SERIALIZABLE", "REPEATABLEREAD"})
"""Hints of T-SQL that hold locks until the transaction ends."""
_HANDLED: Final = frozenset({"with_", "from_", "joins", "laterals", "limit", "into"})
_ALIASES_IN_CONDITIONS: Final = frozenset({"sqlite", "snowflake", "bigquery"})
"""Where a condition may name what the query itself computes; in BigQuery as a pipe does."""
_OUTER: Final = frozenset({"LEFT", "RIGHT", "FULL"})
_FEW_FROM_ONE: Final = (exp.Unnest, exp.Explode, exp.JSONTable, exp.OpenJSON, exp.XMLTable, exp.StringToArray)
_FEW_NAMES: Final = frozenset({"JSON_EACH", "JSON_TREE", "STRING_SPLIT", "SPLIT_TO_TABLE", "FLATTEN"})


class Queries:
    """Walks the queries of one statement, each once, and notes in ``effects`` what they touch."""

    def __init__(self, piece: Piece, effects: Effects) -> None:
        self.effects = effects
        self.dialect = piece.dialect
        self.names: set[str] = set()
        """Every name that the tree holds, upper case: what the text has beside was dropped by the parser."""
        self.declared: list[str] = []
        """Names that a list of columns follows, upper case: not calls, though a parenthesis follows."""
        self._known: dict[int, Rows] = {}
        self._sources: dict[int, Sources] = {}
        self._packs = not PACKING_NAMES.isdisjoint(piece.words) or any(
            word[1:].upper() in PACKING_NAMES for word in piece.words if word.startswith(QUOTED)
        )
        self._packed = self._open = False

    def finish(self) -> None:
        """Note what only the whole statement tells: an aggregate that packs rows, and that no tree shows."""
        if self._packs and self._open and not self._packed:
            self._carry(_PACKED)

    # A query, as a whole -----------------------------------------------------------------------------------------

    def rows(self, node: exp.Expr, scope: Scope) -> Rows:
        """Return how many rows the query gives at most, and note what it and all within it touch."""
        if id(node) not in self._known:
            self._known[id(node)] = self._rows(node, scope)
        return self._known[id(node)]

    def within(self, node: exp.Expr, scope: Scope) -> Scope:
        """Return what is in sight inside of a statement: ``scope`` and the statement's own ``WITH``."""
        clause = node.args.get("with_")
        if clause is None:
            return scope
        inner = dict(scope)
        for table in clause.expressions:
            self._declare(table.args.get("alias"))
            name = folded(table.args["alias"].this, self.dialect)
            # What refers to itself has no bound that the text tells.
            refers = clause.args.get("recursive") or self.dialect == "tsql"
            inner.update({name: Derived(None, STORED)} if refers else {})
            rows = self.rows(table.this, inner)
            inner[name] = Derived(rows, self.outputs(table.this, table.args["alias"]))
        return inner

    def _rows(self, node: exp.Expr, scope: Scope) -> Rows:
        scope = self.within(node, scope)
        if isinstance(node, exp.Select):
            return self._of_select(node, scope)
        if isinstance(node, exp.SetOperation):
            rows: Rows = 0
            for side in sides(node):
                rows = both(rows, self.rows(side, scope))
            self._visit_args(node, scope, {"this", "expression", "with_", "limit"})
            return capped(rows, self._limit(node))
        if isinstance(node, exp.Values):
            self._visit_args(node, scope, ())
            return len(node.expressions)
        if isinstance(node, exp.Subquery):
            self._visit_args(node, scope, {"this", "with_", "limit", "joins"})
            if isinstance(node.this, exp.Table) or node.args.get("joins"):
                sources = Sources()
                self.take(sources, node.this, scope)
                self.join(sources, node.args.get("joins"), scope)
                rows = sources.rows()
            else:
                rows = self.rows(node.this, scope)
            return capped(rows, self._limit(node))
        raise NotUnderstoodError("a query is of a kind that is not understood")

    def outputs(self, node: exp.Expr, alias: object = None) -> Outputs:
        """Return the columns of a query whose rows were told already, under the names that ``alias`` gives them."""
        if bounded(self._known.get(id(node))):
            return STORED
        found = STORED
        if isinstance(node, exp.Subquery):
            found = self.outputs(node.this)
        elif isinstance(node, exp.SetOperation):
            found = united([self.outputs(side) for side in reversed(sides(node))])
        elif id(node) in self._sources:
            found = outputs_of(node.expressions, self._sources[id(node)], self.reader(self._sources[id(node)], {}))
        columns = alias.columns if isinstance(alias, exp.TableAlias) else ()
        return found.renamed([column.name.lower() for column in columns])

    def _of_select(self, node: exp.Select, scope: Scope) -> Rows:
        into = node.args.get("into")
        if into is not None:
            raise NotUnderstoodError("INTO stands where it is not understood")
        sources = self._sources[id(node)] = self.sources(node, scope)
        self._visit_args(node, scope, _HANDLED)
        rows = sources.rows()
        self._open |= not bounded(rows)
        if self._packs and contains(node.expressions, PACKING, PACKING_NAMES):
            self._packed = True
            if not bounded(rows):
                self._carry(_PACKED)
        if not node.args.get("group") and contains(node.expressions, AGGREGATES, AGGREGATE_NAMES):
            rows = ONE
        rows = capped(rows, self._limit(node))
        if node.args.get("for_") and not bounded(rows):
            self._carry("a table is packed into one document")
        return rows

    def sources(self, node: exp.Expr, scope: Scope) -> Sources:
        """Return what the query, ``UPDATE`` or ``DELETE`` takes its rows from, under its ``WHERE``."""
        sources = Sources()
        start = node.args.get("from_")
        if start is not None:
            self.take(sources, start.this, scope)
        for item in node.args.get("laterals") or ():
            self._take_lateral(sources, item, scope)
        self.join(sources, node.args.get("joins"), scope)
        if self.dialect in _ALIASES_IN_CONDITIONS and isinstance(node, exp.Select):
            note_made(node.expressions, sources, self.reader(sources, scope))
        self.under(sources, node.args.get("where"), scope)
        return sources

    def under(self, sources: Sources, where: exp.Expr | None, scope: Scope) -> None:
        """Note what the ``WHERE`` says of the sources."""
        if where is not None:
            sources.holds(self.reader(sources, scope).pins(where.this))

    def reader(self, sources: Sources, scope: Scope) -> Reader:
        """Return what reads conditions over the sources."""
        return Reader(sources.members, sources.stores, lambda query: self.rows(query, scope), self.dialect)

    # FROM --------------------------------------------------------------------------------------------------------

    def take(self, sources: Sources, item: exp.Expr, scope: Scope) -> None:
        """Add one item of ``FROM``."""
        self._declare(item.args.get("alias"))
        if isinstance(item, exp.Table):
            rows = self.relation(item, scope)
            sources.add(item.alias_or_name, rows, self.outputs_of_table(item, scope))
            self.join(sources, item.args.get("joins"), scope)
            for lateral in item.args.get("laterals") or ():
                self._take_lateral(sources, lateral, scope)
        elif isinstance(item, exp.Subquery) and not item.alias and isinstance(item.this, exp.Table):
            # Parentheses around relations, which keep their names.
            self.take(sources, item.this, scope)
            self.join(sources, item.args.get("joins"), scope)
        elif isinstance(item, QUERIES):
            rows = self.rows(item, scope)
            sources.add(item.alias, rows, self.outputs(item, item.args.get("alias")))
        else:
            self._take_lateral(sources, item, scope)

    def _take_lateral(self, sources: Sources, item: exp.Expr, scope: Scope) -> None:
        self._declare(item.args.get("alias"))
        inner = item.this if isinstance(item, exp.Lateral) else item
        outputs = STORED
        if isinstance(inner, QUERIES):
            rows = self.rows(inner, scope)
            outputs = self.outputs(inner, item.args.get("alias"))
        else:
            self.visit([item], scope)
            rows = FEW if isinstance(inner, _FEW_FROM_ONE) or called(inner) in _FEW_NAMES else None
        sources.add(item.alias, rows, outputs)

    def join(self, sources: Sources, joins: Iterable[exp.Expr] | None, scope: Scope) -> None:
        """Add what is joined, and what the joins' conditions say."""
        for join in joins or ():
            before = list(sources.members)
            self.take(sources, join.this, scope)
            added = [name for name in sources.members if name not in before]
            if before and (join.args.get("using") or join.args.get("method") in {"NATURAL", "ASOF"}):
                columns = [column.name.lower() for column in join.args.get("using") or ()]
                sources.tie(added, before[-1], columns)
            side = str(join.args.get("side") or "").upper()
            if side in _OUTER:
                sources.loosen({"LEFT": added, "RIGHT": before}.get(side, [*before, *added]))
            condition = join.args.get("on")
            if condition is not None:
                sources.holds(self.reader(sources, scope).pins(condition), keeps=side not in _OUTER)
                self.visit([condition], scope)
            self._visit_args(join, scope, {"this", "on"})

    def relation(self, table: exp.Table, scope: Scope) -> Rows:
        """Note that the table is read, and return how many rows it has at most."""
        self._visit_args(table, scope, {"joins", "laterals", "alias"})
        if not isinstance(table.this, exp.Identifier | exp.Dot):
            inner = table.this
            if self.dialect == "tsql" and isinstance(inner, exp.Parameter):
                return None
            if isinstance(inner, exp.Var | exp.Parameter | exp.Literal):
                self.effects.add("rows come from a file or a stage", C.FILE_ACCESS)
                self.effects.reads.add("@stage")
                return None
            few = isinstance(inner, _FEW_FROM_ONE) or called(inner) in _FEW_NAMES
            return FEW if few or is_metadata(called(inner)) else None
        derived = self._derived(table, scope)
        if derived is not None:
            return derived.rows
        if table.name.lower() == "dual" and not table.db:
            return ONE
        touch(table, self.dialect, self.effects)
        return None

    def outputs_of_table(self, table: exp.Table, scope: Scope) -> Outputs:
        """Return the columns of a relation, which may be a common table expression."""
        derived = self._derived(table, scope)
        if derived is None or bounded(derived.rows):
            return STORED
        alias = table.args.get("alias")
        columns = alias.columns if isinstance(alias, exp.TableAlias) else ()
        return derived.outputs.renamed([column.name.lower() for column in columns])

    def _derived(self, table: exp.Table, scope: Scope) -> Derived | None:
        return scope.get(folded(table.this, self.dialect)) if scope and not table.db else None

    # Everything else ---------------------------------------------------------------------------------------------

    def visit(self, nodes: Iterable[exp.Expr], scope: Scope) -> None:
        """Walk expressions: queries within them are read, and everything is checked."""
        stack = list(nodes)
        names = self.names
        while stack:
            node = stack.pop()
            kind = type(node)
            if kind is exp.Identifier or kind is exp.Var:
                names.add(str(node.this).upper())
            elif kind not in _LOOKED_AT:
                stack.extend(node.iter_expressions())
            elif isinstance(node, QUERIES):
                self.rows(node, scope)
            elif isinstance(node, exp.Table):
                self._declare(node.args.get("alias"))
                self.relation(node, scope)
            else:
                self._check(node, scope)
                stack.extend(node.iter_expressions())

    def _check(self, node: exp.Expr, scope: Scope) -> None:
        if isinstance(node, _CHANGES):
            raise NotUnderstoodError("a change stands inside of a query")
        if isinstance(node, exp.Lock):
            self.effects.add("the rows read are locked", C.SESSION_CONTROL)
        elif isinstance(node, exp.PropertyEQ):
            if isinstance(node.this, exp.Parameter) or self.dialect == "mysql":
                self.effects.add("a variable of the session is set", C.SESSION_CONTROL)
        elif isinstance(node, exp.Anonymous | exp.Placeholder | exp.JSONPathKey):
            name = str(node.this).upper()
            self.names.add(name)
            if isinstance(node, exp.Anonymous) and name in NOT_CALLED[self.dialect]:
                self._check_name(name)
        elif isinstance(node, exp.WithTableHint):
            if any(each.name.upper() in _LOCKS for each in node.expressions):
                self.effects.add("the rows read are locked", C.SESSION_CONTROL)
        elif isinstance(node, exp.Columns | exp.Aliases):
            raise NotUnderstoodError("a part of a query is of another dialect")
        elif isinstance(node, exp.Array):
            for each in node.expressions:
                if isinstance(each, QUERIES) and not bounded(self.rows(each, scope)):
                    self._carry("an array packs a table into one row")
        elif isinstance(node, exp.TableFromRows):
            if node.this.find(exp.Func) is None:
                raise NotUnderstoodError("a relation is named by a text")
        elif isinstance(node, exp.NextValueFor):
            self.effects.add("a sequence advances", C.WRITE)
        elif isinstance(node, exp.Schema):
            self.declared.append(node.this.name.upper())

    def _check_name(self, name: str) -> None:
        """Note a call of what is a word of the grammar elsewhere; in T-SQL it is one of the system, or has a schema."""
        if self.dialect != "tsql" and name not in HARMLESS[self.dialect]:
            self.effects.add("a function is called that is not known to be harmless", C.CODE_EXECUTION)

    def _visit_args(self, node: exp.Expr, scope: Scope, handled: Iterable[str]) -> None:
        for key, value in node.args.items():
            if key in handled or not value:
                continue
            if isinstance(value, exp.Expr):
                self.visit([value], scope)
            elif isinstance(value, list):
                self.visit([each for each in value if isinstance(each, exp.Expr)], scope)

    def _declare(self, alias: object) -> None:
        if isinstance(alias, exp.TableAlias):
            self.visit([alias], {})
            if alias.args.get("columns"):
                self.declared.append(alias.name.upper())
        elif isinstance(alias, exp.Expr):
            self.visit([alias], {})

    def _carry(self, reason: str) -> None:
        self.effects.add(reason, C.BULK_READ)

    def _limit(self, node: exp.Expr) -> Rows:
        limit = node.args.get("limit")
        if limit is None:
            return None
        self.visit([limit], {})
        return rows_of_limit(limit)
