"""Tokens in Postgres: several recorders at once, tokens that live on while they are used, and a sweep beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from countersign.recorder.store import PostgresAppendStore
from countersign.recorder.tokens.part import TokenRoom
from countersign.recorder.tokens.ports import LIFETIME_US, MOST_FOUND, TokensFull
from countersign.recorder.tokens.store import PostgresTokenStore
from countersign.runtime.postgres import DatabaseUnavailable
from tests.contract.tokens.test_store import HEAD, token
from tests.support.events import new_id
from tests.support.postgres import Postgres


@pytest.fixture(scope="module")
def dsn(postgres: Postgres) -> str:
    return postgres.database()


@pytest.fixture
async def store(dsn: str) -> AsyncIterator[PostgresTokenStore]:
    record = PostgresAppendStore(dsn)
    await record.open()
    await record.close()
    store = PostgresTokenStore(dsn)
    yield store
    await store.close()


@pytest.fixture
async def sql(dsn: str, store: PostgresTokenStore) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        yield connection


async def test_a_token_that_is_shown_again_late_in_its_life_begins_a_new_one(
    store: PostgresTokenStore, sql: psycopg.AsyncConnection
) -> None:
    session = new_id()

    async def left_us() -> int:
        found = await sql.execute(
            "SELECT expires_us - (extract(epoch FROM now()) * 1000000)::bigint FROM countersign.tokens"
            " WHERE session_id = %s",
            (session,),
        )
        row = await found.fetchone()
        assert row is not None
        return int(row[0])

    for shortened_us, renewed in ((LIFETIME_US // 3, False), (LIFETIME_US // 3, True)):
        await store.keep(session, [token("a")])
        await sql.execute(
            "UPDATE countersign.tokens SET expires_us = expires_us - %s WHERE session_id = %s", (shortened_us, session)
        )
        before_us = await left_us()
        await store.keep(session, [token("a")])
        assert (await left_us() > before_us) == renewed


async def test_recorders_that_keep_and_sweep_at_once_neither_lose_nor_count_twice(
    store: PostgresTokenStore, dsn: str, sql: psycopg.AsyncConnection
) -> None:
    sessions = [new_id() for _ in range(3)]
    short = PostgresTokenStore(dsn, lifetime_us=1_000)
    others = [PostgresTokenStore(dsn) for _ in range(2)]
    try:

        async def keep(one: PostgresTokenStore, name: str) -> None:
            for number in range(15):
                for session in sessions:
                    await one.keep(session, [token(f"{name} {number}"), token(f"shared {number}")])

        async def sweep() -> None:
            for _ in range(40):
                await others[0].sweep(5)

        await asyncio.gather(keep(store, "a"), keep(others[1], "b"), keep(short, "c"), sweep(), others[1].sweep(5))
        while await store.sweep(100):
            pass
        wrong = await sql.execute(
            "SELECT s.session_id FROM countersign.token_sessions AS s LEFT JOIN countersign.tokens AS t"
            " USING (session_id) GROUP BY s.session_id HAVING count(t.mark) <> s.held"
        )
        assert await wrong.fetchall() == []
        for session in sessions:
            assert len(await store.find(session, [HEAD])) >= 30
    finally:
        for one in (short, *others):
            await one.close()


async def test_what_is_stored_shows_no_token_and_no_value(
    store: PostgresTokenStore, sql: psycopg.AsyncConnection
) -> None:
    session = new_id()
    await store.keep(session, [token("a")])
    columns = await sql.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'countersign' AND table_name = 'tokens' ORDER BY ordinal_position"
    )
    assert await columns.fetchall() == [
        ("session_id", "text"),
        ("mark", "bytea"),
        ("head", "bytea"),
        ("sealed", "bytea"),
        ("expires_us", "bigint"),
    ]


async def test_more_than_an_answer_can_hold_are_not_found(store: PostgresTokenStore) -> None:
    session = new_id()
    for start in range(0, MOST_FOUND + 1, 1_000):
        await store.keep(session, [token(str(number)) for number in range(start, start + 1_000)])
    with pytest.raises(TokensFull):
        await store.find(session, [HEAD])


async def test_a_database_that_is_away_is_told_as_such() -> None:
    store = PostgresTokenStore("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailable):
        await store.keep("s", [token("a")])
    assert await TokenRoom(store).tend() == 0
    await store.close()
