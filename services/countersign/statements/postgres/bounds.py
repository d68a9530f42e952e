"""How many rows a query gives, and whether a change of rows is bounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from countersign.statements.postgres.computed import Computed, computed_beside, computed_tables, is_computed
from countersign.statements.postgres.folding import Calls
from countersign.statements.postgres.parsing import Tree
from countersign.statements.postgres.predicates import UNNAMED, Pins, pins
from countersign.statements.postgres.pure_functions import MULTIPLYING
from countersign.statements.postgres.tree import contains, integer, qualified
from countersign.statements.rows import FEW, ONE, Rows, both, bounded, capped, product

_DEEPEST: Final = 16
"""Queries in queries deeper than this have no bound that anybody takes the time to find."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The common table expressions in sight with the rows of each, and how deep in other queries this is."""

    tables: Mapping[str, Rows] = field(default_factory=dict)
    depth: int = 0
    computed: Mapping[str, Computed] = field(default_factory=dict)
    """Of each, the columns that are no data."""


_MANY_SOURCES: Final = 32


def scope_within(node: Tree, scope: Scope) -> Scope:
    """Return what is in sight inside of a statement: ``scope`` and the statement's own ``WITH``."""
    clause = node.get("withClause")
    if clause is None:
        return Scope(scope.tables, scope.depth + 1, scope.computed)
    tables = dict(scope.tables)
    inner = Scope(tables, scope.depth + 1, computed_tables(node, scope.computed))
    expressions = [wrapped["CommonTableExpr"] for wrapped in clause["ctes"]]
    if clause.get("recursive"):
        tables.update((expression["ctename"], None) for expression in expressions)
    for expression in expressions:
        tables[expression["ctename"]] = rows_of(expression["ctequery"], inner)
    return inner


def rows_of(wrapped: Tree, scope: Scope) -> Rows:
    """Return how many rows the statement gives at most; ``wrapped`` is ``{node type: node}``."""
    if scope.depth > _DEEPEST:
        return None
    if "SelectStmt" in wrapped:
        return rows_of_select(wrapped["SelectStmt"], scope)
    if "UpdateStmt" in wrapped or "DeleteStmt" in wrapped:
        node = next(iter(wrapped.values()))
        return FEW if changes_few(node, scope_within(node, scope)) else None
    if "InsertStmt" in wrapped:
        node = wrapped["InsertStmt"]
        return rows_of(node["selectStmt"], scope_within(node, scope)) if "selectStmt" in node else ONE
    return None


def rows_of_select(node: Tree, scope: Scope) -> Rows:
    """Return how many rows the query gives at most."""
    scope = scope_within(node, scope)
    if "larg" in node:
        rows = _of_set_operation(node, scope)
    elif "valuesLists" in node:
        rows = len(node["valuesLists"])
    else:
        calls = Calls(node)
        rows = ONE if calls.folds and "groupClause" not in node else source_rows(node, scope)
        if any("GroupingSet" in item for item in node.get("groupClause", ())):
            # Each set gives rows of its own, the empty one also where there are none.
            rows = FEW if bounded(rows) else None
        for call in calls.multiplying:
            rows = product(rows, _of_function(call))
    return capped(rows, _limit(node))


def source_rows(node: Tree, scope: Scope) -> Rows:
    """Return how many rows the query's ``FROM`` and ``WHERE`` give, before any grouping and ``LIMIT``."""
    if "fromClause" not in node:
        return ONE
    sources = _Sources(scope)
    for item in node["fromClause"]:
        sources.add(item)
    return sources.rows(pins(node.get("whereClause"), lambda query: rows_of(query, scope), sources.computed))


def changes_few(node: Tree, scope: Scope) -> bool:
    """Whether an ``UPDATE`` or ``DELETE`` changes a bounded number of rows of its relation."""
    sources = _Sources(scope)
    target = sources.add_target(node["relation"])
    for item in node.get("fromClause") or node.get("usingClause") or ():
        sources.add(item)
    return sources.pinned(target, pins(node.get("whereClause"), lambda query: rows_of(query, scope), sources.computed))


def merges_few(node: Tree, scope: Scope) -> bool:
    """Whether a ``MERGE`` changes a bounded number of rows: of what it inserts and of what it matches."""
    kinds = [wrapped["MergeWhenClause"] for wrapped in node.get("mergeWhenClauses", ())]
    if any(kind["matchKind"] == "MERGE_WHEN_NOT_MATCHED_BY_SOURCE" for kind in kinds):
        return False
    sources = _Sources(scope)
    sources.add(node["sourceRelation"])
    if not bounded(sources.rows(Pins())):
        return False
    target = sources.add_target(node["relation"])
    matches = any(kind["matchKind"] == "MERGE_WHEN_MATCHED" for kind in kinds)
    found = pins(node["joinCondition"], lambda query: rows_of(query, scope), sources.computed)
    return not matches or sources.pinned(target, found)


def is_endless(table: Tree) -> bool:
    """Whether a recursive table expression adds rows for ever: it looks at nothing but itself, and never stops."""
    query = table["ctequery"].get("SelectStmt", {})
    if query.get("op") != "SETOP_UNION" or not query.get("all"):
        return False
    again = query["rarg"]
    names = [item.get("RangeVar", {}).get("relname") for item in again.get("fromClause", ())]
    stops = contains(again.get("whereClause"), frozenset({"ColumnRef"})) or "limitCount" in again
    return names == [table["ctename"]] and not stops


def _of_set_operation(node: Tree, scope: Scope) -> Rows:
    left, right = rows_of_select(node["larg"], scope), rows_of_select(node["rarg"], scope)
    if node["op"] == "SETOP_UNION":
        return both(left, right)
    if node["op"] == "SETOP_INTERSECT" and not bounded(left):
        return right
    return left


def _limit(node: Tree) -> Rows:
    if node.get("limitOption") == "LIMIT_OPTION_WITH_TIES":
        return None
    most = integer(node.get("limitCount"))
    return most if most is not None and most >= 0 else None


def _of_function(call: Tree) -> Rows:
    """Return the rows of a function in ``FROM``: a row or a document has few parts, a series may be endless."""
    if qualified(call["funcname"])[1] != "generate_series":
        return FEW if qualified(call["funcname"])[1] in MULTIPLYING else ONE
    numbers = [integer(arg) for arg in call.get("args", ())]
    if len(numbers) not in {2, 3} or None in numbers:
        return None
    start, stop, *rest = [number or 0 for number in numbers]
    return max(0, (stop - start) // (rest[0] if rest and rest[0] > 0 else 1) + 1)


@dataclass(slots=True)
class _Sources:
    """What stands in ``FROM``: the rows of each by its alias, and what its joins pin and tie."""

    scope: Scope
    sizes: dict[str, Rows] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    beside: dict[str, Computed] = field(default_factory=dict)
    ties: list[tuple[str, str]] = field(default_factory=list)
    """Directed: who knows the rows of the first knows those of the second."""

    def add_target(self, relation: Tree) -> str:
        """Add the relation of a change, return its alias."""
        return self._add(relation.get("alias", {}).get("aliasname") or relation["relname"], None)

    def add(self, item: Tree) -> set[str]:
        """Add an item of ``FROM``, return the aliases in it."""
        if "JoinExpr" in item:
            return self._join(item["JoinExpr"])
        kind, node = next(iter(item.items()))
        self.beside.update(computed_beside((item,), self.scope.computed))
        alias: str = node.get("alias", {}).get("aliasname", "")
        rows: Rows
        if kind == "RangeVar":
            alias = alias or node["relname"]
            rows = self.scope.tables.get(node["relname"]) if "schemaname" not in node else None
        elif kind == "RangeSubselect":
            rows = rows_of(node["subquery"], self.scope)
        elif kind == "RangeFunction":
            rows, alias = self._function(node), alias or f"function {len(self.sizes)}"
        elif kind == "RangeTableSample":
            return self.add(node["relation"])
        else:
            rows = FEW
        return {self._add(alias or f"item {len(self.sizes)}", rows)}

    def computed(self, column: tuple[str, str]) -> bool:
        """Whether the column is a computed one of a table expression without a bound, so that it names no rows."""
        return is_computed(column, {alias: each for alias, each in self.beside.items() if self.sizes[alias] is None})

    def rows(self, where: Pins) -> Rows:
        """Return the rows of all the sources together."""
        if where.never:
            return 0
        known = self._known(where)
        total: Rows = ONE
        for alias, size in self.sizes.items():
            total = product(total, FEW if size is None and alias in known else size)
        return total

    def pinned(self, target: str, where: Pins) -> bool:
        """Whether the condition bounds the rows of ``target``."""
        return where.never or target in self._known(where)

    def _add(self, alias: str, rows: Rows) -> str:
        # Two of one alias in different subjoins are legal: the larger is what is sure.
        self.sizes[alias] = rows if alias not in self.sizes or rows is None else self.sizes[alias]
        return alias

    def _function(self, node: Tree) -> Rows:
        rows: Rows = ONE
        for function in node.get("functions", ()):
            call = function["List"]["items"][0].get("FuncCall")
            rows = product(rows, _of_function(call) if call else ONE)
        return rows

    def _join(self, node: Tree) -> set[str]:
        left, right = self.add(node["larg"]), self.add(node["rarg"])
        kind = node["jointype"]
        self._keep(right if kind == "JOIN_LEFT" else left if kind == "JOIN_RIGHT" else set(), least=ONE)
        self._keep(left | right if kind == "JOIN_FULL" else set(), more=ONE)
        into_right, into_left = kind in {"JOIN_INNER", "JOIN_LEFT"}, kind in {"JOIN_INNER", "JOIN_RIGHT"}
        found = pins(node.get("quals"), lambda query: rows_of(query, self.scope), self.computed)
        # What ON says of the side that an outer join keeps whole bounds nothing of it.
        self.named |= {name for name in found.names if (into_right and name in right) or (into_left and name in left)}
        pairs = [(one, other) for one, other in found.ties if one and other]
        if node.get("usingClause") or node.get("isNatural"):
            pairs += [(one, other) for one in sorted(left)[:1] for other in sorted(right)[:1]]
        elif found.ties and not pairs and len(left) == len(right) == 1:
            pairs += [(min(left), min(right))]
        for one, other in pairs:
            self._tie(one, other, into_right if other in right else into_left)
            self._tie(other, one, into_left if other in right else into_right)
        return left | right

    def _keep(self, aliases: set[str], least: int = 0, more: int = 0) -> None:
        """Count the rows that an outer join gives beside those that match."""
        for alias in aliases:
            size = self.sizes[alias]
            if size is not None and size != FEW:
                self.sizes[alias] = max(size, least) + more

    def _tie(self, one: str, other: str, holds: bool) -> None:
        if holds and one != other:
            self.ties.append((one, other))

    def _known(self, where: Pins) -> set[str]:
        """Return the aliases whose rows are bounded by themselves, by the condition, or by a tie to such a one."""
        ties = self.ties + [
            tie for one, other in where.ties if one and other and one != other for tie in ((one, other), (other, one))
        ]
        start = {alias for alias, size in self.sizes.items() if bounded(size)} | self.named | where.names
        # A name from outside of this query is one value for each row there.
        start |= {one for one, _ in ties if one and one not in self.sizes}
        if UNNAMED not in start:
            return _reached(start, ties)
        open_ones = [alias for alias, size in self.sizes.items() if size is None and alias not in start]
        if len(open_ones) > _MANY_SOURCES:
            return _reached(start, ties)
        # A bare column may be any relation's: sure is only what follows whichever it is.
        return set.intersection(*(_reached(start | {alias}, ties) for alias in open_ones)) if open_ones else start


def _reached(start: set[str], ties: list[tuple[str, str]]) -> set[str]:
    after: dict[str, list[str]] = {}
    for one, other in ties:
        after.setdefault(one, []).append(other)
    reached, waiting = set(start), list(start)
    while waiting:
        for other in after.get(waiting.pop(), ()):
            if other not in reached:
                reached.add(other)
                waiting.append(other)
    return reached
