"""Commands in one round trip: in order, each with its own answer, and none after one that failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from countersign.recorder.rows import number, texts, timestamp
from countersign.runtime.pipelined import Command, Pipelined
from countersign.runtime.postgres import connect_writer
from tests.support.postgres import Postgres

SAY = b"SELECT $1::text"
COUNT = b"SELECT count(*) FROM noted"
NOTE = b"INSERT INTO noted VALUES ($1)"
WAIT_S = 20.0


@pytest.fixture
async def line(postgres: Postgres) -> AsyncIterator[Pipelined]:
    async with await connect_writer(postgres.database(), application_name="test") as connection:
        await connection.execute(b"CREATE TABLE noted (number bigint PRIMARY KEY)")
        yield Pipelined(connection)


async def test_each_command_has_its_own_answer_however_often_it_was_prepared(line: Pipelined) -> None:
    for turn in ("first", "second"):
        said = await line.run(Command(SAY, (b"one",)), Command(b"SELECT 2::bigint"), Command(SAY, (turn,)))
        assert [one.get_value(0, 0) for one in said] == [b"one", number(2), turn.encode()]


async def test_what_is_prepared_outlives_what_psycopg_prepared_and_a_transaction_that_is_rolled_back(
    postgres: Postgres,
) -> None:
    async with await connect_writer(postgres.database(), application_name="test") as connection:
        prepares_at = connection.prepare_threshold
        assert prepares_at is not None
        for _ in range(prepares_at + 1):
            await connection.execute(b"SELECT 1")
        line = Pipelined(connection)
        for end in (b"ROLLBACK", b"COMMIT"):
            await line.run(Command(b"BEGIN"), Command(SAY, (b"before",)))
            await connection.execute(b"SELECT 1")
            await connection.execute(end)
            await connection.execute(b"SELECT 1")
        [said] = await line.run(Command(SAY, (b"after",)))
        assert said.get_value(0, 0) == b"after"


async def test_values_come_back_as_they_were_given(line: Pipelined) -> None:
    names = ['a "quoted" one', "back\\slash", "{braces, commas}", "", "NULL", "ü"]
    [said] = await line.run(Command(b"SELECT unnest($1::text[])", (texts(names),)))
    assert [said.get_value(row, 0) for row in range(said.ntuples)] == [name.encode() for name in names]
    [said] = await line.run(
        Command(b"SELECT extract(epoch FROM $1::timestamptz)::bigint", (timestamp(1_790_000_000_000_000),))
    )
    assert said.get_value(0, 0) == number(1_790_000_000)
    [said] = await line.run(Command(b"SELECT $1::bigint IS NULL", (None,)))
    assert said.get_value(0, 0) == b"\1"


async def test_nothing_after_a_command_that_failed_is_carried_out(line: Pipelined) -> None:
    one, two = (Command(NOTE, (number(each),)) for each in (1, 2))
    await line.run(one)
    with pytest.raises(psycopg.errors.UniqueViolation) as caught:
        await line.run(Command(b"BEGIN"), two, one, Command(NOTE, (number(3),)), Command(b"COMMIT"))
    assert caught.value.diag.table_name == "noted"
    await line.connection.close()


async def test_nothing_of_what_failed_stays(postgres: Postgres) -> None:
    dsn = postgres.database()
    for numbers in ((1, 1, 2), (3,)):
        async with await connect_writer(dsn, application_name="test") as connection:
            line = Pipelined(connection)
            await connection.execute(b"CREATE TABLE IF NOT EXISTS noted (number bigint PRIMARY KEY)")
            notes = [Command(NOTE, (number(each),)) for each in numbers]
            try:
                await line.run(Command(b"BEGIN"), *notes, Command(b"COMMIT"))
            except psycopg.errors.UniqueViolation:
                await connection.close()
    async with await connect_writer(dsn, application_name="test") as connection:
        [counted] = await Pipelined(connection).run(Command(b"SELECT array_agg(number)::text FROM noted"))
        assert counted.get_value(0, 0) == b"{3}"


@pytest.mark.parametrize("value", ["a\0b", b"a\0b"], ids=["as text", "as it is kept"])
async def test_a_text_with_a_nul_is_refused_and_never_cut(line: Pipelined, value: str | bytes) -> None:
    with pytest.raises(psycopg.DataError):
        await line.run(Command(SAY, (value,)))
    await line.connection.close()


async def test_more_is_said_than_either_side_holds_at_once(line: Pipelined) -> None:
    long = b"x" * 1_000_000
    async with asyncio.timeout(WAIT_S):
        said = await line.run(*[Command(SAY, (long,))] * 30)
    assert [one.get_value(0, 0) for one in said] == [long] * 30


async def test_a_server_that_ends_the_connection_is_an_error_and_no_endless_wait(line: Pipelined) -> None:
    end = Command(b"SELECT pg_terminate_backend(pg_backend_pid())")
    async with asyncio.timeout(WAIT_S):
        with pytest.raises(psycopg.OperationalError):
            await line.run(Command(SAY, (b"one",)), end, Command(SAY, (b"two",)))
        with pytest.raises(psycopg.OperationalError):
            await line.run(Command(SAY, (b"three",)))


async def test_who_waits_for_a_lock_can_be_cancelled(line: Pipelined, postgres: Postgres) -> None:
    await line.connection.execute(b"SELECT pg_advisory_lock(1)")
    info = line.connection.info
    async with await psycopg.AsyncConnection.connect(
        host=info.host, port=info.port, user=info.user, dbname=info.dbname, autocommit=True
    ) as other:
        waiting = asyncio.ensure_future(Pipelined(other).run(Command(b"SELECT pg_advisory_lock(1)")))
        asked = b"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        async with asyncio.timeout(WAIT_S):
            while (await line.run(Command(asked)))[0].get_value(0, 0) == number(0):
                pass
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await other.close()
