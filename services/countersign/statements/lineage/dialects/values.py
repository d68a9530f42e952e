"""What an expression derives from: every name, string and query in it, whatever is done with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from operator import or_
from typing import Final

from sqlglot import exp

from countersign.statements.lineage.found import CLEAR, WHICHEVER, Sources
from countersign.statements.lineage.frames import NO_VALUE, Frame, Value
from countersign.statements.lineage.tables import Table, sources_of
from countersign.statements.lineage.words import mentioned

QUERIES: Final = (exp.Select, exp.SetOperation, exp.Subquery, exp.Values)
_ONLY_ORDER: Final = {exp.Window: ("this",), exp.Filter: ("this",)}
"""Of what orders or chooses rows nothing is in the result: the parts that are."""

_BY_KEY: Final = (
    *(exp.JSONExtract, exp.JSONExtractScalar, exp.JSONBExtract, exp.JSONBExtractScalar, exp.JSONValue),
    *(exp.GetExtract, exp.GetIgnoreCase, exp.Bracket),
)
_CONSTANT_KEYS: Final = (exp.Literal, exp.JSONPath)


class Values:
    """Follows expressions; ``query`` follows a query inside of them.

    ``has_rows``: the name of a table stands for a whole row where no column has it.
    """

    def __init__(self, masked: Sources, query: Callable[[exp.Expr, Frame], Table], *, has_rows: bool) -> None:
        self._masked = masked
        self._query = query
        self._has_rows = has_rows

    def follow(self, node: exp.Expr, frame: Frame) -> Value:
        """Return what an expression derives from; nothing of it has the keys of a row any more."""
        if isinstance(node, QUERIES):
            return self._of_query(node, frame)
        if isinstance(node, exp.Column):
            return self._column(node, frame)
        if isinstance(node, exp.Count) and isinstance(node.this, exp.Star):
            return NO_VALUE
        if isinstance(node, exp.Exists):
            return NO_VALUE
        if isinstance(node, exp.Star):
            return Value(sources_of(frame.all()), row=True).lost()
        if isinstance(node, exp.Parameter):
            # A variable, or the column at a place.
            return Value(WHICHEVER)
        found = self._names_in(node)
        if isinstance(node, _BY_KEY) and not _written_out(node):
            found |= Value(WHICHEVER)
        return reduce(or_, (self.follow(part, frame) for part in _parts(node)), found).lost()

    def name(self, name: str) -> Value:
        """Return what a name stands for by itself."""
        folded = name.casefold()
        return Value(frozenset({folded})) if folded in self._masked else NO_VALUE

    def all_of(self, nodes: Iterable[exp.Expr], frame: Frame) -> Sources:
        """Return what several expressions derive from."""
        return CLEAR.union(*(self.follow(node, frame).sources for node in nodes))

    def _of_query(self, node: exp.Expr, frame: Frame) -> Value:
        table = self._query(node, frame.within())
        lost = any(output.stored is not None or output.rows for output in table)
        return Value(sources_of(table) | (WHICHEVER if lost else CLEAR))

    def _column(self, node: exp.Column, frame: Frame) -> Value:
        if isinstance(node.this, exp.Star):
            return frame.row(node.table.casefold()).lost()
        if not isinstance(node.this, exp.Identifier):
            return self.follow(node.this, frame)
        name, parts = node.name.casefold(), [part.name.casefold() for part in node.parts]
        alias = parts[-2] if len(parts) > 1 else ""
        if not alias:
            found, sure = frame.column(name)
            if self._has_rows and not sure and frame.knows(name):
                found |= frame.row(name)
            return found.lost() | self.name(name)
        if frame.knows(alias):
            return frame.column(name, alias)[0].lost() | self.name(name)
        # A field of a column: what the column derives from, and every name on the way.
        outer = [frame.column(part)[0] for part in parts[:-1]]
        return reduce(or_, (*outer, *map(self.name, parts)), NO_VALUE).lost()

    def _names_in(self, node: exp.Expr) -> Value:
        texts = [value for value in node.args.values() if isinstance(value, str)]
        return Value(mentioned("\n".join(texts), self._masked)) if texts else NO_VALUE


def _parts(node: exp.Expr) -> Iterator[exp.Expr]:
    shown = next((keys for kind, keys in _ONLY_ORDER.items() if isinstance(node, kind)), None)
    if shown is None:
        yield from node.iter_expressions()
        return
    for key in shown:
        part = node.args.get(key)
        if isinstance(part, exp.Expr):
            yield part


def _written_out(node: exp.Expr) -> bool:
    """Whether the key that is taken from JSON is told by the text."""
    key = node.args.get("expression") or node.args.get("path")
    keys = node.expressions if isinstance(node, exp.Bracket) else [key, *node.expressions]
    return all(
        isinstance(each, _CONSTANT_KEYS) and not (isinstance(each, exp.JSONPath) and each.find(exp.JSONPathWildcard))
        for each in keys
    )
