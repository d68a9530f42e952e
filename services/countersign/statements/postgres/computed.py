"""Which columns of a table expression are computed: an equality with one of them names no rows.

``SELECT 1 AS one, * FROM users`` has a column that is the same for every row, ``row_number()`` over groups one for each
group. Only what stands for a stored column, as a condition may name it, is taken for data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from countersign.statements.postgres.parsing import Tree
from countersign.statements.postgres.predicates import column_of
from countersign.statements.postgres.tree import qualified, strings

Computed: TypeAlias = frozenset[str]
"""Names of columns; :data:`ANY` among them stands for every name."""

ANY: Final = "*"
NONE: Final[Computed] = frozenset()
_DEEPEST: Final = 16
_UNNAMED: Final = "?column?"


def computed_tables(node: Tree, outer: Mapping[str, Computed], depth: int = 0) -> Mapping[str, Computed]:
    """Return what is computed in the common table expressions in sight inside of a statement."""
    clause = node.get("withClause")
    if clause is None:
        return outer
    tables = dict(outer)
    expressions = [wrapped["CommonTableExpr"] for wrapped in clause["ctes"]]
    if clause.get("recursive"):
        # What refers to itself is not followed.
        tables.update((each["ctename"], frozenset({ANY})) for each in expressions)
    for each in expressions:
        tables[each["ctename"]] = computed_of(each["ctequery"], tables, each.get("aliascolnames", ()), depth + 1)
    return tables


def computed_of(
    wrapped: Tree, tables: Mapping[str, Computed], renamed: Iterable[Tree] = (), depth: int = 0
) -> Computed:
    """Return what is computed of a statement's columns; ``renamed`` are the names that they get, if any."""
    if depth > _DEEPEST:
        return frozenset({ANY})
    node = next(iter(wrapped.values()))
    arms = list(_arms(node, computed_tables(node, tables, depth), depth))
    names = strings(renamed)
    plain = all(not name.startswith(ANY) for arm in arms for name, _ in arm)
    if not plain or any(len(arm) != len(arms[0]) for arm in arms):
        # Behind a star, nobody knows which name stands at which place.
        found = {name.removeprefix(ANY) or ANY for arm in arms for name, computed in arm if computed}
        return frozenset({*found, *names, *(name for name, _ in arms[0] if len(arms) > 1)}) if found else NONE
    places = {place for arm in arms for place, (_, computed) in enumerate(arm) if computed}
    given = [*names, *(name for name, _ in arms[0][len(names) :])]
    return frozenset(given[place] for place in places)


def computed_beside(items: Iterable[Tree], tables: Mapping[str, Computed], depth: int = 0) -> dict[str, Computed]:
    """Return what is computed in each item of ``FROM``, by its alias."""
    found: dict[str, Computed] = {}
    for item in items:
        kind, node = next(iter(item.items()))
        alias = node.get("alias", {})
        name, renamed = alias.get("aliasname", ""), alias.get("colnames", ())
        if kind == "JoinExpr":
            found.update(computed_beside((node["larg"], node["rarg"]), tables, depth))
        elif kind == "RangeSubselect":
            found[name] = computed_of(node["subquery"], tables, renamed, depth + 1)
        elif kind == "RangeVar" and "schemaname" not in node and tables.get(node["relname"]):
            found[name or node["relname"]] = tables[node["relname"]] | frozenset(strings(renamed))
    return found


def _arms(node: Tree, tables: Mapping[str, Computed], depth: int) -> Iterator[list[tuple[str, bool]]]:
    """Yield name and whether it is computed of each column, for each query of a ``UNION`` or its like."""
    if "larg" in node:
        for arm in (node["larg"], node["rarg"]):
            yield from _arms(arm, computed_tables(arm, tables, depth), depth)
        return
    beside = computed_beside(node.get("fromClause", ()), tables, depth)
    targets = node.get("targetList", ()) if "op" in node else node.get("returningClause", {}).get("exprs", ())
    yield [column for wrapped in targets for column in _column(wrapped["ResTarget"], beside)]


def _column(target: Tree, beside: Mapping[str, Computed]) -> Iterator[tuple[str, bool]]:
    value = target["val"]
    fields = value.get("ColumnRef", {}).get("fields", ())
    if fields and "A_Star" in fields[-1]:
        table = qualified(fields)[1]
        behind = [names for alias, names in beside.items() if not table or alias == table]
        yield ANY, False
        yield from ((ANY + name, True) for names in behind for name in names)
        return
    named = column_of(value)
    computed = named is None or is_computed(named, beside)
    yield target.get("name") or (named[1] if named else _named_by(value)), computed


def is_computed(column: tuple[str, str], beside: Mapping[str, Computed]) -> bool:
    """Whether the column (its relation, or nothing, and its name) is a computed one of a table expression."""
    relation, name = column
    tables = (beside.get(relation, NONE),) if relation else beside.values()
    return any(name in names or ANY in names for names in tables)


def _named_by(value: Tree) -> str:
    """Return the name that PostgreSQL gives to an expression, where that is easily told."""
    if "FuncCall" in value:
        return qualified(value["FuncCall"]["funcname"])[1]
    if "TypeCast" in value:
        inner = _named_by(value["TypeCast"]["arg"])
        return qualified(value["TypeCast"]["typeName"].get("names", ()))[1] if inner == _UNNAMED else inner
    return _UNNAMED if value.keys() & {"A_Expr", "A_Const", "ParamRef"} else ANY
