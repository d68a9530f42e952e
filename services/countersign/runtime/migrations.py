"""Numbered SQL files, applied in order, once, forward only."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.resources.abc import Traversable

import psycopg

from countersign.runtime.postgres import DatabaseError, DatabaseUnavailable, safe_reason

# Any constant that nothing else in the database uses: everyone who migrates waits for the same lock.
_LOCK = 0x636F756E74657273
_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


class MigrationRefused(DatabaseError):
    """The database is not what this version of the code can bring up to date; nothing was changed."""


class DatabaseTooNew(MigrationRefused):
    """A newer version of the code migrated this database."""


class MigrationDiffers(MigrationRefused):
    """A migration that this database had is not the one that the code holds."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file: ``0001_record.sql``. The digest is SHA-256 of its text, in hex."""

    number: int
    name: str
    sql: str

    @property
    def digest(self) -> str:
        """What tells a changed file from the applied one."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load_migrations(folder: Traversable) -> tuple[Migration, ...]:
    """Read the migrations of ``folder``, in order. Raises ``MigrationRefused`` when their numbers are not 1, 2, 3 …"""
    found = [
        Migration(int(match[1]), match[2], file.read_text("utf-8"))
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if (match := _FILE.fullmatch(file.name))
    ]
    numbers = [migration.number for migration in found]
    if numbers != list(range(1, len(found) + 1)):
        raise MigrationRefused(f"the migrations of this installation are numbered {numbers}: install it again")
    return tuple(found)


async def migrate(connection: psycopg.AsyncConnection, schema: str, migrations: tuple[Migration, ...]) -> int:
    """Bring ``schema`` up to date and return how many migrations were applied now.

    Each runs in a transaction of its own, together with the row that says that it ran; an advisory lock keeps others
    out meanwhile. Needs an autocommit connection. Raises ``MigrationRefused``, ``DatabaseUnavailable``.
    """
    try:
        await connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        try:
            await _prepare(connection, schema)
            known = await _applied(connection, schema)
            _compare(known, migrations)
            for migration in migrations[len(known) :]:
                await _apply(connection, schema, migration)
        finally:
            if not connection.closed:
                await connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseUnavailable(f"the database did not let itself be migrated ({safe_reason(error)})") from None
    except psycopg.Error as error:
        raise MigrationRefused(
            f"the database refused a migration ({safe_reason(error)}): "
            f"let the role own the schema {schema}, or restore it"
        ) from None
    return len(migrations) - len(known)


async def _prepare(connection: psycopg.AsyncConnection, schema: str) -> None:
    found = await connection.execute("SELECT to_regclass(%s)", (f"{schema}.migrations",))
    if (await found.fetchone()) == (None,):
        async with connection.transaction():
            # Only made when missing: a role without the right to make schemas can use one that was made for it.
            schemas = await connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,))
            if await schemas.fetchone() is None:
                await connection.execute(f"CREATE SCHEMA {schema}".encode())
            await connection.execute(
                f"CREATE TABLE {schema}.migrations (number integer PRIMARY KEY, name text NOT NULL, "
                "digest text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())".encode()
            )


async def _applied(connection: psycopg.AsyncConnection, schema: str) -> list[tuple[int, str, str]]:
    query = f"SELECT number, name, digest FROM {schema}.migrations ORDER BY number"  # noqa: S608 - a constant of ours
    return [(number, name, digest) async for number, name, digest in await connection.execute(query.encode())]


def _compare(known: list[tuple[int, str, str]], migrations: tuple[Migration, ...]) -> None:
    if len(known) > len(migrations):
        raise DatabaseTooNew(
            f"the database is at migration {known[-1][0]:04} ({known[-1][1]}), this version of countersign knows only "
            f"{len(migrations):04}: run the newer version"
        )
    for (number, name, digest), migration in zip(known, migrations, strict=False):
        if (number, digest) != (migration.number, migration.digest):
            raise MigrationDiffers(
                f"migration {number:04} ({name}) of the database is not the one of this version of countersign: "
                "run the version that made the database, or restore the file"
            )


async def _apply(connection: psycopg.AsyncConnection, schema: str, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute(migration.sql.encode())
        await connection.execute(
            f"INSERT INTO {schema}.migrations (number, name, digest) VALUES (%s, %s, %s)".encode(),  # noqa: S608
            (migration.number, migration.name, migration.digest),
        )
