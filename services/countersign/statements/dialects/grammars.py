"""The grammars: sqlglot's dialects, made to parse in full or to raise, and to log nothing.

sqlglot turns what it does not know into an opaque ``Command`` and logs the text. Here no word begins such a command, so
the text after it stays tokens, and a parser that would fall back raises instead.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import ClassVar, Final, NoReturn

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.dialects.dialect import Dialect
from sqlglot.dialects.mysql import MySQL
from sqlglot.dialects.snowflake import Snowflake
from sqlglot.dialects.sqlite import SQLite
from sqlglot.dialects.tsql import TSQL
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from countersign.statements.dialects.errors import NotUnderstoodError

# What sqlglot logs contains the statement. Nothing of that may reach a log, whoever configures logging.
_LOGGER: Final = logging.getLogger("sqlglot")
_LOGGER.addFilter(lambda _: False)
_LOGGER.propagate = False


# Words that the grammars take two at a time would hide where a statement begins.
_PAIRS: Final = (
    "UPDATE STATISTICS",
    "BEGIN TRANSACTION",
    "LOCK TABLES",
    "UNLOCK TABLES",
    "SQL SECURITY",
    "FILE FORMAT",
    "STORAGE INTEGRATION",
    "SEMANTIC VIEW",
)


def _single(keywords: dict[str, TokenType]) -> dict[str, TokenType]:
    return {word: kind for word, kind in keywords.items() if word not in _PAIRS}


class CountersignMySQL(MySQL):
    """MySQL and MariaDB, in the default ``sql_mode``."""

    class Tokenizer(MySQL.Tokenizer):
        """Knows no opaque commands."""

        COMMANDS: ClassVar[set[TokenType]] = set()
        KEYWORDS = _single(MySQL.Tokenizer.KEYWORDS)


class CountersignMySQLAnsi(MySQL):
    """MySQL with ``ANSI_QUOTES`` and ``NO_BACKSLASH_ESCAPES``."""

    class Tokenizer(MySQL.Tokenizer):
        """Knows no opaque commands; double quotes are of identifiers, backslashes are text."""

        COMMANDS: ClassVar[set[TokenType]] = set()
        KEYWORDS = _single(MySQL.Tokenizer.KEYWORDS)
        QUOTES: ClassVar[list[str | tuple[str, str]]] = ["'"]
        IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = ["`", '"']
        STRING_ESCAPES: ClassVar[list[str]] = ["'"]


class CountersignMySQLAnsiEscaped(MySQL):
    """MySQL with ``ANSI_QUOTES``."""

    class Tokenizer(MySQL.Tokenizer):
        """Knows no opaque commands; double quotes are of identifiers."""

        COMMANDS: ClassVar[set[TokenType]] = set()
        KEYWORDS = _single(MySQL.Tokenizer.KEYWORDS)
        QUOTES: ClassVar[list[str | tuple[str, str]]] = ["'"]
        IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = ["`", '"']


class CountersignTSQL(TSQL):
    """SQL Server."""

    class Tokenizer(TSQL.Tokenizer):
        """Knows no opaque commands."""

        COMMANDS: ClassVar[set[TokenType]] = set()
        KEYWORDS = _single(TSQL.Tokenizer.KEYWORDS)


class CountersignSQLite(SQLite):
    """SQLite."""

    class Tokenizer(SQLite.Tokenizer):
        """Knows no opaque commands."""

        COMMANDS: ClassVar[set[TokenType]] = set()
        KEYWORDS = _single(SQLite.Tokenizer.KEYWORDS)


class CountersignBigQuery(BigQuery):
    """BigQuery's standard SQL."""

    class Tokenizer(BigQuery.Tokenizer):
        """Knows no opaque commands."""

        COMMANDS: ClassVar[set[TokenType]] = set()
        KEYWORDS = _single(BigQuery.Tokenizer.KEYWORDS)


class CountersignSnowflake(Snowflake):
    """Snowflake."""

    class Tokenizer(Snowflake.Tokenizer):
        """Knows no opaque commands."""

        COMMANDS: ClassVar[set[TokenType]] = set()
        KEYWORDS = _single(Snowflake.Tokenizer.KEYWORDS)


_GRAMMARS: Final[dict[str, Dialect]] = {
    "mysql": CountersignMySQL(),
    "mysql_ansi": CountersignMySQLAnsi(),
    "mysql_ansi_escaped": CountersignMySQLAnsiEscaped(),
    "tsql": CountersignTSQL(),
    "sqlite": CountersignSQLite(),
    "bigquery": CountersignBigQuery(),
    "snowflake": CountersignSnowflake(),
}


MYSQL_MODES: Final = ("mysql_ansi", "mysql_ansi_escaped")
"""What MySQL's grammar is in modes other than the default."""


RETRIED: Final = {
    name: frozenset(dialect.parser_class.TYPE_TOKENS) | {TokenType.LATERAL, TokenType.LIMIT, TokenType.OFFSET}
    for name, dialect in _GRAMMARS.items()
}
"""By grammar, the tokens after which a parenthesis is read twice, as one thing and then as another."""


class _Tokenizers(threading.local):
    """Tokenizers of one thread: to make one costs as much as to use it, and each holds the text it works on."""

    def __init__(self) -> None:
        self.by_grammar = {name: dialect.tokenizer() for name, dialect in _GRAMMARS.items()}


_TOKENIZERS: Final = _Tokenizers()


def tokenize(text: str, grammar: str) -> list[Token]:
    """Return the tokens of a text without comments. Raises :class:`NotUnderstoodError`."""
    try:
        return _TOKENIZERS.by_grammar[grammar].tokenize(text)
    except SqlglotError:
        _fail("the text does not divide into tokens")


def parse(tokens: Sequence[Token], grammar: str, text: str) -> exp.Expr:
    """Return the tree of the one statement that the tokens, of ``text``, are. Raises :class:`NotUnderstoodError`."""
    try:
        trees = _GRAMMARS[grammar].parser().parse(list(tokens), text)
    except (SqlglotError, ValueError, TypeError, AttributeError, IndexError, KeyError):
        _fail("the grammar does not know this statement")
    if len(trees) != 1 or trees[0] is None or isinstance(trees[0], exp.Command):
        _fail("the grammar does not know this statement in full")
    return trees[0]


def _fail(reason: str) -> NoReturn:
    # From None: sqlglot's errors quote the statement.
    raise NotUnderstoodError(reason) from None
