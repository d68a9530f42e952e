"""Databases with a record in them, made quickly; and what becomes of databases: copied, replaced by an older copy."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from countersign.recorder.store import PostgresAppendStore

_ADD = """
    INSERT INTO countersign.events (index, sequence, time_us, recorded_at, event_id, session_id, call_id, kind, outcome,
        target, method, name, record)
    SELECT next_index + n, next_index + n, 1, now(), gen_random_uuid(), %(session)s, gen_random_uuid(), 1, 1,
        'orders', 'tools/call', 'query', format('{"leaf":"%%s %%s é"}', next_index + n, %(salt)s::text)
    FROM countersign.head, generate_series(0, %(count)s - 1) AS n ORDER BY n"""
_SESSION = uuid.UUID(int=1)


async def migrated(dsn: str) -> str:
    """Make the tables in a fresh database; return its connection string."""
    store = PostgresAppendStore(dsn)
    await store.open()
    await store.close()
    return dsn


async def add_events(dsn: str, count: int, *, salt: str = "") -> None:
    """Append events whose leaves say their index and ``salt``, as one commit."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("SELECT next_index FROM countersign.head FOR UPDATE")
        await connection.execute(_ADD, {"count": count, "salt": salt, "session": _SESSION})
        await connection.execute("UPDATE countersign.head SET next_index = next_index + %s", (count,))


async def leaves_of(dsn: str) -> Sequence[str]:
    """Return all leaves, in order."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        found = await connection.execute("SELECT record FROM countersign.events ORDER BY index")
        return [record for (record,) in await found.fetchall()]


async def tamper(dsn: str, *statements: str) -> None:
    """Change the record as only who owns the database can: with its triggers switched off."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("ALTER TABLE countersign.events DISABLE TRIGGER events_are_append_only")
        for statement in statements:
            await connection.execute(statement.encode())
        await connection.execute("ALTER TABLE countersign.events ENABLE ALWAYS TRIGGER events_are_append_only")


# As erasing does it.
_DROP_SHELVES = """
    DO $$ DECLARE one integer; BEGIN
        FOR one IN DELETE FROM countersign.shelves WHERE shelf <> 0 RETURNING shelf LOOP
            EXECUTE format('DROP TABLE countersign.bodies_%1$s, countersign.words_%1$s', one);
        END LOOP;
    END $$"""


async def emptied(dsn: str) -> None:
    """Take everything out of the record and the log again."""
    rest = ("tiles", "signed", "checkpoints", "turns", "revocations", "revocation_events", "revocations_heard")
    await tamper(
        dsn,
        *[f"DELETE FROM countersign.{table}" for table in ("events", "sessions", *rest)],
        *["DELETE FROM countersign.head", "INSERT INTO countersign.head (next_index) VALUES (0)"],
        "UPDATE countersign.log SET integrated_size = 0",
        "UPDATE countersign.revocation_head SET version = 0, forgotten = 0, in_force = 0",
        _DROP_SHELVES,
    )


def copied(dsn: str) -> str:
    """Copy a database as it is now; return the copy's connection string. Nobody may be connected to it."""
    name = f"c{uuid.uuid4().hex}"
    with _beside(dsn) as connection:
        _end_connections(connection, _name(dsn))
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {_name(dsn)}".encode())
    return make_conninfo(dsn, dbname=name)


def replaced(dsn: str, by: str) -> None:
    """Put the database ``by`` in the place of another, as who restores a backup does. Connections to both are cut."""
    with _beside(dsn) as connection:
        for name in (_name(dsn), _name(by)):
            _end_connections(connection, name)
        connection.execute(f"DROP DATABASE {_name(dsn)} WITH (FORCE)".encode())
        connection.execute(f"ALTER DATABASE {_name(by)} RENAME TO {_name(dsn)}".encode())


def _beside(dsn: str) -> psycopg.Connection:
    return psycopg.connect(make_conninfo(dsn, dbname="postgres"), autocommit=True)


def _name(dsn: str) -> str:
    return str(conninfo_to_dict(dsn)["dbname"])


def _end_connections(connection: psycopg.Connection, name: str) -> None:
    connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,))
