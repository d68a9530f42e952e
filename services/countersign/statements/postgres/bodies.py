"""The SQL inside of PL/pgSQL: what a ``DO`` block runs, as far as it is written out."""

from __future__ import annotations

from typing import Any, Final

from countersign.statements.postgres.parsing import NotUnderstood, Tree, parse, parse_body
from countersign.statements.postgres.tree import option, strings, text_of

_STATEMENT: Final = 0
_EXPRESSION: Final = 2
"""How a text of the body is parsed: ``RawParseMode`` in PostgreSQL's ``parser.h``. What is above is an assignment."""

_MOST_TEXTS: Final = 200
"""Expressions and statements in one body; each costs a call of the parser."""

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


def statements_of_function(text: str) -> list[Tree]:
    """Return the statements in the PL/pgSQL of a function; an assignment to one of its parameters is not understood.

    Raises:
        NotUnderstood: when the body, or a statement in it, is not understood.
    """
    try:
        return _statements_of("CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS", text)
    except NotUnderstood:
        return _statements_of("CREATE FUNCTION f() RETURNS SETOF record LANGUAGE plpgsql AS", text)


def _statements_of(head: str, text: str) -> list[Tree]:
    # Never the statement as it came: with a body of another form, or with some types, the parser ends the process.
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
