"""Statements that run others, move data in bulk, or change settings."""

from __future__ import annotations

from typing import Final

from countersign.statements.names import names
from countersign.statements.postgres.bounds import Scope, rows_of_select
from countersign.statements.postgres.calls import judge_call
from countersign.statements.postgres.catalogs import is_secret_setting, setting_classes
from countersign.statements.postgres.parsing import NotUnderstood, Tree
from countersign.statements.postgres.sight import Sight
from countersign.statements.postgres.survey import Survey
from countersign.statements.postgres.tree import each, relation_name
from countersign.statements.rows import FEW, bounded
from countersign.statements.verdict import READING
from countersign.statements.verdict import StatementClass as C

_EXPLAIN_OPTIONS: Final = names(
    "analyze verbose costs settings generic_plan buffers serialize wal timing summary memory format"
)
_OFF: Final = names("false off")
_MOST_FETCHED: Final = 2**31
_QUERIES: Final = names("SelectStmt InsertStmt UpdateStmt DeleteStmt MergeStmt")


def query(statement: Tree, sight: Sight) -> None:
    """Judge ``SELECT``, ``VALUES``, ``TABLE``, ``INSERT``, ``UPDATE``, ``DELETE``, ``MERGE`` at the top."""
    kind, node = next(iter(statement.items()))
    survey = Survey(sight)
    survey.visit(statement)
    if kind == "SelectStmt":
        rows = rows_of_select(node, Scope())
        into = _into(node)
        if into:
            _creates_filled(into, sight, few=bounded(rows))
        sight.add_reading(rows, reads=bool(sight.reads) or sight.returns)
        return
    if "returningClause" in node and kind != "InsertStmt":
        survey.returned(node)
    if sight.packs:
        sight.add((C.BULK_READ,), "folds many rows into one")


def explain(node: Tree, sight: Sight) -> None:
    """Judge ``EXPLAIN``: with ANALYZE the statement runs and its rows are thrown away; without, it is only planned."""
    inner = Sight()
    explained(node["query"], inner)
    options = [wrapped["DefElem"] for wrapped in node.get("options", ())]
    if any(element["defname"] not in _EXPLAIN_OPTIONS for element in options):
        raise NotUnderstood("an option of EXPLAIN that is not known here")
    if any(element["defname"] == "analyze" and not _is_off(element) for element in options):
        sight.take(inner, leave=READING)
    else:
        planned = Sight()
        for call in each(node["query"], "FuncCall"):
            # The planner runs functions that say they are immutable, to fold constants.
            judge_call(call, planned)
        sight.take(planned)
        if C.CODE_EXECUTION in inner.classes:
            sight.add((C.CODE_EXECUTION,), inner.classes[C.CODE_EXECUTION])
        sight.reads |= inner.reads | inner.writes
    sight.rows = FEW
    if not sight.classes:
        sight.add((C.READ,), "shows a plan")


def explained(statement: Tree, sight: Sight) -> None:
    """Judge what can stand behind ``EXPLAIN``, ``PREPARE`` and ``DECLARE``."""
    kind, node = next(iter(statement.items()))
    if kind in _QUERIES:
        query(statement, sight)
    elif kind == "CreateTableAsStmt":
        create_table_as(node, sight)
    elif kind == "DeclareCursorStmt":
        declare(node, sight)
    elif kind == "ExecuteStmt":
        sight.add((C.CODE_EXECUTION,), "runs a prepared statement, which may be anything")
    elif kind == "RefreshMatViewStmt":
        sight.add((C.MASS_WRITE,), "fills a materialized view anew")
    else:
        raise NotUnderstood(f"{kind} inside of another statement")


def create_table_as(node: Tree, sight: Sight) -> None:
    """Judge ``CREATE TABLE AS`` and ``CREATE MATERIALIZED VIEW``."""
    into = node["into"]
    if "SelectStmt" not in node["query"]:
        explained(node["query"], sight)
        _creates_filled(into["rel"], sight, few=False)
        return
    seen = Sight()
    query(node["query"], seen)
    copies = (seen.reads or seen.returns) and not into.get("skipData")
    sight.take(seen, leave=frozenset() if copies else READING)
    if into.get("skipData"):
        sight.add((C.DDL,), "creates a table")
        sight.writes.add(relation_name(into["rel"]))
    else:
        sight.rows = seen.rows
        _creates_filled(into["rel"], sight, few=bounded(seen.rows))


def copy(node: Tree, sight: Sight) -> None:
    """Judge ``COPY`` in both directions: a table or a query, a file, a program, or the client."""
    loads, program, stored = node.get("is_from", False), node.get("is_program", False), "filename" in node
    if loads:
        name = relation_name(node["relation"])
        sight.writes.add(name)
        sight.add((C.MASS_WRITE,), f"loads {name} without a bound on the rows")
        if "whereClause" in node:
            Survey(sight).visit(node["whereClause"])
    else:
        sight.add((C.EXPORT,), "copies rows out")
        if "query" in node:
            explained(node["query"], sight)
        else:
            Survey(sight).visit({"RangeVar": node["relation"]})
            sight.add_reading(None)
    if program:
        sight.add((C.CODE_EXECUTION,), "runs a program of the server")
    elif stored:
        sight.add((C.FILE_ACCESS,), ("reads" if loads else "writes") + " a file of the server")


def prepare(node: Tree, sight: Sight) -> None:
    """Judge ``PREPARE``: it is not run yet, but what it is can only be seen now."""
    explained(node["query"], sight)
    sight.add((C.SESSION_CONTROL,), "prepares a statement for later")


def declare(node: Tree, sight: Sight) -> None:
    """Judge ``DECLARE CURSOR``."""
    explained(node["query"], sight)
    sight.add((C.SESSION_CONTROL,), "opens a cursor")


def fetch(node: Tree, sight: Sight) -> None:
    """Judge ``FETCH`` and ``MOVE``; the cursor's query was judged where it was declared."""
    if node.get("ismove"):
        sight.add((C.SESSION_CONTROL,), "moves a cursor")
        return
    many = abs(int(node.get("howMany", 0)))
    single = node["direction"] in {"FETCH_ABSOLUTE", "FETCH_RELATIVE"}
    sight.add_reading(1 if single else many if many < _MOST_FETCHED else None)


def set_variable(node: Tree, sight: Sight) -> None:
    """Judge ``SET`` and ``RESET``."""
    name = node.get("name", "")
    # Without a name: RESET ALL, or a transaction's characteristics.
    sight.add(setting_classes(name) if name else {C.SESSION_CONTROL}, f"sets {name}" if name else "resets settings")


def show(node: Tree, sight: Sight) -> None:
    """Judge ``SHOW``."""
    if is_secret_setting(node.get("name", "")):
        sight.add((C.PRIVILEGE,), "shows a setting that holds credentials")
    else:
        sight.add((C.READ,), "shows a setting")


def alter_system(node: Tree, sight: Sight) -> None:
    """Judge ``ALTER SYSTEM``: settings of every session to come, in a file of the server."""
    name = node["setstmt"].get("name", "")
    sight.add({C.PRIVILEGE, *setting_classes(name)}, f"sets {name or 'everything'} for the whole server")


def set_for_role(node: Tree, sight: Sight) -> None:
    """Judge ``ALTER ROLE ... SET``."""
    sight.add({C.PRIVILEGE, *setting_classes(node["setstmt"].get("name", ""))}, "changes settings of a role")


def set_for_database(node: Tree, sight: Sight) -> None:
    """Judge ``ALTER DATABASE ... SET``."""
    name = node["setstmt"].get("name", "")
    sight.add({C.DDL, *(setting_classes(name) if name else {C.SESSION_CONTROL})}, "changes settings of a database")


def _creates_filled(relation: Tree, sight: Sight, *, few: bool) -> None:
    name = relation_name(relation)
    sight.writes.add(name)
    sight.add((C.DDL,), f"creates {name}")
    sight.add((C.WRITE if few else C.MASS_WRITE,), f"fills {name}" + ("" if few else " without a bound on the rows"))


def _into(node: Tree) -> Tree | None:
    while "larg" in node:
        node = node["larg"]
    relation: Tree | None = node.get("intoClause", {}).get("rel")
    return relation


def _is_off(element: Tree) -> bool:
    arg = element.get("arg")
    if arg is None:
        return False
    if "Integer" in arg:
        return not arg["Integer"].get("ival", 0)
    return arg.get("String", {}).get("sval", "").lower() in _OFF
