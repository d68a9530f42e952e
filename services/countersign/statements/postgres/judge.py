"""The judgement of one statement: by its kind, from the tables and the rooms beside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from countersign.statements.postgres import definitions, running
from countersign.statements.postgres.bodies import body_of, statements_of_block, statements_of_function
from countersign.statements.postgres.kinds import KINDS
from countersign.statements.postgres.parsing import NotUnderstood, Tree, parse
from countersign.statements.postgres.sight import Sight
from countersign.statements.postgres.survey import Survey
from countersign.statements.verdict import READING
from countersign.statements.verdict import StatementClass as C

_MOST_NESTED: Final = 4
"""A text in a text in a text: deeper is nobody's honest work."""

_QUERIES: Final = frozenset({"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})

_HANDLERS: Final[dict[str, Callable[[Tree, Sight], None]]] = {
    "ExplainStmt": running.explain,
    "CreateTableAsStmt": running.create_table_as,
    "CopyStmt": running.copy,
    "PrepareStmt": running.prepare,
    "DeclareCursorStmt": running.declare,
    "FetchStmt": running.fetch,
    "VariableSetStmt": running.set_variable,
    "VariableShowStmt": running.show,
    "AlterSystemStmt": running.alter_system,
    "AlterRoleSetStmt": running.set_for_role,
    "AlterDatabaseSetStmt": running.set_for_database,
    "AlterTableStmt": definitions.alter_table,
    "DropStmt": definitions.drop,
    "CreateRangeStmt": definitions.create_range,
    "DefineStmt": definitions.define,
    "AlterFunctionStmt": definitions.alter_function,
    "ViewStmt": definitions.create_view,
    "CreateForeignTableStmt": definitions.create_foreign_table,
}


JUDGED: Final = frozenset(
    {*_QUERIES, *_HANDLERS, *KINDS, "DoStmt", "CreateFunctionStmt", "CreateSchemaStmt", "RuleStmt"}
)
"""The kinds of statements that have a judgement; any other is not understood."""


def judge(statement: Tree, depth: int = 0) -> Sight:
    """Return what is seen of one statement; ``depth``: in how many texts it is nested.

    Raises:
        NotUnderstood: when it is not understood in full.
    """
    sight = Sight()
    kind, node = next(iter(statement.items()))
    if kind in _QUERIES:
        running.query(statement, sight)
    elif kind in _HANDLERS:
        _HANDLERS[kind](node, sight)
    elif kind in KINDS:
        _by_kind(kind, node, sight)
    elif kind == "DoStmt":
        _run_block(node, sight, depth)
    elif kind == "CreateFunctionStmt":
        definitions.create_function(node, sight)
        # What is not understood is code that is planted, as is said in any case.
        with suppress(NotUnderstood):
            _plant(statements_of_function(node), sight, depth)
    elif kind == "RuleStmt":
        definitions.create_rule(node, sight)
        _plant(node.get("actions", ()), sight, depth)
    elif kind == "CreateSchemaStmt":
        definitions.create_schema(node, sight)
        for element in node.get("schemaElts", ()):
            sight.take(judge(element, depth))
    else:
        raise NotUnderstood(f"{kind} is not known here")
    texts, sight.texts = sight.texts, []
    for text in texts:
        _take_text(text, sight, depth)
    return sight


def _by_kind(kind: str, node: Tree, sight: Sight) -> None:
    classes, reason = KINDS[kind]
    sight.add(classes, reason)
    seen = Sight()
    Survey(seen).visit(node)
    sight.add(seen.classes, next(iter(seen.classes.values()), ""))
    sight.writes |= seen.reads | seen.writes
    if "object" in node:
        sight.writes |= definitions.relations_of(node.get("objtype", ""), [node["object"]])


def _run_block(node: Tree, sight: Sight, depth: int) -> None:
    sight.add((C.CODE_EXECUTION,), "runs a block of code")
    language, text = body_of(node.get("args", []))
    if language != "plpgsql":
        return
    try:
        statements = statements_of_block(text)
    except NotUnderstood:
        sight.add((C.UNPARSABLE,), "runs a block of code that is not understood")
        return
    for statement in statements:
        _take(statement, sight, depth)


def _plant(statements: Iterable[Tree], sight: Sight, depth: int) -> None:
    """Add what the statements will do once somebody has them run; nothing is read yet."""
    inside = Sight()
    try:
        for statement in statements:
            _take(statement, inside, depth)
    finally:
        sight.take(inside, leave=READING)


def _take_text(text: str, sight: Sight, depth: int) -> None:
    """Add the classes of a text that is run as SQL. Connection strings and the like are no SQL, and add nothing."""
    try:
        statements = parse(text)
    except NotUnderstood:
        return
    for statement in statements:
        _take(statement, sight, depth)


def _take(statement: Tree, sight: Sight, depth: int) -> None:
    if depth >= _MOST_NESTED:
        raise NotUnderstood("texts nested too deep")
    sight.take(judge(statement, depth + 1), leave=frozenset({C.READ}))
