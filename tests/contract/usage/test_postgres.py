"""Counting in Postgres: several recorders, a clock that jumps, old buckets, and no reading of the whole record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from countersign.model.rule import Window
from countersign.recorder.store import PostgresAppendStore
from countersign.recorder.usage.store import PostgresUsageStore
from countersign.runtime.moments import now_us
from countersign.runtime.postgres import DatabaseUnavailable
from tests.contract.usage.conftest import Counting
from tests.contract.usage.test_counting import answer, call
from tests.support.events import new_id
from tests.support.postgres import Postgres
from tests.support.postgres import postgres as postgres

HOUR_US = 3_600_000_000


@pytest.fixture
def dsn(postgres: Postgres) -> str:
    return postgres.database()


@pytest.fixture
async def counting(dsn: str) -> AsyncIterator[Counting]:
    both = Counting(PostgresAppendStore(dsn), PostgresUsageStore(dsn))
    await both.record.open()
    yield both
    await both.record.close()
    await both.usage.close()


@pytest.fixture
async def sql(dsn: str) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        yield connection


async def test_one_recorder_counts_while_another_does(counting: Counting, sql: psycopg.AsyncConnection) -> None:
    await counting.append(call())
    async with sql.transaction():
        await sql.execute("SELECT FROM countersign.usage_counter FOR UPDATE")
        assert await counting.usage.count(10) is None
    assert await counting.usage.count(10) == 0
    assert await counting.totals() == (1, 0, 0)


async def test_many_who_count_at_once_count_each_event_once(counting: Counting, dsn: str) -> None:
    others = [PostgresUsageStore(dsn) for _ in range(3)]
    session = new_id()
    done = asyncio.Event()

    async def count(store: PostgresUsageStore) -> None:
        while not done.is_set():
            await store.count(7)

    async with asyncio.TaskGroup() as group:
        for store in others:
            group.create_task(count(store))
        for _ in range(60):
            await counting.append(call(session), answer(session), call(session))
        done.set()
    await counting.count_all()
    assert await counting.totals() == (120, 180, 6_000)
    for store in others:
        await store.close()


async def test_counting_that_is_cancelled_counts_nothing_twice(counting: Counting) -> None:
    session = new_id()
    for number in range(30):
        await counting.append(call(session), answer(session))
        running = asyncio.ensure_future(counting.usage.count(3))
        for _ in range(number % 5):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await counting.count_all()
    assert await counting.totals() == (30, 90, 3_000)


async def test_counting_goes_on_after_the_connection_broke(counting: Counting, sql: psycopg.AsyncConnection) -> None:
    await counting.append(call())
    await counting.usage.count(10)
    await sql.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = %s"
        " AND datname = current_database()",
        ("countersign-usage-counter",),
    )
    await counting.append(call())
    with pytest.raises(DatabaseUnavailable, match="SQLSTATE"):
        await counting.usage.count(10)
    assert await counting.usage.count(10) == 0
    assert await counting.totals() == (2, 0, 0)


async def test_what_no_window_holds_is_pruned_in_bounded_steps(
    counting: Counting, sql: psycopg.AsyncConnection
) -> None:
    await counting.append(call())
    await counting.count_all()
    await sql.execute("UPDATE countersign.usage_buckets SET bucket = bucket - 10000 WHERE tier < 3")
    assert [await counting.usage.prune(1) for _ in range(3)] == [1, 1, 0]
    assert await counting.totals() == (1, 0, 0)


async def test_a_recorders_clock_that_is_behind_moves_nothing_out_of_the_windows(
    counting: Counting, sql: psycopg.AsyncConnection
) -> None:
    await counting.count_all()
    began_us = now_us()
    await counting.append(call(time_us=began_us - HOUR_US))
    await sql.execute("ALTER TABLE countersign.events DISABLE TRIGGER events_are_append_only")
    await sql.execute("UPDATE countersign.events SET recorded_at = recorded_at - interval '1 hour'")
    await counting.count_all()
    # By no more than what the counter's own last look lets it believe.
    buckets = {bucket for _, window, bucket in await counting.buckets() if window is Window.MINUTE}
    assert min(buckets) >= (began_us - 6_000_000) // 2_000_000


async def test_events_that_waited_to_be_counted_keep_their_time(
    counting: Counting, sql: psycopg.AsyncConnection
) -> None:
    hour_ago_us = now_us() - HOUR_US
    await counting.append(call(time_us=hour_ago_us))
    await sql.execute("ALTER TABLE countersign.events DISABLE TRIGGER events_are_append_only")
    await sql.execute("UPDATE countersign.events SET recorded_at = recorded_at - interval '1 hour'")
    await sql.execute("UPDATE countersign.usage_counter SET counted_until_us = %s", (hour_ago_us - HOUR_US,))
    await counting.count_all()
    assert {bucket for _, window, bucket in await counting.buckets() if window is Window.MINUTE} == {
        hour_ago_us // 2_000_000
    }


async def test_a_database_clock_that_was_ahead_does_not_stop_the_counting(
    counting: Counting, sql: psycopg.AsyncConnection
) -> None:
    await sql.execute("UPDATE countersign.usage_counter SET counted_until_us = %s", (now_us() + HOUR_US,))
    await counting.append(call())
    await counting.count_all()
    assert await counting.totals() == (1, 0, 0)
    assert {bucket for _, window, bucket in await counting.buckets() if window is Window.MINUTE} <= {
        now_us() // 2_000_000 - back for back in range(3)
    }


async def test_an_old_record_is_not_read_again_to_count_a_few_events(
    counting: Counting, sql: psycopg.AsyncConnection
) -> None:
    session = new_id()
    for _ in range(20):
        await counting.append(*[call(session) for _ in range(200)])
    await counting.count_all()
    await sql.execute("VACUUM ANALYZE countersign.events")
    read = "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_user_tables WHERE relname = 'events'"

    async def reads() -> int:
        await sql.execute("SELECT pg_stat_clear_snapshot()")
        row = await (await sql.execute(read)).fetchone()
        assert row is not None
        return int(row[0])

    async def reads_of_at_least(fewest: int) -> int:
        # Who counted reports what it read when it goes, which is a moment after it was told to.
        async with asyncio.timeout(30):
            while True:
                found = await reads()
                if found >= fewest:
                    return found
                await asyncio.sleep(0.02)

    await counting.usage.close()
    before = await reads_of_at_least(4_000)
    fresh = PostgresUsageStore(sql.info.dsn)
    await counting.append(*[call(session) for _ in range(10)])
    await fresh.count(1_000)
    await fresh.close()
    assert await reads_of_at_least(before + 10) - before < 200
