"""Databases, each twice: both have the same rows, but for the values of the masked columns."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import psycopg
import pytest

from tests.support.postgres import Postgres
from tests.support.postgres import postgres as postgres

ROWS = 3
_TABLES = (
    "CREATE TABLE users (id int, name text, ssn text, nick text, profile {json})",
    "CREATE TABLE staff (id int, name text, ssn text, nick text, profile {json})",
    "CREATE TABLE orders (id int, user_id int, total int)",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a database answered: the names of the columns as it shows them, and the rows."""

    names: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


class Database(Protocol):
    """A database with a set of rows."""

    def ask(self, text: str) -> Answer:
        """Run one statement; nothing of what it changes stays."""
        ...


class PostgresDatabase:
    """A database of a real PostgreSQL."""

    def __init__(self, dsn: str, secret: str) -> None:
        self._connection = psycopg.connect(dsn)
        for table in _TABLES:
            self._connection.execute(table.format(json="jsonb").encode())
        for place, values in _rows(secret):
            self._connection.execute(f"INSERT INTO {place} VALUES (%s, %s, %s, %s, %s)".encode(), values)
        self._connection.execute(b"INSERT INTO orders SELECT id, id, id * 10 FROM users")
        self._connection.execute(b"SET statement_timeout = '5s'")
        self._connection.commit()

    def ask(self, text: str) -> Answer:
        """See :class:`Database`."""
        cursor = self._connection.cursor()
        try:
            cursor.execute(text.encode())
            return Answer(
                tuple(column.name for column in cursor.description or ()),
                tuple(cursor.fetchall()) if cursor.description else (),
            )
        finally:
            self._connection.rollback()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class SqliteDatabase:
    """A database of a real SQLite."""

    def __init__(self, secret: str) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        for table in _TABLES:
            self._connection.execute(table.format(json="text"))
        for place, values in _rows(secret):
            self._connection.execute(f"INSERT INTO {place} VALUES (?, ?, ?, ?, ?)", values)
        self._connection.execute("INSERT INTO orders SELECT id, id, id * 10 FROM users")

    def ask(self, text: str) -> Answer:
        """See :class:`Database`."""
        self._connection.execute("BEGIN")
        try:
            cursor = self._connection.execute(text)
            return Answer(tuple(column[0] for column in cursor.description or ()), tuple(cursor.fetchall()))
        finally:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def _rows(secret: str) -> Iterator[tuple[str, tuple[object, ...]]]:
    for place in ("users", "staff"):
        for number in range(1, ROWS + 1):
            ssn = f"{secret}{number}"
            profile = json.dumps({"city": f"c{number}", "ssn": ssn})
            yield place, (number, f"{place} {number}", ssn, f"nick {number}", profile)


@pytest.fixture(scope="module")
def postgres_pair(postgres: Postgres) -> Iterator[tuple[Database, Database]]:
    pair = PostgresDatabase(postgres.database(), "1112223"), PostgresDatabase(postgres.database(), "4445556")
    yield pair
    for each in pair:
        each.close()


@pytest.fixture(scope="module")
def sqlite_pair() -> Iterator[tuple[Database, Database]]:
    pair = SqliteDatabase("1112223"), SqliteDatabase("4445556")
    yield pair
    for each in pair:
        each.close()
