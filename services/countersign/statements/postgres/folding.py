"""The function calls in a query's own expressions: which fold its rows into one, which make more of them."""

from __future__ import annotations

from typing import Any, Final

from countersign.statements.postgres.parsing import Tree
from countersign.statements.postgres.pure_functions import AGGREGATES, MULTIPLYING, PACKING
from countersign.statements.postgres.tree import qualified

_ONLY_AGGREGATES_HAVE: Final = ("agg_filter", "agg_order", "agg_within_group", "agg_star", "agg_distinct")
_LEAVES: Final = frozenset({"SubLink", "ColumnRef", "A_Const", "typeName"})


class Calls:
    """What a query calls in its list of results, in ``HAVING`` and in ``ORDER BY``; not in sub-selects."""

    __slots__ = ("folds", "multiplying", "packs")

    def __init__(self, node: Tree) -> None:
        """``node`` is a ``SelectStmt``."""
        self.folds = False
        """An aggregate is called: without ``GROUP BY``, there is one row."""
        self.packs = False
        """All rows go into one value, also over a window."""
        self.multiplying: list[Tree] = []
        """The calls that give several rows for one."""
        for part in ("targetList", "havingClause", "sortClause"):
            if part in node:
                self._look(node[part])

    def _look(self, start: Any) -> None:
        # Not recursive: every query comes by here twice.
        waiting = [start]
        while waiting:
            current = waiting.pop()
            if type(current) is list:
                waiting += current
                continue
            for key, value in current.items():
                kind = type(value)
                if kind is list:
                    waiting += [item for item in value if type(item) is dict]
                elif kind is dict and key not in _LEAVES:
                    if key == "FuncCall":
                        self._call(value)
                    elif key in {"JsonObjectAgg", "JsonArrayAgg"}:
                        self.packs = True
                        self.folds |= "over" not in value["constructor"]
                    waiting.append(value)

    def _call(self, node: Tree) -> None:
        name = qualified(node["funcname"])[1]
        if name in AGGREGATES or any(sign in node for sign in _ONLY_AGGREGATES_HAVE):
            self.packs |= name in PACKING
            self.folds |= "over" not in node
        elif name in MULTIPLYING:
            self.multiplying.append(node)
