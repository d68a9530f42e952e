"""What calling a function means."""

from __future__ import annotations

import re
from typing import Final

from countersign.statements.postgres.catalogs import is_secret_setting, setting_classes
from countersign.statements.postgres.effects import EFFECTS, EXECUTES_TEXT, NAMES_RELATION
from countersign.statements.postgres.parsing import Tree
from countersign.statements.postgres.pure_functions import BUILTIN, EXTENSION
from countersign.statements.postgres.sight import Sight
from countersign.statements.postgres.tree import magnitude, qualified, text_of
from countersign.statements.verdict import StatementClass as C

_EXTENSION_SCHEMAS: Final = frozenset({"", "public", "extensions"})
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?")
_MOST_ROUNDS: Final = 10_000_000
"""A series longer than this, or a text repeated more often, is there to keep the server busy."""

_COUNTING: Final = frozenset({"generate_series", "repeat", "lpad", "rpad"})


def judge_call(node: Tree, sight: Sight) -> str:
    """Add to ``sight`` what a ``FuncCall`` node does, without its arguments; return its name without the schema."""
    schema, name = qualified(node["funcname"])
    if schema in {"", "pg_catalog"} and name in BUILTIN:
        if name in _COUNTING:
            _judge_rounds(name, node, sight)
        elif name == "current_setting" and is_secret_setting(text_of(next(iter(node.get("args", ())), None))):
            sight.add((C.PRIVILEGE,), "reads a setting that holds credentials, or cannot be told")
    elif name == "set_config" and schema in {"", "pg_catalog"}:
        args = node.get("args", ())
        sight.add(setting_classes(text_of(args[0]) or "" if args else ""), "calls set_config")
    elif name in EFFECTS:
        # Whatever the schema: an extension may be installed in any, and the name tells what it does.
        sight.add(EFFECTS[name], f"calls {name}")
        if name in EXECUTES_TEXT:
            texts = (text_of(arg) for arg in node.get("args", ()))
            sight.texts += [text for text in texts if text is not None]
        elif name in NAMES_RELATION:
            _judge_named(node, sight)
        if schema not in {"", "pg_catalog"} and C.CODE_EXECUTION not in EFFECTS[name]:
            sight.add((C.CODE_EXECUTION,), f"calls {schema}.{name}")
    elif not (name in EXTENSION and schema in _EXTENSION_SCHEMAS):
        sight.add((C.CODE_EXECUTION,), f"calls {schema + '.' if schema else ''}{name}, which may do anything")
    return name


def judge_field(name: str, sight: Sight, *, of_row: bool = True) -> None:
    """Add what selecting the field means, where PostgreSQL would call a function of that name.

    ``of_row``: the thing selected from may have fields; of anything else every name is a function's.
    """
    if name in EFFECTS:
        sight.add(EFFECTS[name], f"calls {name}, written as a field")
    elif not of_row and name not in BUILTIN:
        sight.add((C.CODE_EXECUTION,), f"calls {name}, written as a field, which may do anything")


def _judge_named(node: Tree, sight: Sight) -> None:
    named = text_of(next(iter(node.get("args", ())), None))
    if named is not None and _PLAIN_NAME.fullmatch(named):
        sight.texts.append(f"TABLE {named}")
    else:
        # Also a number is a relation's name here.
        sight.add((C.CODE_EXECUTION,), "reads a relation that cannot be told")


def _judge_rounds(name: str, node: Tree, sight: Sight) -> None:
    if any(magnitude(arg) > _MOST_ROUNDS for arg in node.get("args", ())):
        sight.add((C.SESSION_CONTROL,), f"keeps the server busy with {name}")
