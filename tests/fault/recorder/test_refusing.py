"""A Postgres that is there and does not write: read-only, or its disk full. Nothing passes, nothing is lost."""

from __future__ import annotations

import asyncio
import logging

import psycopg
import pytest

from countersign.runtime.recording import NotRecorded
from tests.support.events import request
from tests.support.postgres import Postgres
from tests.support.postgres import postgres as postgres
from tests.support.recorders import assert_whole, running_recorder, running_sender, until

# What PostgreSQL says when it cannot extend a file (SQLSTATE 53100), from where a test can switch it.
DISK = """
    CREATE FUNCTION public.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
    CREATE TRIGGER full_disk BEFORE INSERT ON countersign.{table}
    FOR EACH STATEMENT EXECUTE FUNCTION public.full_disk()"""
FREED = "DROP TRIGGER full_disk ON countersign.{table}; DROP FUNCTION public.full_disk()"
READ_ONLY = "ALTER DATABASE {name} SET default_transaction_read_only = on"
WRITABLE = "ALTER DATABASE {name} RESET default_transaction_read_only"
# Settings of a database count for new connections.
CUT = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'countersign-%'"


@pytest.mark.parametrize(
    ("breaks", "mends", "says"),
    [
        ((DISK.format(table="events"),), (FREED.format(table="events"),), "DiskFull, SQLSTATE 53100"),
        ((DISK.format(table="bodies"),), (FREED.format(table="bodies"),), "DiskFull, SQLSTATE 53100"),
        (
            (READ_ONLY, CUT),
            ("SET transaction_read_only = off", WRITABLE, CUT),
            "ReadOnlySqlTransaction, SQLSTATE 25006",
        ),
    ],
    ids=["disk full for events", "disk full for bodies", "read-only"],
)
async def test_calls_fail_while_postgres_does_not_write_and_nothing_acknowledged_is_lost(
    postgres: Postgres,
    caplog: pytest.LogCaptureFixture,
    breaks: tuple[str, ...],
    mends: tuple[str, ...],
    says: str,
) -> None:
    dsn = postgres.database()
    name = dsn.rpartition("dbname=")[2]
    caplog.set_level(logging.ERROR)
    async with (
        running_recorder(dsn) as (part, address),
        running_sender(address) as sender,
        running_sender(address, timeout_s=0.4) as hasty,
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as owner,
    ):
        before, during, after = ([request() for _ in range(9)] for _ in range(3))
        await asyncio.gather(*[sender.record(event) for event in before])
        for statement in breaks:
            await owner.execute(statement.format(name=name).encode())
        failed = await asyncio.gather(*[hasty.record(event) for event in during], return_exceptions=True)
        assert [type(one) for one in failed] == [NotRecorded] * 9
        await until(lambda: not part.available and says in caplog.text)
        for statement in mends:
            await owner.execute(statement.format(name=name).encode())
        await until(lambda: part.available and part.queue_depth == 0)
        await asyncio.gather(*[sender.record(event) for event in (*during, *after)])
    await assert_whole(dsn, [event.event_id for event in (*before, *during, *after)])
    assert "192.0.2.7" not in caplog.text
