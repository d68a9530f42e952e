"""One question for every language: what does this text do?

The rooms of the languages are imported when first asked for: their parsers are large, and few processes need them all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from countersign.statements.verdict import Verdict, unparsable

SQL_DIALECTS: Final = ("postgres", "mysql", "tsql", "sqlite", "bigquery", "snowflake")
LANGUAGES: Final = (*SQL_DIALECTS, "shell", "mongodb", "redis")
"""The canonical names of the languages that :func:`classify` knows."""

_ALIASES: Final = {"postgresql": "postgres", "mariadb": "mysql", "mssql": "tsql", "sqlserver": "tsql"}


def classify(text: str, language: str) -> Verdict:
    """Say what ``text`` does, in one of :data:`LANGUAGES` or an alias (postgresql, mariadb, mssql, sqlserver).

    Never fails for any text: what is not understood in full is ``unparsable``.

    Raises:
        ValueError: when the language is unknown.
    """
    name = canonical(language)
    try:
        return _classifier(name)(text)
    except RecursionError:
        return unparsable("nested too deep")
    except Exception as failed:
        # The message could quote the text.
        return unparsable(f"not understood ({type(failed).__name__})")


def canonical(language: str) -> str:
    """Return the name in :data:`LANGUAGES` of a language that may be named otherwise, and in any case.

    Raises:
        ValueError: when the language is unknown.
    """
    name = _ALIASES.get(language.lower(), language.lower())
    if name not in LANGUAGES:
        raise ValueError(f"unknown language; known are {', '.join(LANGUAGES)}")
    return name


def classify_sql(text: str, dialect: str) -> Verdict:
    """Say what one or more SQL statements do, as :func:`classify` does.

    Raises:
        ValueError: when the dialect is unknown, or no SQL.
    """
    if canonical(dialect) not in SQL_DIALECTS:
        raise ValueError(f"unknown dialect of SQL; known are {', '.join(SQL_DIALECTS)}")
    return classify(text, dialect)


def classify_shell(text: str) -> Verdict:
    """Say what a shell script does."""
    return classify(text, "shell")


def classify_mongo(text: str) -> Verdict:
    """Say what MongoDB statements do, in mongosh's words or as command documents."""
    return classify(text, "mongodb")


def classify_redis(text: str) -> Verdict:
    """Say what Redis commands do, one a line as ``redis-cli`` takes them."""
    return classify(text, "redis")


@cache
def _classifier(name: str) -> Callable[[str], Verdict]:
    if name == "postgres":
        from countersign.statements.postgres import classify_postgres

        return classify_postgres
    if name == "shell":
        from countersign.statements import shell

        # Database clients are handed SQL.
        return lambda text: shell.classify_shell(text, classify_sql)
    if name == "mongodb":
        from countersign.statements import mongo

        return mongo.classify_mongo
    if name == "redis":
        from countersign.statements import redis

        return redis.classify_redis
    from countersign.statements import dialects

    return lambda text: dialects.classify_dialect(text, name)
