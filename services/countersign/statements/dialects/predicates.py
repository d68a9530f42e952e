"""Which rows a condition names: the relations that it pins by an equality, and those that it ties together.

An allowlist: only what is shown here to bound a relation does. So no list of tautologies is needed; ``1=1``,
``id = id``, ``id > 0``, ``NOT false``, ``x LIKE '%'`` and whatever else folklore knows pin nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp

from countersign.statements.names import names
from countersign.statements.rows import MOST_ROWS, Rows, bounded

UNNAMED: Final = ""
"""Stands for the relation of a column that is written without one."""

_KEEPS_APART: Final = (exp.Lower, exp.Upper, exp.Trim, exp.Date, exp.TsOrDsToDate)
_QUERY: Final = (exp.Query, exp.Subquery, exp.Exists)
_NEVER_ZERO: Final = (
    *(exp.Parameter, exp.SessionParameter, exp.Placeholder, exp.HexString, exp.CurrentUser, exp.Lower, exp.Upper),
    *(exp.CurrentDate, exp.CurrentTimestamp, exp.Date, exp.DateAdd, exp.DateSub, exp.TsOrDsToDate, exp.Concat),
    *(exp.MD5, exp.SHA, exp.SHA2, exp.Unhex, exp.Subquery),
)
"""What has a value in MySQL that is no zero by the way it is written, as ``1 - 1`` or ``STRCMP('a', 'a')`` are."""
_OF_STORAGE: Final = names("_TABLE_SUFFIX _PARTITIONTIME _PARTITIONDATE _FILE_NAME")
"""Columns that tell where rows are stored: one value is of a whole table."""
_KEPT_APART_AS: Final = frozenset({exp.DType.DATE, exp.DType.DATETIME, exp.DType.TIMESTAMP, *exp.DataType.TEXT_TYPES})
_EQUAL: Final = (exp.EQ, exp.NullSafeEQ)

RowsOf = Callable[[exp.Expr], Rows]
"""Returns how many rows a query gives."""


@dataclass(slots=True)
class Pins:
    """What a condition says: ``names`` are relations pinned, ``ties`` pairs of relations equal to each other.

    ``never``: the condition is false for every row.
    """

    names: set[str] = field(default_factory=set)
    ties: list[tuple[str, str]] = field(default_factory=list)
    never: bool = False


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads conditions over the relations named ``members``; ``stores`` tells their stored columns from others."""

    members: Container[str]
    stores: Callable[[str, str], bool]
    rows_of: RowsOf
    dialect: str

    def pins(self, condition: exp.Expr | None) -> Pins:
        """Return what ``condition`` pins."""
        found = Pins()
        for each in _flat(condition, exp.And):
            self._collect(each, found)
        return found

    def _collect(self, node: exp.Expr, found: Pins) -> None:
        if isinstance(node, _EQUAL):
            self._equate(node.this, node.expression, found)
        elif isinstance(node, exp.Or):
            self._choose(node, found)
        elif isinstance(node, exp.In):
            self._listed(node, found)
        elif isinstance(node, exp.Like | exp.ILike):
            pattern = node.expression
            if isinstance(pattern, exp.Literal) and not {"%", "_", "\\", "["} & set(pattern.this):
                self._equate(node.this, pattern, found)
        elif isinstance(node, exp.Between):
            low, high = integer(node.args["low"]), integer(node.args["high"])
            if low is not None and high is not None and high - low < MOST_ROWS:
                found.names |= self._pinnable(node.this)
        elif isinstance(node, exp.Boolean):
            found.never |= not node.this
        elif integer(node) == 0:
            found.never = True

    def _choose(self, node: exp.Expr, found: Pins) -> None:
        # An OR pins only what each of its sides pins; a side that is never true adds no rows.
        sides = [side for side in map(self.pins, _flat(node, exp.Or)) if not side.never]
        if sides:
            found.names |= set.intersection(*(side.names for side in sides))
        else:
            found.never = True

    def _equate(self, left: exp.Expr, right: exp.Expr, found: Pins) -> None:
        left, right = left.unnest(), right.unnest()
        if isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple):
            for one, other in zip(left.expressions, right.expressions, strict=False):
                self._equate(one, other, found)
            return
        low, high = integer(left), integer(right)
        if low is not None and high is not None:
            found.never |= low != high
            return
        one, other = self.column(left), self.column(right)
        if one is not None and other is not None:
            found.ties.append((one, other))
        elif one is not None and self._tells_apart(right, left):
            found.names.add(one)
        elif other is not None and self._tells_apart(left, right):
            found.names.add(other)

    def _listed(self, node: exp.Expr, found: Pins) -> None:
        query, unnested = node.args.get("query"), node.args.get("unnest")
        items = unnested.expressions if isinstance(unnested, exp.Unnest) else node.expressions
        if query is not None:
            inner = query.unnest() if isinstance(query, exp.Subquery) else query
            if stands_alone(inner) and bounded(self.rows_of(query)):
                found.names |= self._pinnable(node.this)
        elif items and len(items) <= MOST_ROWS:
            column = node.this.unnest()
            if isinstance(column, exp.Tuple):
                apart = all(
                    isinstance(item, exp.Tuple) and all(self._tells_apart(part, column) for part in item.expressions)
                    for item in items
                )
            else:
                apart = all(self._tells_apart(item, column) for item in items)
            if apart:
                found.names |= self._pinnable(column)

    def _pinnable(self, node: exp.Expr) -> set[str]:
        node = node.unnest()
        parts = node.expressions if isinstance(node, exp.Tuple) else (node,)
        return {name for name in map(self.column, parts) if name is not None}

    def column(self, node: exp.Expr) -> str | None:
        """Return the relation of the column that ``node`` is, also within what keeps unequal values unequal."""
        while True:
            if isinstance(node, exp.Column):
                if isinstance(node.this, exp.Star) or node.name.upper() in _OF_STORAGE:
                    return None
                table = node.table.lower()
                seen = not table or table in self.members
                return table if seen and self.stores(table, node.name.lower()) else None
            if (
                isinstance(node, exp.Paren | exp.Collate | exp.JSONExtract | exp.JSONExtractScalar)
                or (isinstance(node, _KEEPS_APART) and not node.expressions)
                or (isinstance(node, exp.Cast) and node.to.this in _KEPT_APART_AS and not node.to.expressions)
            ):
                node = node.this
            else:
                return None

    def _tells_apart(self, value: exp.Expr, column: exp.Expr) -> bool:
        """Whether few rows can have this value in the column: it is one value, and no truth."""
        value = value.unnest()
        if isinstance(value, exp.Boolean | exp.Null):
            return False
        if self.dialect != "mysql":
            return self.fixed(value)
        if isinstance(value, exp.Neg):
            value = value.this
        if isinstance(value, exp.Literal):
            # In MySQL each text that is no number equals 0; and a name in double quotes may be a column.
            text = value.this
            if value.is_string:
                return bool(text) and text.lower() != column.name.lower()
            return str(text).isdigit() and str(text).strip("0") != ""
        return isinstance(value, _NEVER_ZERO) and self.fixed(value)

    def fixed(self, node: exp.Expr) -> bool:
        """Whether the expression has one value, whatever row of the query's relations is looked at."""
        stack = [node]
        while stack:
            each = stack.pop()
            if isinstance(each, _QUERY):
                if not stands_alone(each):
                    return False
            elif isinstance(each, exp.Column):
                table = each.table.lower()
                # What is no relation here is one of the query around, but in BigQuery it may be a column of this one.
                if not table or table in self.members or self.dialect == "bigquery":
                    return False
            elif isinstance(each, exp.Any | exp.All):
                return False
            elif isinstance(each, exp.Parameter) and self.dialect == "snowflake" and each.name.isdigit():
                # A column by its place.
                return False
            else:
                stack.extend(each.iter_expressions())
        return True


def stands_alone(query: exp.Expr) -> bool:
    """Whether the sub-select names no relation of the query around it, as far as its text tells."""
    own: set[str] = set()
    stored = False
    for table in query.find_all(exp.Table, exp.Subquery, exp.Unnest, exp.Lateral, exp.CTE):
        own.add(table.alias_or_name.lower())
        stored |= (
            isinstance(table, exp.Table) and isinstance(table.this, exp.Identifier) and table.name.lower() != "dual"
        )
    for column in query.find_all(exp.Column):
        relation = column.table.lower()
        # Without a stored relation of its own, a bare name may be a column of the query around.
        if (relation and relation not in own) or (not relation and not stored):
            return False
    return True


def integer(node: exp.Expr | None) -> int | None:
    """Return the whole number that the node is written as, else None."""
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.Neg):
        inner = integer(node.this)
        return None if inner is None else -inner
    if isinstance(node, exp.Literal) and not node.is_string and node.this.isascii() and node.this.isdigit():
        return int(node.this) if len(node.this) < 20 else None
    return None


def _flat(node: exp.Expr | None, kind: type[exp.Expr]) -> list[exp.Expr]:
    """Return the operands of a chain of one operator, without parentheses, and without recursion: chains are long."""
    found: list[exp.Expr] = []
    stack = [node] if node is not None else []
    while stack:
        each = stack.pop().unnest()
        if isinstance(each, kind):
            stack += (each.this, each.expression)
        else:
            found.append(each)
    return found
