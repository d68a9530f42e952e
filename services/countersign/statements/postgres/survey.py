"""One walk over a tree: every function that is called, every relation that is read, and what nested changes do.

Nothing is passed over: a kind of node that is not known here makes the statement not understood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from countersign.statements.names import names
from countersign.statements.postgres import catalogs, operators
from countersign.statements.postgres.bounds import (
    Scope,
    changes_few,
    is_endless,
    merges_few,
    rows_of,
    scope_within,
    source_rows,
)
from countersign.statements.postgres.calls import judge_call, judge_field
from countersign.statements.postgres.folding import Calls
from countersign.statements.postgres.nodes import PLAIN
from countersign.statements.postgres.parsing import NotUnderstood, Tree
from countersign.statements.postgres.pure_functions import PACKING
from countersign.statements.postgres.sight import Sight
from countersign.statements.postgres.tree import qualified, relation_name, strings
from countersign.statements.rows import FEW, ONE, bounded
from countersign.statements.verdict import StatementClass as C

_LEAVES: Final = names("A_Const A_Star ParamRef String Integer Alias")
"""Plain nodes with nothing inside."""

_SAMPLING: Final = names("system bernoulli")


class Survey:
    """Walks trees and writes what it sees into ``sight``. Raises ``NotUnderstood`` at what it does not know."""

    def __init__(self, sight: Sight) -> None:
        self.sight = sight
        self._scope = Scope()
        self._packing = False
        self._routes: dict[str, Callable[[Tree], None]] = {
            "SelectStmt": self.select,
            "InsertStmt": self.insert,
            "UpdateStmt": self.update,
            "DeleteStmt": self.delete,
            "MergeStmt": self.merge,
            "RangeVar": self._range,
            "FuncCall": self._call,
            "JsonArrayAgg": self._pack,
            "JsonObjectAgg": self._pack,
            "JsonArrayQueryConstructor": self._pack_query,
            "SortBy": self._sort,
            "A_Expr": self._operate,
            "SubLink": self._link,
            "ColumnRef": self._column,
            "A_Indirection": self._indirection,
            "RangeTableSample": self._sample,
            "LockingClause": self._lock,
        }

    def visit(self, tree: Tree) -> None:
        """Walk a tree: a node's inside, or a wrapper ``{node type: node}``."""
        routes = self._routes
        for key, value in tree.items():
            kind = type(value)
            if kind is dict:
                route = routes.get(key)
                if route is not None:
                    route(value)
                elif key in _LEAVES:
                    continue
                elif key[0] <= "Z" and key not in PLAIN:
                    raise NotUnderstood(f"{key} is not known here")
                elif "relname" in value:
                    # A field that can only be a relation carries no node type.
                    self._range(value)
                else:
                    self.visit(value)
            elif kind is list:
                self.visit_all(value)

    def visit_all(self, nodes: Any) -> None:
        """Walk each of the nodes."""
        for node in nodes:
            if type(node) is dict:
                self.visit(node)

    def select(self, node: Tree) -> None:
        """Walk a query; whether rows leave by it is for the caller to say."""
        outer = self._enter(node)
        for key, value in node.items():
            if key in {"larg", "rarg"}:
                self.select(value)
            elif key == "intoClause":
                self.sight.add((C.DDL,), "creates a table")
            elif key == "withClause":
                continue
            elif type(value) is list:
                self.visit_all(value)
            elif type(value) is dict:
                self.visit(value)
        self._note_packing(node)
        self._scope = outer

    def insert(self, node: Tree) -> None:
        """Walk an ``INSERT``."""
        outer = self._enter(node)
        name = self._writes(node["relation"], "inserts into")
        source = node.get("selectStmt")
        rows = rows_of(source, self._scope) if source else ONE
        many = "" if bounded(rows) else " without a bound on the rows"
        self.sight.add((C.MASS_WRITE if many else C.WRITE,), f"inserts into {name}{many}")
        if source:
            before, self.sight.reads = self.sight.reads, set()
            self.visit(source)
            if (self.sight.reads or self.sight.returns) and "valuesLists" not in source["SelectStmt"]:
                self.sight.add((C.READ if bounded(rows) else C.BULK_READ,), f"copies rows into {name}")
            self.sight.reads |= before
        self._rest(node, ("cols", "onConflictClause", "returningClause"))
        self.sight.returns |= "returningClause" in node
        self._scope = outer

    def update(self, node: Tree) -> None:
        """Walk an ``UPDATE``."""
        self._change(node, "updates", ("targetList", "fromClause", "whereClause", "returningClause"))

    def delete(self, node: Tree) -> None:
        """Walk a ``DELETE``."""
        self._change(node, "deletes from", ("usingClause", "whereClause", "returningClause"))

    def merge(self, node: Tree) -> None:
        """Walk a ``MERGE``."""
        self._change(
            node,
            "merges into",
            ("sourceRelation", "joinCondition", "mergeWhenClauses", "returningClause"),
            bound=merges_few,
        )

    def _change(
        self, node: Tree, verb: str, parts: tuple[str, ...], bound: Callable[[Tree, Scope], bool] = changes_few
    ) -> None:
        outer = self._enter(node)
        name = self._writes(node["relation"], verb)
        few = bound(node, self._scope)
        reason = f"{verb} {name}" + ("" if few else " without a bound on the rows")
        self.sight.add((C.WRITE if few else C.MASS_WRITE,), reason)
        if "returningClause" in node:
            self.sight.returns = True
            self.sight.reads.add(name)
        self._rest(node, parts)
        self._scope = outer

    def returned(self, node: Tree) -> None:
        """Add the class of the rows that a change at the top gives back."""
        few = (
            changes_few(node, scope_within(node, Scope()))
            if "mergeWhenClauses" not in node
            else merges_few(node, Scope())
        )
        self.sight.add_reading(FEW if few else None)

    def _rest(self, node: Tree, parts: tuple[str, ...]) -> None:
        for part in parts:
            value = node.get(part)
            if type(value) is list:
                self.visit_all(value)
            elif value is not None:
                self.visit(value)

    def _enter(self, node: Tree) -> Scope:
        """Walk the statement's ``WITH`` and bring its tables into sight; return what was in sight before."""
        outer = self._scope
        clause = node.get("withClause")
        if clause is not None:
            inner = scope_within(node, outer)
            recursive = clause.get("recursive", False)
            # Without RECURSIVE, a table sees only those before it: its own name is the stored relation's.
            seen = dict(inner.tables if recursive else outer.tables)
            self._scope = Scope(seen, inner.depth, inner.computed)
            for table in [wrapped["CommonTableExpr"] for wrapped in clause["ctes"]]:
                if recursive and "limitCount" not in node and is_endless(table):
                    self.sight.add((C.SESSION_CONTROL,), "recurses without an end")
                self.visit(table)
                seen[table["ctename"]] = inner.tables[table["ctename"]]
            self._scope = inner
        return outer

    def _note_packing(self, node: Tree) -> None:
        if not self._packing or self.sight.packs:
            return
        # Only now, that a call which packs was seen, here or in a query within.
        if Calls(node).packs and not bounded(source_rows(node, self._scope)):
            self.sight.packs = True

    def _writes(self, relation: Tree, verb: str) -> str:
        name = relation_name(relation)
        self.sight.writes.add(name)
        if catalogs.is_system(relation.get("schemaname", ""), relation["relname"]):
            self.sight.add((C.PRIVILEGE,), f"{verb} the system relation {name}")
        return name

    def _range(self, node: Tree) -> None:
        schema = node.get("schemaname", "")
        if not schema and node["relname"] in self._scope.tables:
            return
        name = relation_name(node)
        self.sight.reads.add(name)
        if catalogs.is_secret(schema, node["relname"]):
            self.sight.add((C.PRIVILEGE,), f"reads {name}")

    def _call(self, node: Tree) -> None:
        if judge_call(node, self.sight) in PACKING:
            self._packing = True
        self.visit(node)

    def _pack(self, node: Tree) -> None:
        self._packing = True
        self.visit(node)

    def _pack_query(self, node: Tree) -> None:
        if not bounded(rows_of(node["query"], self._scope)):
            self.sight.packs = True
        self.visit(node)

    def _operate(self, node: Tree) -> None:
        if node["kind"] in {"AEXPR_OP", "AEXPR_OP_ANY", "AEXPR_OP_ALL"}:
            self._operator(node["name"])
        self.visit(node)

    def _sort(self, node: Tree) -> None:
        self._operator(node.get("useOp", ()))
        self.visit(node)

    def _operator(self, name: Iterable[Tree]) -> None:
        schema, symbol = qualified(name)
        if symbol and (schema not in {"", "pg_catalog"} or symbol not in operators.KNOWN):
            self.sight.add((C.CODE_EXECUTION,), "uses an operator that is not PostgreSQL's own")

    def _link(self, node: Tree) -> None:
        self._operator(node.get("operName", ()))
        if node["subLinkType"] == "ARRAY_SUBLINK" and not bounded(rows_of(node["subselect"], self._scope)):
            self.sight.packs = True
        self.visit(node)

    def _column(self, node: Tree) -> None:
        fields = node["fields"]
        # PostgreSQL takes x.f for f(x) where x has no column f.
        if len(fields) > 1 and "String" in fields[-1]:
            judge_field(fields[-1]["String"].get("sval", ""), self.sight)

    def _indirection(self, node: Tree) -> None:
        for name in strings(node["indirection"]):
            judge_field(name, self.sight, of_row=not {"A_Const", "TypeCast", "A_Expr", "ParamRef"} & node["arg"].keys())
        self.visit(node)

    def _sample(self, node: Tree) -> None:
        if qualified(node["method"])[1] not in _SAMPLING:
            self.sight.add((C.CODE_EXECUTION,), "samples by a method that is not PostgreSQL's own")
        self.visit(node)

    def _lock(self, _node: Tree) -> None:
        # It names relations of FROM by their aliases: they are seen there.
        self.sight.add((C.SESSION_CONTROL,), "locks the rows that it reads")
