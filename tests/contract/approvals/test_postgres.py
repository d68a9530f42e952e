"""Approvals in Postgres: what is written by one commit, and what a death in the middle leaves behind."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg
import pytest

from countersign.approver.store import PostgresApprovalStore
from countersign.model.approval import Approval
from countersign.runtime.postgres import DatabaseUnavailable, can_connect
from tests.support.approvals import NOON, OWNERS, TWO_OWNERS, again, owner, question

WRITER = "countersign-approvals-writer"


@pytest.fixture
async def kept(dsn: str) -> AsyncIterator[PostgresApprovalStore]:
    store = PostgresApprovalStore(dsn)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def sql(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


async def until(sql: psycopg.Connection, query: str, wanted: Callable[[object], bool]) -> object:
    async with asyncio.timeout(10):
        while True:
            row = sql.execute(query.encode()).fetchone()
            found = None if row is None else row[0]
            if wanted(found):
                return found
            await asyncio.sleep(0)


async def waiting_writer(sql: psycopg.Connection) -> int:
    """The server's process of a change that waits for a lock."""
    found = await until(
        sql,
        f"SELECT pid FROM pg_stat_activity WHERE application_name = '{WRITER}' AND datname = current_database()"
        " AND wait_event_type = 'Lock'",
        lambda pid: pid is not None,
    )
    assert isinstance(found, int)
    return found


@contextmanager
def held(dsn: str, one: Approval) -> Iterator[None]:
    """Hold an approval's row, so that whoever changes it stands in the middle of a transaction."""
    with psycopg.connect(dsn) as connection:
        connection.execute(b"SELECT FROM countersign_approvals.approvals WHERE id = %s FOR UPDATE", (one.id,))
        yield
        # It may be dead by now.
        with suppress(psycopg.Error):
            connection.rollback()


async def agree(store: PostgresApprovalStore, one: Approval, number: int = 1) -> Approval:
    return await store.decide(one.id, owner(number), version=one.version, agrees=True, note="", now_us=NOON)


async def test_each_change_is_noticed_by_the_commit_that_makes_it(
    kept: PostgresApprovalStore, sql: psycopg.Connection
) -> None:
    asking = question(TWO_OWNERS)
    asked = (await kept.ask(asking, NOON)).approval
    await kept.ask(again(asking), NOON)
    first = await agree(kept, asked, 1)
    await agree(kept, first, 2)
    await kept.consume(asked.id, asked.digest, "call", NOON)
    found = sql.execute(
        b"SELECT event_id::text, version, what, at_us FROM countersign_approvals.notices WHERE approval_id = %s"
        b" ORDER BY version",
        (asked.id,),
    ).fetchall()
    told = [one for one in await kept.outbox(10, asked.id) if one.what != "joined"]
    assert found == [(one.event_id, one.approval.version, one.what, one.at_us) for one in told]
    assert [one[2] for one in found] == ["asked", "agreed", "approved", "consumed"]


async def test_nobody_waits_for_what_is_over(kept: PostgresApprovalStore, sql: psycopg.Connection) -> None:
    asking = question()
    asked = (await kept.ask(asking, NOON)).approval
    await kept.ask(again(asking), NOON)
    await kept.expire(1_000, asked.expires_at_us)
    left = sql.execute(b"SELECT FROM countersign_approvals.waiters WHERE approval_id = %s", (asked.id,))
    assert left.rowcount == 0


async def test_who_only_refers_to_an_approval_holds_up_nobody_who_changes_it(
    dsn: str, kept: PostgresApprovalStore
) -> None:
    asked = (await kept.ask(question(), NOON)).approval
    with psycopg.connect(dsn) as other:
        other.execute(b"SELECT FROM countersign_approvals.approvals WHERE id = %s FOR KEY SHARE", (asked.id,))
        async with asyncio.timeout(5):
            await agree(kept, asked)


async def test_a_change_that_is_cancelled_in_the_middle_leaves_no_lock_and_no_trace(
    dsn: str, kept: PostgresApprovalStore, sql: psycopg.Connection
) -> None:
    asking = question()
    asked = (await kept.ask(asking, NOON)).approval
    with held(dsn, asked):
        for work in (agree(kept, asked), kept.ask(again(asking), NOON)):
            changing = asyncio.ensure_future(work)
            await waiting_writer(sql)
            changing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await changing
            await until(
                sql,
                "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE datname = current_database()"
                f" AND application_name = '{WRITER}' AND locktype IN ('advisory', 'transactionid', 'tuple')",
                lambda count: count == 0,
            )
        # The caller's lock is free although the row is not.
        async with asyncio.timeout(5):
            await kept.ask(question(caller=asking.caller.subject), NOON)
    assert await kept.get(asked.id) == asked
    await agree(kept, asked)


async def test_a_connection_that_is_cut_in_the_middle_is_told_and_the_same_again_is_done(
    dsn: str, kept: PostgresApprovalStore, sql: psycopg.Connection
) -> None:
    asked = (await kept.ask(question(), NOON)).approval
    with held(dsn, asked):
        changing = asyncio.ensure_future(agree(kept, asked))
        sql.execute(b"SELECT pg_terminate_backend(%s)", (await waiting_writer(sql),))
        with pytest.raises(DatabaseUnavailable):
            await changing
    assert await kept.get(asked.id) == asked
    await agree(kept, asked)


async def test_connections_that_were_cut_while_nobody_used_them_are_made_again_unnoticed(
    kept: PostgresApprovalStore, sql: psycopg.Connection
) -> None:
    asked = [(await kept.ask(question(), NOON)).approval for _ in range(3)]
    await asyncio.gather(*(kept.rejoin(one.id, one.asked_by, None, NOON) for one in asked))
    sql.execute(
        b"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        b" WHERE application_name = %s AND datname = current_database()",
        (WRITER,),
    )
    await asyncio.gather(*(agree(kept, one) for one in asked))


async def test_a_server_process_that_is_killed_in_a_transaction_loses_and_doubles_nothing(
    dsn: str, kept: PostgresApprovalStore
) -> None:
    asked = (await kept.ask(question(OWNERS), NOON)).approval
    granted = await agree(kept, (await kept.ask(question(OWNERS), NOON)).approval)
    with psycopg.connect(dsn, autocommit=True) as sql, held(dsn, granted):
        changing = asyncio.ensure_future(kept.consume(granted.id, granted.digest, "call", NOON))
        os.kill(await waiting_writer(sql), signal.SIGKILL)
        with pytest.raises(DatabaseUnavailable):
            await changing
    # All of the server's processes start again.
    async with asyncio.timeout(30):
        while True:
            if await can_connect(dsn):
                break
            await asyncio.sleep(0.05)
    assert await kept.get(granted.id) == granted
    assert (await kept.consume(granted.id, granted.digest, "call", NOON)).granted
    assert not (await kept.consume(granted.id, granted.digest, "other", NOON)).granted
    assert [one.what for one in await kept.outbox(10, granted.id)] == ["asked", "approved", "consumed"]
    await agree(kept, asked)


async def test_a_database_that_is_away_is_told_as_such() -> None:
    store = PostgresApprovalStore("postgresql://nobody@127.0.0.1:1/none")
    for work in (store.open(), store.ask(question(), NOON), store.expire(1, NOON), store.recorded([])):
        with pytest.raises(DatabaseUnavailable):
            await work
    await store.close()
