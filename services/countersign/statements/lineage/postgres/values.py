"""What an expression derives from: every column, string and query in it, whatever is done with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from operator import or_
from typing import Any, Final

from countersign.statements.lineage.found import CLEAR, WHICHEVER, Sources
from countersign.statements.lineage.frames import NO_VALUE, Frame, Value
from countersign.statements.lineage.tables import Table, sources_of
from countersign.statements.lineage.words import mentioned
from countersign.statements.names import names
from countersign.statements.postgres.parsing import Tree
from countersign.statements.postgres.tree import qualified, strings, text_of

_KEEPS_KEYS: Final = names(
    """
    row_to_json to_json to_jsonb json_agg jsonb_agg json_agg_strict jsonb_agg_strict json_strip_nulls jsonb_strip_nulls
    jsonb_pretty json_build_array jsonb_build_array json_build_object jsonb_build_object
    """
)
_RUNS_TEXT: Final = names(
    """
    query_to_xml query_to_xml_and_xmlschema query_to_xmlschema cursor_to_xml cursor_to_xmlschema table_to_xml
    table_to_xml_and_xmlschema schema_to_xml schema_to_xml_and_xmlschema database_to_xml
    database_to_xml_and_xmlschema ts_stat ts_rewrite dblink dblink_exec dblink_fetch dblink_get_result crosstab
    crosstab2 crosstab3 crosstab4 crosstabn connectby xpath_table
    """
)
"""Functions that run a query they are handed as a text, or read a relation that they are handed the name of."""

DISSOLVING: Final = names(
    """
    json_each json_each_text jsonb_each jsonb_each_text svals avals each hstore_to_array hstore_to_matrix
    json_array_elements_text jsonb_array_elements_text
    """
)
"""Functions that give the values of JSON, or of its like, without their keys."""

_BY_PATH: Final = names(
    """
    jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_path_query_tz jsonb_path_query_array_tz
    jsonb_path_query_first_tz json_extract_path json_extract_path_text jsonb_extract_path jsonb_extract_path_text
    """
)
_ARROWS: Final = frozenset({"->", "->>", "#>", "#>>"})
_ONLY_ORDER: Final = frozenset({"agg_order", "agg_filter", "over"})
"""Parts of a call that choose or order what it is given: nothing of them is in its result."""


class Values:
    """Follows expressions; ``query`` follows a query inside of them."""

    def __init__(self, masked: Sources, query: Callable[[Tree, Frame], Table]) -> None:
        self._masked = masked
        self._query = query
        self._routes: dict[str, Callable[[Tree, Frame], Value]] = {
            "ColumnRef": self.column,
            "A_Const": self._constant,
            "SubLink": self._link,
            "FuncCall": self._call,
            "A_Expr": self._operate,
            "A_Indirection": self._indirect,
            "TypeCast": self._cast,
            "CoalesceExpr": self._either,
            "JsonFuncExpr": self._query_json,
        }

    def follow(self, node: Any, frame: Frame) -> Value:
        """Return what a node, or a list of nodes, derives from."""
        if isinstance(node, list):
            return reduce(or_, (self.follow(each, frame) for each in node), NO_VALUE)
        if not isinstance(node, dict):
            return NO_VALUE
        if len(node) == 1:
            kind, inside = next(iter(node.items()))
            route = self._routes.get(kind)
            if route is not None:
                return route(inside, frame)
        return self._inside(node.values(), frame).lost()

    def name(self, name: str) -> Value:
        """Return what a name stands for by itself."""
        folded = name.casefold()
        return Value(frozenset({folded})) if folded in self._masked else NO_VALUE

    def column(self, node: Tree, frame: Frame) -> Value:
        """Return what a ``ColumnRef`` derives from; see ``frames.Value`` for one that is a whole row."""
        fields = [name.casefold() for name in strings(node["fields"])]
        starred = "A_Star" in node["fields"][-1]
        if starred:
            return frame.row(fields[-1]) if fields else Value(sources_of(frame.all()), row=True)
        if len(fields) == 1:
            found, sure = frame.column(fields[0])
            if not sure and frame.knows(fields[0]):
                found |= frame.row(fields[0])
            return found | self.name(fields[0])
        alias, name = fields[-2], fields[-1]
        if frame.knows(alias):
            return frame.column(name, alias)[0] | self.name(name)
        # A field of a column whose type has fields.
        return self.column({"fields": node["fields"][:-1]}, frame).lost() | self.name(name)

    def _inside(self, values: Iterable[Any], frame: Frame) -> Value:
        return reduce(or_, (self.follow(value, frame) for value in values if isinstance(value, (dict, list))), NO_VALUE)

    def _constant(self, node: Tree, _frame: Frame) -> Value:
        text = node.get("sval", {}).get("sval", "")
        if not text:
            return NO_VALUE
        return Value(WHICHEVER if _takes_all(text) else mentioned(text, self._masked))

    def _link(self, node: Tree, frame: Frame) -> Value:
        kind = node["subLinkType"]
        if kind == "EXISTS_SUBLINK":
            return NO_VALUE
        table = self._query(node["subselect"], frame.within())
        stored = any(output.stored is not None for output in table)
        found = Value(sources_of(table) | (WHICHEVER if stored else CLEAR), any(output.rows for output in table))
        if kind == "EXPR_SUBLINK":
            return found
        return (found | self.follow(node.get("testexpr"), frame)).lost()

    def _call(self, node: Tree, frame: Frame) -> Value:
        name = qualified(node["funcname"])[1].casefold()
        hidden = _ONLY_ORDER if "agg_within_group" not in node else _ONLY_ORDER - {"agg_order"}
        found = self._inside((value for key, value in node.items() if key not in hidden), frame)
        # PostgreSQL takes f(x) for x.f where there is such a column.
        found |= self.name(name)
        if name in _KEEPS_KEYS:
            return found.as_json()
        if name in _RUNS_TEXT or name in DISSOLVING or (name in _BY_PATH and not _plain_path(node)):
            return Value(found.sources | WHICHEVER)
        return found.lost()

    def _operate(self, node: Tree, frame: Frame) -> Value:
        found = self._inside(node.values(), frame).lost()
        if qualified(node.get("name", ()))[1] in _ARROWS and not _constant_key(node.get("rexpr", {})):
            return Value(found.sources | WHICHEVER)
        return found

    def _query_json(self, node: Tree, frame: Frame) -> Value:
        found = self._inside(node.values(), frame).lost()
        return found if _constant_key(node.get("pathspec", {})) else Value(found.sources | WHICHEVER)

    def _indirect(self, node: Tree, frame: Frame) -> Value:
        steps = node["indirection"]
        owner = node["arg"].get("ColumnRef")
        if owner is not None and len(steps) == 1 and "String" in steps[0]:
            fields = owner["fields"]
            if len(fields) == 1 and frame.knows(strings(fields)[0].casefold()):
                # (u).ssn is u.ssn.
                return self.column({"fields": [*fields, steps[0]]}, frame)
        found = self.follow(node["arg"], frame) | reduce(or_, map(self.name, strings(steps)), NO_VALUE)
        return found.lost() | self._inside(steps, frame)

    def _cast(self, node: Tree, frame: Frame) -> Value:
        found = self.follow(node["arg"], frame)
        kind = qualified(node["typeName"].get("names", ()))[1]
        return found if kind in {"json", "jsonb", "text"} and not found.row else found.lost()

    def _either(self, node: Tree, frame: Frame) -> Value:
        return self._inside(node.values(), frame)


def _constant_key(node: Tree) -> bool:
    return "A_Const" in node or text_of(node) is not None


def _plain_path(node: Tree) -> bool:
    """Whether the path of a call is written out and names each step."""
    steps = [text_of(each) for each in node.get("args", ())[1:]]
    return bool(steps) and all(step is not None and not _takes_all(step) for step in steps)


def _takes_all(path: str) -> bool:
    """Whether a text is a path into JSON that leads to values whatever their keys are."""
    return "$" in path and (".*" in path or "keyvalue" in path)
