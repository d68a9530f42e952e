"""Which rows a condition names: the relations that it pins by an equality, and those that it ties to each other.

An allowlist: only what is shown here to bound a relation does. So no list of tautologies is needed; ``1=1``,
``id = id``, ``id > 0``, ``NOT false``, ``x LIKE '%'`` and whatever else folklore knows pin nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from countersign.statements.names import names
from countersign.statements.postgres.parsing import Tree
from countersign.statements.postgres.tree import contains, each, integer, qualified, text_of
from countersign.statements.rows import MOST_ROWS, Rows, bounded

UNNAMED: Final = ""
"""Stands for the relation of a column that is written without one."""

_KEEPS_APART: Final = names("lower upper btrim trim ltrim rtrim date")
_REACHES_INTO: Final = names("-> ->> #> #>>")
_SAME_FOR_MANY: Final = names("tableoid xmin xmax cmin cmax")
"""System columns that have one value for all the rows of a relation, or of a transaction."""

_COLUMNS: Final = frozenset({"ColumnRef"})
_QUERIES: Final = frozenset({"SubLink"})

IsComputed = Callable[[tuple[str, str]], bool]
"""Says whether a column (its relation or :data:`UNNAMED`, its name) is a computed one, that names no rows."""

RowsOf = Callable[[Tree], Rows]
"""Returns how many rows a query (the inside of a ``SelectStmt`` node's wrapper) gives."""


@dataclass(slots=True)
class Pins:
    """What a condition says: ``names`` are relations pinned, ``ties`` pairs of relations equal to each other.

    ``never``: the condition is false for every row.
    """

    names: set[str] = field(default_factory=set)
    ties: list[tuple[str, str]] = field(default_factory=list)
    never: bool = False
    computed: IsComputed = field(default=lambda _: False)


def pins(condition: Tree | None, rows_of: RowsOf, computed: IsComputed) -> Pins:
    """Return what ``condition`` pins."""
    found = Pins(computed=computed)
    if condition is not None:
        _collect(condition, found, rows_of)
    return found


def _collect(node: Tree, found: Pins, rows_of: RowsOf) -> None:
    if "A_Expr" in node:
        _compare(node["A_Expr"], found, rows_of)
    elif "BoolExpr" in node:
        _combine(node["BoolExpr"], found, rows_of)
    elif "SubLink" in node:
        _look_up(node["SubLink"], found, rows_of)
    elif "CurrentOfExpr" in node:
        found.names.add(UNNAMED)
    elif "A_Const" in node and "boolval" in node["A_Const"]:
        found.never |= not node["A_Const"]["boolval"].get("boolval", False)


def _combine(node: Tree, found: Pins, rows_of: RowsOf) -> None:
    if node["boolop"] == "AND_EXPR":
        for arg in node["args"]:
            _collect(arg, found, rows_of)
    elif node["boolop"] == "OR_EXPR":
        # An OR pins only what each of its sides pins; a side that is never true adds no rows.
        sides = [side for side in (pins(arg, rows_of, found.computed) for arg in node["args"]) if not side.never]
        if sides:
            found.names |= set.intersection(*(side.names for side in sides))
        else:
            found.never = True


def _compare(node: Tree, found: Pins, rows_of: RowsOf) -> None:
    kind, (schema, operator) = node["kind"], qualified(node["name"])
    if schema not in {"", "pg_catalog"}:
        return
    left, right = node.get("lexpr"), node.get("rexpr")
    if kind in {"AEXPR_OP", "AEXPR_NOT_DISTINCT"} and operator == "=" and left and right:
        _equate(left, right, found, rows_of)
    elif kind == "AEXPR_IN" and operator == "=" and left and right:
        items = right.get("List", {}).get("items", [])
        if len(items) <= MOST_ROWS and all(_fixed(item, rows_of) for item in items):
            found.names |= _pinnable(left, found)
    elif kind == "AEXPR_OP_ANY" and operator == "=" and left and right:
        # A sub-select in the array could pack a whole table into it.
        if not contains(right, _COLUMNS | _QUERIES):
            found.names |= _pinnable(left, found)
    elif kind in {"AEXPR_LIKE", "AEXPR_ILIKE"} and operator in {"~~", "~~*"} and left:
        pattern = text_of(right)
        if pattern is not None and not {"%", "_"} & set(pattern):
            found.names |= _pinnable(left, found)
    elif kind == "AEXPR_BETWEEN" and left and right:
        low, high = (integer(each) for each in right["List"]["items"])
        if low is not None and high is not None and high - low < MOST_ROWS:
            found.names |= _pinnable(left, found)


def _equate(left: Tree, right: Tree, found: Pins, rows_of: RowsOf) -> None:
    if "RowExpr" in left and "RowExpr" in right:
        for one, other in zip(left["RowExpr"].get("args", ()), right["RowExpr"].get("args", ()), strict=False):
            _equate(one, other, found, rows_of)
        return
    one, other = _relation(left, found), _relation(right, found)
    if one is not None and other is not None:
        found.ties.append((one, other))
    elif one is not None and _fixed(right, rows_of) and not _truth(right):
        found.names.add(one)
    elif other is not None and _fixed(left, rows_of) and not _truth(left):
        found.names.add(other)


def _look_up(node: Tree, found: Pins, rows_of: RowsOf) -> None:
    if node["subLinkType"] != "ANY_SUBLINK" or "testexpr" not in node:
        return
    if node.get("operName") and qualified(node["operName"]) != ("", "="):
        return
    query = node["subselect"]
    if _stands_alone(query) and bounded(rows_of(query)):
        found.names |= _pinnable(node["testexpr"], found)


def _pinnable(node: Tree, found: Pins) -> set[str]:
    parts = node["RowExpr"].get("args", ()) if "RowExpr" in node else (node,)
    return {name for part in parts if (name := _relation(part, found)) is not None}


def _relation(node: Tree, found: Pins) -> str | None:
    column = column_of(node)
    return None if column is None or found.computed(column) else column[0]


def column_of(node: Tree) -> tuple[str, str] | None:
    """Return relation and name of the column that ``node`` is, also within what keeps unequal values unequal."""
    if "ColumnRef" in node:
        fields = node["ColumnRef"]["fields"]
        schema, name = qualified(fields)
        if "A_Star" in fields[-1] or name in _SAME_FOR_MANY:
            return None
        return schema.rpartition(".")[2], name
    if "TypeCast" in node:
        inner: Tree = node["TypeCast"]
        return None if _is_boolean(inner) else column_of(inner["arg"])
    if "CollateClause" in node:
        return column_of(node["CollateClause"]["arg"])
    if "FuncCall" in node:
        call = node["FuncCall"]
        schema, name = qualified(call["funcname"])
        args = call.get("args", ())
        return column_of(args[0]) if name in _KEEPS_APART and schema in {"", "pg_catalog"} and len(args) == 1 else None
    if "A_Expr" in node and node["A_Expr"]["kind"] == "AEXPR_OP":
        expression = node["A_Expr"]
        reaches = qualified(expression["name"])[1] in _REACHES_INTO
        return column_of(expression["lexpr"]) if reaches and "lexpr" in expression else None
    return None


def _is_boolean(cast: Tree) -> bool:
    return qualified(cast["typeName"].get("names", ()))[1] in {"bool", "boolean"}


def _truth(node: Tree) -> bool:
    if "TypeCast" in node:
        return _is_boolean(node["TypeCast"])
    return "boolval" in node.get("A_Const", {})


def _fixed(node: Tree, rows_of: RowsOf) -> bool:
    """Whether the expression has one value, whatever row of the query's relations is looked at."""
    if not contains(node, _COLUMNS | _QUERIES):
        return True
    if contains(node, _COLUMNS, into_queries=False):
        return False
    return all(
        link["subLinkType"] in {"EXPR_SUBLINK", "EXISTS_SUBLINK"} and _stands_alone(link["subselect"])
        for link in each(node, "SubLink")
    )


def _stands_alone(node: Any, seen: frozenset[str] = frozenset(), *, stored: bool = False) -> bool:
    """Whether the sub-select names no relation of the query around it, as far as its text tells.

    ``seen`` are the aliases in sight; ``stored``: a bare name can be a column of a stored relation among them. Without
    one, it may be a column of the query around.
    """
    if isinstance(node, list):
        return all(_stands_alone(item, seen, stored=stored) for item in node)
    if not isinstance(node, dict):
        return True
    if "fromClause" in node:
        own = list(_sources(node["fromClause"]))
        seen |= {alias for alias, _ in own}
        stored |= any(is_stored for _, is_stored in own)
    for key, value in node.items():
        if key == "ColumnRef":
            relation = qualified(value["fields"])[0].rpartition(".")[2]
            if not (relation in seen if relation else stored):
                return False
        elif isinstance(value, (dict, list)) and not _stands_alone(value, seen, stored=stored):
            return False
    return True


def _sources(items: list[Tree]) -> Iterator[tuple[str, bool]]:
    """Yield alias and whether it is a stored relation, for each item of ``FROM``."""
    for item in items:
        kind, node = next(iter(item.items()))
        if kind == "JoinExpr":
            yield from _sources([node["larg"], node["rarg"]])
        elif kind == "RangeTableSample":
            yield from _sources([node["relation"]])
        else:
            yield node.get("alias", {}).get("aliasname") or node.get("relname", ""), kind == "RangeVar"
