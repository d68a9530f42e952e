"""Small questions to a tree, without recursion: chains are long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlglot import exp

from countersign.statements.dialects.predicates import integer
from countersign.statements.rows import MOST_ROWS, ONE, Rows

QUERIES: Final = (exp.Select, exp.SetOperation, exp.Subquery, exp.Values)
"""What a query can be. Parentheses around relations are a ``Subquery``, too."""


def rows_of_limit(limit: exp.Expr) -> Rows:
    """Return the rows that a ``LIMIT``, ``TOP`` or ``FETCH`` lets pass; None: it is no bound."""
    options = limit.args.get("limit_options")
    if options is not None and (options.args.get("percent") or options.args.get("with_ties")):
        return None
    if limit.args.get("expressions"):
        return None
    rows = integer(limit.args.get("count") if isinstance(limit, exp.Fetch) else limit.expression)
    if rows is None and isinstance(limit, exp.Fetch) and limit.args.get("count") is None:
        rows = ONE
    return rows if rows is not None and 0 <= rows <= MOST_ROWS else None


def sides(node: exp.Expr) -> list[exp.Expr]:
    """Return the queries that a chain of set operations puts together, without recursion: chains are long."""
    found: list[exp.Expr] = []
    stack: list[exp.Expr] = [node.this, node.expression]
    while stack:
        each = stack.pop()
        plain = isinstance(each, exp.SetOperation) and not any(
            each.args.get(key) for key in ("with_", "limit", "order")
        )
        if plain:
            stack += (each.this, each.expression)
        else:
            found.append(each)
    return found


def contains(nodes: Iterable[exp.Expr], kinds: tuple[type[exp.Expr], ...], names: frozenset[str]) -> bool:
    """Whether one of these is called in the expressions, as an aggregate of this very query."""
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if isinstance(node, kinds) and not (isinstance(node, exp.Max | exp.Min) and node.expressions):
            return True
        if isinstance(node, exp.Anonymous) and str(node.this).upper() in names:
            return True
        if not isinstance(node, (*QUERIES, exp.Window)):
            stack.extend(node.iter_expressions())
    return False


def called(node: exp.Expr) -> str:
    """Return the name, upper case, of the function that the node is a call of and that the grammar does not know."""
    return str(node.this).upper() if isinstance(node, exp.Anonymous) else ""
