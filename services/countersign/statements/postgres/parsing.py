"""From a text to PostgreSQL's own parse tree, or to a refusal: never to a crash, and never slowly.

The tree is the JSON that libpg_query writes of it: nested dicts whose upper-case keys are node types, documented in
PostgreSQL's ``parsenodes.h``. Measured, it is read and walked in a third of the time of the protobuf messages; and
where those crash on a long chain of operators and cannot hold a join of sixty tables, JSON can be refused by size.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, TypeAlias

from postgast.native import lib

Tree: TypeAlias = dict[str, Any]

MAX_TEXT_BYTES: Final = 32 * 1024
"""The parser needs up to 120 bytes of stack for a byte of text: this much is safe in a thread of 8 MiB."""

MAX_TREE_BYTES: Final = 256 * 1024
"""Of the tree's JSON: about 5,000 nodes, for which everything that follows takes some 20 ms."""

_LONG: Final = 2048
_RUN: Final = re.compile(rb"[~!@#^&|`?+\-*/%<>=]{256}")
"""Signs of which operators and comments are made: the parser reads all of them anew for each comment that opens."""


class NotUnderstood(Exception):
    """The text is not understood in full; the message says why and quotes nothing of it."""


def parse(text: str) -> list[Tree]:
    """Return the statements of ``text``, each ``{node type: node}``.

    Raises:
        NotUnderstood: when it is too long, no PostgreSQL, or nothing but comments.
    """
    statements = [each["stmt"] for each in _document(lib.pg_query_parse, encoded(text), "parse_tree").get("stmts", ())]
    if not statements:
        raise NotUnderstood("there is no statement")
    return statements


def parse_body(text: str) -> list[Tree]:
    """Return the PL/pgSQL trees of a ``CREATE FUNCTION`` or ``DO`` statement.

    Raises:
        NotUnderstood: when its body is no PL/pgSQL.
    """
    functions = _document(lib.pg_query_parse_plpgsql, encoded(text), "plpgsql_funcs")
    return list(functions)


def encoded(text: str) -> bytes:
    """Return ``text`` in UTF-8, if the parser takes it, and takes no long time for it.

    Raises:
        NotUnderstood: otherwise.
    """
    if "\0" in text:
        # The parser would stop there, and a server need not.
        raise NotUnderstood("a NUL character")
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise NotUnderstood("a character that is half of a pair") from None
    if len(data) > MAX_TEXT_BYTES:
        raise NotUnderstood(f"longer than {MAX_TEXT_BYTES} bytes")
    if len(data) > _LONG and _RUN.search(data):
        raise NotUnderstood("a long run of signs")
    return data


def _document(parser: Any, data: bytes, field: str) -> Any:
    result = parser(data)
    try:
        if result.error:
            raise NotUnderstood("no valid PostgreSQL")
        written: bytes = getattr(result, field)
        if len(written) > MAX_TREE_BYTES:
            raise NotUnderstood("too many parts")
        return json.loads(written)
    finally:
        _FREE[field](result)


_FREE: Final = {
    "parse_tree": lib.pg_query_free_parse_result,
    "plpgsql_funcs": lib.pg_query_free_plpgsql_parse_result,
}
