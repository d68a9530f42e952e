"""Small questions that one asks of parse tree nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from countersign.statements.postgres.parsing import Tree


def strings(nodes: Iterable[Tree]) -> list[str]:
    """Return the names in a list of ``String`` nodes; other nodes (a star, a subscript) are left out."""
    return [node["String"].get("sval", "") for node in nodes if "String" in node]


def qualified(nodes: Iterable[Tree]) -> tuple[str, str]:
    """Return schema and name; a catalog's name before them counts as part of the schema."""
    names = strings(nodes)
    if len(names) == 1:
        return "", names[0]
    return ".".join(names[:-1]), names[-1] if names else ""


def relation_name(node: Tree) -> str:
    """Return the relation's name as written, with everything before it."""
    parts = (node.get("catalogname"), node.get("schemaname"), node.get("relname"))
    return ".".join(part for part in parts if part)


def integer(node: Tree | None) -> int | None:
    """Return the value of an integer constant, also of one that is written as a string or cast; else None."""
    if not node:
        return None
    if "TypeCast" in node:
        return integer(node["TypeCast"].get("arg"))
    constant = node.get("A_Const")
    if constant is None:
        return None
    if "ival" in constant:
        value = constant["ival"].get("ival", 0)
        return value if isinstance(value, int) else None
    written = constant.get("sval", {}).get("sval", "") or constant.get("fval", {}).get("fval", "")
    return int(written) if written.isascii() and written.isdigit() and len(written) < 19 else None


def magnitude(node: Tree) -> float:
    """Return about how large a constant number is, whatever its sign; 0 for what is none."""
    if "TypeCast" in node:
        return magnitude(node["TypeCast"].get("arg", {}))
    written = node.get("A_Const", {}).get("fval", {}).get("fval", "")
    try:
        return abs(float(written or integer(node) or 0))
    except ValueError:
        return 0.0


def text_of(node: Tree | None) -> str | None:
    """Return the value of a string constant, also of one that is cast; else None."""
    if not node:
        return None
    if "TypeCast" in node:
        return text_of(node["TypeCast"].get("arg"))
    constant = node.get("A_Const", {})
    return constant["sval"].get("sval", "") if "sval" in constant else None


def option(nodes: Iterable[Tree], name: str) -> Tree | None:
    """Return the last ``DefElem`` of that name."""
    found = None
    for node in nodes:
        element = node.get("DefElem", {})
        if element.get("defname") == name:
            found = element
    return found


def contains(node: Any, kinds: frozenset[str], *, into_queries: bool = True) -> bool:
    """Whether a node of one of the kinds is in the tree; ``into_queries``: also inside of sub-selects."""
    if isinstance(node, list):
        return any(contains(each, kinds, into_queries=into_queries) for each in node)
    if not isinstance(node, dict):
        return False
    for key, value in node.items():
        if key in kinds:
            return True
        if key == "SubLink" and not into_queries:
            continue
        if isinstance(value, (dict, list)) and contains(value, kinds, into_queries=into_queries):
            return True
    return False


def each(node: Any, kind: str) -> Iterator[Tree]:
    """Yield every node of the kind in the tree."""
    if isinstance(node, list):
        for item in node:
            yield from each(item, kind)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == kind:
                yield value
            if isinstance(value, (dict, list)):
                yield from each(value, kind)
