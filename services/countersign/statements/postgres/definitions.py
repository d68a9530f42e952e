"""Statements that define, alter or drop things, where the kind does not say everything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from countersign.statements.names import names
from countersign.statements.postgres.parsing import Tree
from countersign.statements.postgres.sight import Sight
from countersign.statements.postgres.survey import Survey
from countersign.statements.postgres.tree import option, relation_name, strings, text_of
from countersign.statements.verdict import StatementClass as C

_LOSES: Final = names("AT_DropColumn")
_WEAKENS: Final = names(
    """
    AT_DisableRowSecurity AT_EnableRowSecurity AT_ForceRowSecurity AT_NoForceRowSecurity AT_DisableTrig
    AT_DisableTrigAll AT_DisableTrigUser AT_EnableTrig AT_EnableTrigAll AT_EnableTrigUser AT_EnableAlwaysTrig
    AT_EnableReplicaTrig AT_DisableRule AT_EnableRule AT_EnableAlwaysRule AT_EnableReplicaRule AT_ChangeOwner
    """
)
_SETS_OPTIONS: Final = names("AT_SetRelOptions AT_ResetRelOptions AT_ReplaceRelOptions")
_WEAKENING: Final = names("security_invoker security_barrier")
_FOREIGN_OPTIONS: Final = names("AT_GenericOptions AT_AlterColumnGenericOptions")
_PROTECTS: Final = names("OBJECT_POLICY OBJECT_TRIGGER OBJECT_EVENT_TRIGGER OBJECT_RULE")
_OF_RELATIONS: Final = names("OBJECT_COLUMN OBJECT_POLICY OBJECT_RULE OBJECT_TABCONSTRAINT OBJECT_TRIGGER")
_OF_FUNCTIONS: Final = names("OBJECT_AGGREGATE OBJECT_OPERATOR OBJECT_TYPE OBJECT_TSPARSER OBJECT_TSTEMPLATE")
_LOADED: Final = names("c internal")


def alter_table(node: Tree, sight: Sight) -> None:
    """Judge ``ALTER TABLE`` and what else is altered by the same statement: views, indexes, sequences, types."""
    name = relation_name(node["relation"])
    sight.writes.add(name)
    for wrapped in node.get("cmds", ()):
        command = wrapped["AlterTableCmd"]
        kind = command["subtype"]
        if kind in _LOSES:
            sight.add((C.DESTRUCTIVE_DDL,), f"drops a column of {name}")
        elif kind in _WEAKENS or (kind in _SETS_OPTIONS and _names_one_of(command, _WEAKENING)):
            sight.add((C.DDL, C.PRIVILEGE), f"changes who may see or own {name}, or what watches over it")
        else:
            sight.add((C.DDL,), f"alters {name}")
        if kind in _FOREIGN_OPTIONS:
            _foreign_options(command.get("def", {}).get("List", {}).get("items", ()), sight)
        _look_into(command, sight)


def drop(node: Tree, sight: Sight) -> None:
    """Judge ``DROP``."""
    kind = node["removeType"]
    sight.add((C.DESTRUCTIVE_DDL,), "drops " + kind.removeprefix("OBJECT_").replace("_", " ").lower())
    if kind in _PROTECTS:
        sight.add((C.PRIVILEGE,), "drops what watches over a table")
    sight.writes |= relations_of(kind, node.get("objects", ()))


def relations_of(kind: str, objects: Iterable[Tree]) -> set[str]:
    """Return the names of objects of a kind; of what belongs to a relation (a column, a trigger), the relation's."""
    found: set[str] = set()
    for wrapped in objects:
        items = wrapped.get("ObjectWithArgs", {}).get("objname") or wrapped.get("List", {}).get("items") or [wrapped]
        parts = strings(items)
        found.add(".".join(parts[:-1] if kind in _OF_RELATIONS else parts))
    return found - {""}


def define(node: Tree, sight: Sight) -> None:
    """Judge ``CREATE AGGREGATE``, ``OPERATOR``, ``TYPE``, ``COLLATION``, ``TEXT SEARCH ...``."""
    sight.add((C.DDL,), "defines a type or its like")
    if node["kind"] in _OF_FUNCTIONS and node.get("definition"):
        sight.add((C.CODE_EXECUTION,), "plants code that runs later")


def create_range(node: Tree, sight: Sight) -> None:
    """Judge ``CREATE TYPE ... AS RANGE``, which may name functions."""
    sight.add((C.DDL,), "defines a type or its like")
    if any(option(node.get("params", ()), each) for each in ("canonical", "subtype_diff")):
        sight.add((C.CODE_EXECUTION,), "plants code that runs later")


def create_function(node: Tree, sight: Sight) -> None:
    """Judge ``CREATE FUNCTION`` and ``CREATE PROCEDURE``: code that whoever calls it later runs unseen."""
    sight.add((C.DDL, C.CODE_EXECUTION), "plants code that runs later")
    options = node.get("options", ())
    language = option(options, "language")
    if language and (_word(language) or "").lower() in _LOADED:
        sight.add((C.FILE_ACCESS,), "loads a shared library")
    _judge_definer(options, sight)


def alter_function(node: Tree, sight: Sight) -> None:
    """Judge ``ALTER FUNCTION``, which may make it run as its owner, or change its settings."""
    sight.add((C.DDL, C.CODE_EXECUTION), "changes code that runs later")
    _judge_definer(node.get("actions", ()), sight)


def create_rule(node: Tree, sight: Sight) -> None:
    """Judge ``CREATE RULE`` without the statements that others' statements turn into; those are judged one by one."""
    sight.add((C.DDL, C.CODE_EXECUTION), "plants code that runs later")
    sight.writes.add(relation_name(node["relation"]))
    _look_into({"whereClause": node.get("whereClause", {})}, sight)


def create_schema(node: Tree, sight: Sight) -> None:
    """Judge ``CREATE SCHEMA`` without the statements in it; those are judged one by one."""
    sight.add((C.DDL,), "creates a schema")
    if "authrole" in node:
        sight.add((C.PRIVILEGE,), "creates a schema for a role")


def create_view(node: Tree, sight: Sight) -> None:
    """Judge ``CREATE VIEW``: nothing is read yet, but what its query calls will be, by others."""
    seen = Sight()
    Survey(seen).visit(node["query"])
    sight.take(seen)
    sight.add((C.DDL,), "creates a view")
    sight.writes.add(relation_name(node["view"]))


def create_foreign_table(node: Tree, sight: Sight) -> None:
    """Judge ``CREATE FOREIGN TABLE``: a file or a program of the server may stand behind it."""
    sight.add((C.DDL,), "makes a foreign table")
    sight.writes.add(relation_name(node["base"]["relation"]))
    _foreign_options(node.get("options", ()), sight)
    _look_into(node["base"], sight)


def _foreign_options(options: Iterable[Tree], sight: Sight) -> None:
    sight.add((C.EXPORT,), "ties the database to another server")
    if option(options, "program"):
        sight.add((C.CODE_EXECUTION,), "runs a program of the server")
    if option(options, "filename"):
        sight.add((C.FILE_ACCESS,), "reads a file of the server")


def _names_one_of(command: Tree, names: frozenset[str]) -> bool:
    options = command.get("def", {}).get("List", {}).get("items", ())
    return any(option(options, name) for name in names)


def _judge_definer(options: list[Tree], sight: Sight) -> None:
    definer = option(options, "security")
    if definer and definer.get("arg", {}).get("Boolean", {}).get("boolval"):
        sight.add((C.PRIVILEGE,), "runs with its owner's rights")


def _word(element: Tree) -> str | None:
    arg = element.get("arg", {})
    return arg["String"].get("sval", "") if "String" in arg else text_of(arg)


def _look_into(node: Tree, sight: Sight) -> None:
    """Note the functions in defaults, checks and expressions."""
    seen = Sight()
    Survey(seen).visit(node)
    sight.take(seen)
