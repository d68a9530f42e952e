"""The SQL inside of ``DO`` blocks and functions: what they run, as far as it is written out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from countersign.statements.postgres.parsing import NotUnderstood, Tree, parse, parse_body
from countersign.statements.postgres.tree import option, qualified, strings, text_of

_STATEMENT: Final = 0
_EXPRESSION: Final = 2
"""How a text of the body is parsed: ``RawParseMode`` in PostgreSQL's ``parser.h``. What is above is an assignment."""

_MOST_TEXTS: Final = 200
"""Expressions and statements in one body; each costs a call of the parser."""

_OF_TRIGGERS: Final = (
    *("new", "old", "tg_argv", "tg_event", "tg_level", "tg_name", "tg_nargs", "tg_op", "tg_relid", "tg_relname"),
    *("tg_table_name", "tg_table_schema", "tg_tag", "tg_when"),
)
"""What a trigger's function, which has no parameters, finds instead."""

_GIVING: Final = frozenset({"FUNC_PARAM_OUT", "FUNC_PARAM_INOUT", "FUNC_PARAM_TABLE"})
_WITHOUT_VALUE: Final = frozenset({"", "void", "event_trigger"})
"""Types that a function returns whose RETURN has no value; a procedure has none."""

_DYNAMIC: Final = frozenset({"PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors"})
_DYNAMIC_FIELD: Final = "dynquery"


def body_of(options: list[Tree]) -> tuple[str, str]:
    """Return the language (``plpgsql`` when none is named) and the text of a body; empty when there is none."""
    language = option(options, "language")
    written = option(options, "as")
    arg = (written or {}).get("arg", {})
    text = (
        arg["String"].get("sval", "")
        if "String" in arg
        else next(iter(strings(arg.get("List", {}).get("items", ()))), "")
    )
    named = (language or {}).get("arg", {}).get("String", {}).get("sval", "plpgsql")
    return named.lower(), text


def statements_of_block(text: str) -> list[Tree]:
    """Return the statements in the PL/pgSQL of a ``DO`` block.

    An expression comes as the ``SELECT`` that it is run as; a text that is put together while it runs is not there.

    Raises:
        NotUnderstood: when the body, or a statement in it, is not understood.
    """
    return _statements_of("DO", text)


def statements_of_function(node: Tree) -> list[Tree]:
    """Return the statements in the body of a ``CreateFunctionStmt`` in SQL or PL/pgSQL; of other languages, none.

    Raises:
        NotUnderstood: when the body, or a statement in it, is not understood.
    """
    if "sql_body" in node:
        return list(_written_out(node["sql_body"]))
    language, text = body_of(node.get("options", []))
    if not text or language not in {"plpgsql", "sql"}:
        return []
    if language == "sql":
        return parse(text)
    for head in _heads(node):
        try:
            return _statements_of(head, text)
        except NotUnderstood:
            continue
    raise NotUnderstood("a body that is not understood")


def _written_out(body: Any) -> Iterator[Tree]:
    """Yield the statements of ``RETURN x`` or ``BEGIN ATOMIC ... END``."""
    if "List" in body:
        for item in body["List"].get("items", ()):
            yield from _written_out(item)
    elif "ReturnStmt" in body:
        value = body["ReturnStmt"].get("returnval")
        yield {"SelectStmt": {"targetList": [{"ResTarget": {"val": value}}], "op": "SETOP_NONE"}}
    else:
        yield body


def _heads(node: Tree) -> Iterator[str]:
    """Yield what may stand before a function's body: which returns and fields are legal in it depends on that.

    Never the head as it came: with some types, and with triggers, the parser ends the process or writes no JSON.
    """
    parameters = [each["FunctionParameter"] for each in node.get("parameters", ())]
    named = [parameter["name"] for parameter in parameters if parameter.get("name")]
    returned = node.get("returnType", {})
    for kind in ("text", "record"):
        quoted = ['"' + name.replace('"', '""') + f'" {kind}' for name in named or _OF_TRIGGERS]
        names = ", ".join(quoted)
        if any(parameter["mode"] in _GIVING for parameter in parameters):
            yield f"CREATE FUNCTION f() RETURNS TABLE ({names}) LANGUAGE plpgsql AS"
        elif returned.get("setof") or qualified(returned.get("names", ()))[1] in _WITHOUT_VALUE:
            yield f"CREATE FUNCTION f({names}) RETURNS SETOF record LANGUAGE plpgsql AS"
        else:
            yield f"CREATE FUNCTION f({names}) RETURNS text LANGUAGE plpgsql AS"


def _statements_of(head: str, text: str) -> list[Tree]:
    if "#" in text and "dump" in text.lower():
        # "#option dump" has the parser print the body, with all its literals, to where the process writes.
        raise NotUnderstood("an option of the compiler")
    # Never the statement as it came: with a body of another form, the parser ends the process.
    quoted = text.replace("'", "''")
    found: list[Tree] = []
    for function in parse_body(f"{head} '{quoted}'"):
        _collect(function, found, dynamic=False)
    return found


def _collect(node: Any, found: list[Tree], *, dynamic: bool) -> None:
    if isinstance(node, list):
        for item in node:
            _collect(item, found, dynamic=dynamic)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "PLpgSQL_expr":
                if len(found) >= _MOST_TEXTS:
                    raise NotUnderstood("too many parts")
                found += _statements(value, dynamic=dynamic)
            elif key in _DYNAMIC:
                for part, inside in value.items():
                    _collect(inside, found, dynamic=part == "query")
            else:
                _collect(value, found, dynamic=key == _DYNAMIC_FIELD)


def _statements(expression: Tree, *, dynamic: bool) -> list[Tree]:
    text, mode = expression["query"], expression.get("parseMode", _STATEMENT)
    if mode == _STATEMENT:
        return parse(text)
    if mode > _EXPRESSION:
        # "target := value"; a target is no more than a name, its fields and subscripts.
        before, assigns, after = text.partition(":=")
        text = after if assigns else before.partition("=")[2]
    parsed = parse(f"SELECT {text}")
    if dynamic and len(parsed) == 1:
        literal = _literal(parsed[0])
        if literal is not None:
            return parse(literal)
    return parsed


def _literal(statement: Tree) -> str | None:
    targets = statement.get("SelectStmt", {}).get("targetList", ())
    return text_of(targets[0]["ResTarget"].get("val")) if len(targets) == 1 else None
