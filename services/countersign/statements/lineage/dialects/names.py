"""The names that databases give to columns without an alias."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import count as count_from
from typing import Final

from sqlglot import exp

from countersign.statements.dialects.piece import Piece
from countersign.statements.lineage.tables import Table

_AS_WRITTEN: Final = frozenset({"mysql", "sqlite", "snowflake"})
"""Dialects that show an expression's own text."""

_NAME: Final = re.compile(r"""[\w$@#.\s()"`\[\]]*""")
_BEFORE_LIST: Final = frozenset({"DISTINCT", "ALL", "SQL_CALC_FOUND_ROWS", "STRAIGHT_JOIN", "HIGH_PRIORITY"})
_AFTER_LIST: Final = frozenset({"FROM", "WHERE", "UNION", "INTERSECT", "EXCEPT", "LIMIT", "ORDER", "INTO", "GROUP"})


def with_names(table: Table, tree: exp.Expr, piece: Piece) -> Table:
    """Return the table with the names that its unnamed columns get, where they can be told."""
    first = tree
    while isinstance(first, (exp.SetOperation, exp.Subquery)):
        first = first.this
    if not isinstance(first, exp.Select) or any(each.is_star for each in first.expressions):
        return table
    if piece.dialect == "bigquery":
        count = count_from(0)
        return tuple(output if output.name else replace(output, name=f"f{next(count)}_") for output in table)
    written = list(_items(piece)) if piece.dialect in _AS_WRITTEN else []
    if len(written) != len(table):
        return table
    return tuple(
        replace(output, name=text.casefold(), plain=False) if not output.name or _hides(target, text) else output
        for output, target, text in zip(table, first.expressions, written, strict=True)
    )


def _hides(target: exp.Expr, text: str) -> bool:
    """Whether a column is written as an expression of which the grammar keeps the column alone (``+ssn``)."""
    return isinstance(target, exp.Column) and _NAME.fullmatch(text) is None


def _items(piece: Piece) -> Iterator[str]:
    """Yield the texts between the commas of the first list that is selected."""
    start = piece.find("SELECT") + 1
    if not start:
        return
    while piece.word(start) in _BEFORE_LIST:
        start += 1
    depth, first = 0, start
    for index in range(start, len(piece)):
        word = piece.words[index]
        depth += (word in "([{") - (word in ")]}") if len(word) == 1 else 0
        ends = depth == 0 and word in _AFTER_LIST
        if ends or (depth == 0 and word == ","):
            yield _text(piece, first, index)
            first = index + 1
        if ends:
            return
    yield _text(piece, first, len(piece))


def _text(piece: Piece, start: int, stop: int) -> str:
    if start >= stop:
        return ""
    return piece.text[piece.tokens[start].start : piece.tokens[stop - 1].end + 1]
