"""What is good once is had by one, however many take it at once."""

from __future__ import annotations

import asyncio
import uuid

import psycopg
import pytest

from countersign.portal.used import Once, PostgresUsedOnce, UsedOnce
from countersign.runtime.postgres import DatabaseUnavailable

NOW_US = 1_800_000_000_000_000
LATER_US = NOW_US + 60_000_000


async def test_what_was_taken_is_taken_by_nobody_else(used: UsedOnce) -> None:
    one = uuid.uuid4().hex
    assert await used.take(Once.ASSERTION, one, LATER_US, NOW_US)
    assert not await used.take(Once.ASSERTION, one, LATER_US, NOW_US)
    assert not await used.take(Once.ASSERTION, one, LATER_US, LATER_US - 1)


async def test_of_many_at_once_one_has_it(used: UsedOnce) -> None:
    one = uuid.uuid4().hex
    taken = await asyncio.gather(*(used.take(Once.SIGN_IN, one, LATER_US, NOW_US) for _ in range(20)))
    assert taken.count(True) == 1


async def test_kinds_do_not_take_from_each_other(used: UsedOnce) -> None:
    one = uuid.uuid4().hex
    assert all([await used.take(kind, one, LATER_US, NOW_US) for kind in Once])


async def test_an_id_of_any_length_and_characters_is_told_from_others(used: UsedOnce) -> None:
    one = uuid.uuid4().hex
    for odd in ("'; DROP TABLE used; --", "\x00", "\ud800", "x" * 100_000):
        assert await used.take(Once.HEARD, one + odd, LATER_US, NOW_US)
        assert not await used.take(Once.HEARD, one + odd, LATER_US, NOW_US)


async def test_what_is_over_is_forgotten(portal_dsn: str) -> None:
    store = PostgresUsedOnce(portal_dsn)
    try:
        await store.take(Once.HEARD, "old", NOW_US - 2, NOW_US - 3)
        await store.take(Once.HEARD, "new", LATER_US, NOW_US)
        with psycopg.connect(portal_dsn) as connection:
            found = connection.execute("SELECT count(*) FROM countersign_portal.used WHERE until_us <= %s", (NOW_US,))
            assert found.fetchone() == (0,)
    finally:
        await store.close()


async def test_ids_are_not_kept(portal_dsn: str) -> None:
    store = PostgresUsedOnce(portal_dsn)
    canary = uuid.uuid4().hex
    try:
        await store.take(Once.SIGN_IN, canary, LATER_US, NOW_US)
    finally:
        await store.close()
    with psycopg.connect(portal_dsn) as connection:
        rows = connection.execute("SELECT used::text FROM countersign_portal.used AS used").fetchall()
    assert rows
    assert canary not in str(rows)


async def test_without_a_database_nothing_is_taken() -> None:
    store = PostgresUsedOnce("host=/nowhere dbname=none")
    with pytest.raises(DatabaseUnavailable):
        await store.take(Once.HEARD, "any", LATER_US, NOW_US)
    await store.close()
