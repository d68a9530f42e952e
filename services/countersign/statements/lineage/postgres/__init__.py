"""PostgreSQL, by its own parser: the columns of what each statement answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from countersign.statements.lineage.found import NOTHING, UNKNOWN, Lineage, Sources, together
from countersign.statements.lineage.frames import Frame
from countersign.statements.lineage.postgres.queries import Queries
from countersign.statements.lineage.tables import UNSEEN, Table, lineage_of, renamed, sources_of
from countersign.statements.lineage.words import mentioned
from countersign.statements.names import names
from countersign.statements.postgres.parsing import Tree, parse
from countersign.statements.postgres.tree import strings

__all__ = ["lineage_of_postgres"]

_ANSWERS: Final = names("SelectStmt InsertStmt UpdateStmt DeleteStmt MergeStmt")
_RUNS_ANYTHING: Final = names("ExecuteStmt FetchStmt CallStmt DoStmt LoadStmt")
"""Statements that run, or give the rows of, what another one has said, or a text."""

_KEEPS_NAMES: Final = _ANSWERS | names(
    """
    CreateTableAsStmt ViewStmt CreateStmt ExplainStmt CopyStmt TransactionStmt VariableSetStmt VariableShowStmt
    IndexStmt DropStmt TruncateStmt VacuumStmt LockStmt CommentStmt PrepareStmt DeallocateStmt DeclareCursorStmt
    ClosePortalStmt DiscardStmt CheckPointStmt
    """
)
"""Statements after which names of columns mean what they did."""


def lineage_of_postgres(text: str, masked: Sources) -> Lineage:
    """Return the lineage of what a text of one or more statements answers, as PostgreSQL 18 reads it.

    Raises:
        NotUnderstood: when the text is no PostgreSQL, or too long.
    """
    written: dict[str, Table] = {}
    found: list[Lineage] = []
    renaming = False
    for statement in parse(text):
        found.append(UNKNOWN if renaming else _of_statement(statement, masked, written))
        kind, node = next(iter(statement.items()))
        renaming |= kind not in _KEEPS_NAMES or "inhRelations" in node
    return together(found)


def _of_statement(statement: Tree, masked: Sources, written: dict[str, Table]) -> Lineage:
    kind, node = next(iter(statement.items()))
    touched = _touches(statement, masked)
    if kind in _RUNS_ANYTHING:
        return UNKNOWN
    if kind in _ANSWERS:
        table = Queries(masked, written).query(statement, Frame())
        into = _into(node)
        if into is None:
            return together((lineage_of(table), Lineage(touched=touched)))
        written[into["relname"].casefold()] = table
    elif kind in ("CreateTableAsStmt", "ViewStmt"):
        _remember(kind, node, masked, written)
    elif kind == "ExplainStmt":
        return UNKNOWN if touched else NOTHING
    elif kind == "CopyStmt" and not node.get("is_from", False):
        # Rows without names, if they come at all.
        table = Queries(masked, written).query(node["query"], Frame()) if "query" in node else UNSEEN
        return UNKNOWN if touched or sources_of(table) else NOTHING
    return Lineage(touched=touched)


def _remember(kind: str, node: Tree, masked: Sources, written: dict[str, Table]) -> None:
    """Keep what a new relation holds, for the statements after it."""
    relation, columns = (
        (node["view"], node.get("aliases", ()))
        if kind == "ViewStmt"
        else (node["into"]["rel"], node["into"].get("colNames", ()))
    )
    followed = kind == "ViewStmt" or "SelectStmt" in node["query"]
    table = Queries(masked, written).query(node["query"], Frame()) if followed else UNSEEN
    written[relation["relname"].casefold()] = renamed(table, strings(columns))


def _into(node: Tree) -> Tree | None:
    while "larg" in node:
        node = node["larg"]
    relation: Tree | None = node.get("intoClause", {}).get("rel")
    return relation


def _touches(statement: Tree, masked: Sources) -> bool:
    """Whether a masked name, or a whole row, is used anywhere in the statement."""
    alone: set[str] = set()
    relations: set[str] = set()
    # Joined by what is of no word, so that one look is enough.
    if mentioned("\n".join(_texts(statement, alone, relations)), masked):
        return True
    return not alone.isdisjoint(relations)


def _texts(statement: Tree, alone: set[str], relations: set[str]) -> Iterator[str]:
    """Yield every text of the tree; gather the columns that stand without a relation, and the relations."""
    waiting: list[Any] = [statement]
    while waiting:
        current = waiting.pop()
        if type(current) is str:
            yield current
        elif type(current) is list:
            waiting += current
        elif type(current) is dict:
            for key, value in current.items():
                if key in ("relname", "aliasname"):
                    relations.add(value)
                elif key == "ColumnRef" and len(value["fields"]) == 1:
                    alone.update(strings(value["fields"]))
            waiting += current.values()
