"""The name that PostgreSQL gives to a column without an alias: ``FigureColname`` in its ``parse_target.c``."""

from __future__ import annotations

from typing import Final

from countersign.statements.postgres.parsing import Tree
from countersign.statements.postgres.tree import qualified, strings

_UNNAMED: Final = "?column?"
_BY_KIND: Final = {
    "GroupingFunc": "grouping",
    "MergeSupportFunc": "merge_action",
    "A_ArrayExpr": "array",
    "RowExpr": "row",
    "CoalesceExpr": "coalesce",
    "XmlSerialize": "xmlserialize",
    "JsonParseExpr": "json",
    "JsonScalarExpr": "json_scalar",
    "JsonSerializeExpr": "json_serialize",
    "JsonObjectConstructor": "json_object",
    "JsonArrayConstructor": "json_array",
    "JsonArrayQueryConstructor": "json_array",
    "JsonObjectAgg": "json_objectagg",
    "JsonArrayAgg": "json_arrayagg",
}
_XML: Final = {
    "IS_XMLCONCAT": "xmlconcat",
    "IS_XMLELEMENT": "xmlelement",
    "IS_XMLFOREST": "xmlforest",
    "IS_XMLPARSE": "xmlparse",
    "IS_XMLPI": "xmlpi",
    "IS_XMLROOT": "xmlroot",
    "IS_XMLSERIALIZE": "xmlserialize",
}
_JSON: Final = {"JSON_EXISTS_OP": "json_exists", "JSON_QUERY_OP": "json_query", "JSON_VALUE_OP": "json_value"}
_OF_SESSION: Final = {
    "SVFOP_CURRENT_CATALOG": "current_catalog",
    "SVFOP_CURRENT_SCHEMA": "current_schema",
    "SVFOP_CURRENT_ROLE": "current_role",
    "SVFOP_CURRENT_USER": "current_user",
    "SVFOP_USER": "user",
    "SVFOP_SESSION_USER": "session_user",
}


def shown_name(value: Tree) -> str:
    """Return the name of an expression's column."""
    return _figured(value)[0] or _UNNAMED


def _figured(value: Tree) -> tuple[str, bool]:
    """Return a name, or nothing, and whether it is a good one, which a cast does not replace."""
    if not value:
        return "", False
    kind, node = next(iter(value.items()))
    if kind == "ColumnRef":
        found = strings(node["fields"])
        return (found[-1], True) if found else ("", False)
    if kind == "A_Indirection":
        found = strings(node["indirection"])
        return (found[-1], True) if found else _figured(node["arg"])
    if kind == "FuncCall":
        return qualified(node["funcname"])[1], True
    if kind == "A_Expr":
        return ("nullif", True) if node["kind"] == "AEXPR_NULLIF" else ("", False)
    if kind == "TypeCast":
        name, good = _figured(node["arg"])
        of_type = qualified(node["typeName"].get("names", ()))[1]
        return (name, good) if good or not of_type else (of_type, False)
    if kind == "CollateClause":
        return _figured(node["arg"])
    if kind == "SubLink":
        return _of_link(node)
    if kind == "CaseExpr":
        name, good = _figured(node.get("defresult", {}))
        return (name, good) if good else ("case", False)
    name = _of_others(kind, node)
    return name, bool(name)


def _of_link(node: Tree) -> tuple[str, bool]:
    kind = node["subLinkType"]
    if kind in ("EXISTS_SUBLINK", "ARRAY_SUBLINK"):
        return kind.partition("_")[0].lower(), True
    select = node["subselect"].get("SelectStmt", {})
    while "larg" in select:
        select = select["larg"]
    targets = select.get("targetList", ())
    if kind != "EXPR_SUBLINK" or not targets:
        return ("column1", True) if kind == "EXPR_SUBLINK" and "valuesLists" in select else ("", False)
    target = targets[0]["ResTarget"]
    return (target["name"], True) if target.get("name") else _figured(target["val"])


def _of_others(kind: str, node: Tree) -> str:
    if kind == "MinMaxExpr":
        return "least" if node["op"] == "IS_LEAST" else "greatest"
    if kind == "XmlExpr":
        return _XML.get(node["op"], "")
    if kind == "JsonFuncExpr":
        return _JSON.get(node["op"], "")
    if kind == "SQLValueFunction":
        operation: str = node["op"]
        return _OF_SESSION.get(operation, operation.removeprefix("SVFOP_").removesuffix("_N").lower())
    return _BY_KIND.get(kind, "")
