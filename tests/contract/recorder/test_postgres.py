"""What only the real database promises: append-only tables, migrations, bounded pages, secrets kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from importlib.resources import files
from uuid import UUID

import psycopg
import pytest

from countersign.recorder import store
from countersign.recorder.entry import accept
from countersign.recorder.reading import PostgresReadStore
from countersign.recorder.store import PostgresAppendStore
from countersign.runtime.migrations import (
    DatabaseTooNew,
    Migration,
    MigrationDiffers,
    MigrationRefused,
    load_migrations,
    migrate,
)
from countersign.runtime.postgres import DatabaseMisconfigured, DatabaseUnavailable, Readers, connect_writer
from countersign.runtime.recording import to_message
from tests.support.events import new_id, request
from tests.support.postgres import Postgres

MEBIBYTE = 1024 * 1024


@pytest.fixture
def dsn(postgres: Postgres) -> str:
    return postgres.database()


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await connect_writer(dsn, application_name="test") as connected:
        yield connected


async def record_one(dsn: str) -> None:
    writer = PostgresAppendStore(dsn)
    await writer.append([accept(to_message(request()))])
    await writer.close()


@pytest.mark.parametrize("events", [1, 20])
async def test_what_is_recorded_is_the_same_in_whatever_encoding_the_connection_string_wishes(
    dsn: str, connection: psycopg.AsyncConnection, events: int
) -> None:
    writer = PostgresAppendStore(f"{dsn} client_encoding=latin1")
    await writer.append([accept(to_message(request(name="Größe 大小"))) for _ in range(events)])
    await writer.close()
    found = await connection.execute("SELECT DISTINCT name, record LIKE '%Größe 大小%' FROM countersign.events")
    assert await found.fetchall() == [("Größe 大小", True)]


@pytest.mark.parametrize(
    "change",
    [
        b"UPDATE countersign.events SET record = ''",
        b"DELETE FROM countersign.events",
        b"DELETE FROM countersign.events WHERE false",
        b"TRUNCATE countersign.events",
        b"SET session_replication_role = replica; DELETE FROM countersign.events",
    ],
)
async def test_events_cannot_be_changed_even_by_their_owner(
    dsn: str, connection: psycopg.AsyncConnection, change: bytes
) -> None:
    await record_one(dsn)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        await connection.execute(change)


async def test_commit_is_synchronous_whatever_the_role_says(dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as owner:
        await owner.execute("ALTER ROLE postgres SET synchronous_commit = off")
        try:
            async with await connect_writer(f"{dsn} options='-c synchronous_commit=off'", application_name="t") as ours:
                assert await (await ours.execute("SHOW synchronous_commit")).fetchone() == ("on",)
        finally:
            await owner.execute("ALTER ROLE postgres RESET synchronous_commit")


async def test_readers_cannot_write(dsn: str) -> None:
    await record_one(dsn)
    readers = Readers(dsn, application_name="test")
    with pytest.raises(DatabaseUnavailable, match="25006"):
        async with readers.connection() as reader:
            await reader.execute("UPDATE countersign.head SET next_index = 0")
    await readers.close()


async def test_a_reader_that_the_server_ended_is_not_handed_out(dsn: str, connection: psycopg.AsyncConnection) -> None:
    readers = Readers(dsn, application_name="ended", size=1)
    pids = set()
    for _ in range(3):
        async with readers.connection() as reader:
            pids.add(reader.info.backend_pid)
            await reader.execute("SELECT 1")
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'ended'"
        )
    await readers.close()
    assert len(pids) == 3


async def test_a_reader_is_handed_out_without_a_word_to_the_server(
    dsn: str, connection: psycopg.AsyncConnection
) -> None:
    readers = Readers(dsn, application_name="quiet", size=1)
    async with readers.connection() as reader:
        await reader.execute("SELECT 'the last word'")
    async with readers.connection():
        said = await connection.execute("SELECT query FROM pg_stat_activity WHERE application_name = 'quiet'")
        assert await said.fetchall() == [("SELECT 'the last word'",)]
    await readers.close()


async def test_pages_are_bounded_by_bytes_and_begin_with_the_first_whatever_its_size(dsn: str) -> None:
    session = new_id()
    writer, reader = PostgresAppendStore(dsn), PostgresReadStore(dsn)
    sizes = [6, 1, 1, 1, 3, 1]
    await writer.append([accept(to_message(request(session, body=b"x" * (size * MEBIBYTE)))) for size in sizes])
    pages = []
    start = 0
    while page := await reader.events(UUID(session), start=start, stop=99):
        pages.append([event.sequence for event in page])
        start = page[-1].sequence + 1
    assert pages == [[0], [1, 2, 3], [4], [5]]
    await writer.close()
    await reader.close()


async def test_largest_body_is_kept_as_it_is(dsn: str) -> None:
    session = new_id()
    writer, reader = PostgresAppendStore(dsn), PostgresReadStore(dsn)
    body = bytes(range(256)) * (64 * 4096)
    await writer.append([accept(to_message(request(session, body=body)))])
    [event] = await reader.events(UUID(session), start=0, stop=1)
    assert event.body == body
    await writer.close()
    await reader.close()


def migrations(*texts: str) -> tuple[Migration, ...]:
    return tuple(Migration(number, f"step{number}", text) for number, text in enumerate(texts, 1))


FIRST, SECOND = "CREATE TABLE demo.one (a int)", "CREATE TABLE demo.two (a int)"


async def test_migrations_run_once_and_only_what_is_missing(connection: psycopg.AsyncConnection) -> None:
    assert await migrate(connection, "demo", migrations(FIRST)) == 1
    assert await migrate(connection, "demo", migrations(FIRST, SECOND)) == 1
    assert await migrate(connection, "demo", migrations(FIRST, SECOND)) == 0


async def test_newer_database_is_refused(connection: psycopg.AsyncConnection) -> None:
    await migrate(connection, "demo", migrations(FIRST, SECOND))
    with pytest.raises(DatabaseTooNew, match="run the newer version"):
        await migrate(connection, "demo", migrations(FIRST))


async def test_changed_migration_is_refused(connection: psycopg.AsyncConnection) -> None:
    await migrate(connection, "demo", migrations(FIRST))
    with pytest.raises(MigrationDiffers, match="0001"):
        await migrate(connection, "demo", migrations(FIRST + " ", SECOND))


async def test_failed_migration_leaves_nothing_and_no_lock(dsn: str, connection: psycopg.AsyncConnection) -> None:
    with pytest.raises(MigrationRefused, match="42P01"):
        await migrate(connection, "demo", migrations(FIRST, SECOND + "; SELECT * FROM missing"))
    async with await connect_writer(dsn, application_name="other") as other:
        assert await migrate(other, "demo", migrations(FIRST, SECOND)) == 1


async def test_recorders_that_start_together_migrate_once(dsn: str) -> None:
    stores = [PostgresAppendStore(dsn) for _ in range(4)]
    await asyncio.gather(*[one.open() for one in stores])
    for one in stores:
        await one.close()
    async with await connect_writer(dsn, application_name="test") as reader:
        found = await reader.execute("SELECT number FROM countersign.migrations")
        there_are = load_migrations(files("countersign.recorder") / "migrations")
        assert await found.fetchall() == [(one.number,) for one in there_are]


async def test_database_of_a_newer_version_stops_the_recorder(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await record_one(dsn)
    monkeypatch.setattr(store, "load_migrations", lambda _: ())
    with pytest.raises(DatabaseTooNew):
        await PostgresAppendStore(dsn).open()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("postgresql://user:{0}@127.0.0.1:1/db", DatabaseUnavailable),
        ("postgresql://user:{0}@127.0.0.1:port/db", DatabaseUnavailable),
        ("host=/nowhere password={0}", DatabaseUnavailable),
        ("{0} {0}", DatabaseMisconfigured),
    ],
)
async def test_no_error_or_log_shows_the_connection_string(
    text: str, error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    secret = "hidden".join(["so", "well"])
    caplog.set_level(logging.DEBUG)
    with pytest.raises(error) as caught:
        await PostgresAppendStore(text.format(secret)).open()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert secret not in f"{caught.value}{caught.value!r}{caplog.text}"
    assert "127.0.0.1" not in f"{caught.value}{caplog.text}"


async def test_database_in_another_encoding_is_refused(postgres: Postgres) -> None:
    async with await psycopg.AsyncConnection.connect(postgres.dsn(), autocommit=True) as owner:
        name = f"t{UUID(new_id()).hex}"
        await owner.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0".encode())
    with pytest.raises(DatabaseMisconfigured, match="UTF8"):
        await PostgresAppendStore(postgres.dsn(name)).open()
