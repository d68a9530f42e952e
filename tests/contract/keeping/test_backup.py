"""What docs/keeping.md says of backup and restore, done with the real pg_dump and pg_restore."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import psycopg
import pytest

from countersign.recorder.log.identity import LogIdentity
from countersign.runtime.recording import NotRecorded
from tests.support.events import new_id, request
from tests.support.log_keys import log_key
from tests.support.postgres import Postgres, binaries
from tests.support.recorders import running_recorder, running_sender, until


def dump(dsn: str, file: Path) -> None:
    schemas = ("-n", "countersign", "-n", "countersign_approvals")
    subprocess.run([binaries() / "pg_dump", "-Fc", "-d", dsn, *schemas, "-f", file], check=True)


def restore(dsn: str, file: Path) -> None:
    options = ("--single-transaction", "--no-owner", "--exit-on-error")
    subprocess.run([binaries() / "pg_restore", "-d", dsn, *options, file], check=True)


async def record(dsn: str, log: LogIdentity, count: int) -> list[str]:
    """Have a recorder record so many events and show them in a checkpoint; return their ids."""
    events = [request(new_id()) for _ in range(count)]
    async with running_recorder(dsn, log=log) as (part, address), running_sender(address, timeout_s=10.0) as sender:
        await asyncio.gather(*[sender.record(event) for event in events])
        await until(lambda: part.log.published_size >= rows(dsn))
    return [event.event_id for event in events]


def rows(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT next_index FROM countersign.head").fetchone()
    assert found is not None
    return int(found[0])


def known(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT event_id::text FROM countersign.events").fetchall()
        bodies = connection.execute("SELECT count(*) FROM countersign.bodies").fetchone()
    assert bodies == (len(found),)
    return {event_id for (event_id,) in found}


async def test_a_fresh_dump_goes_on_elsewhere_and_an_older_one_is_refused(postgres: Postgres, tmp_path: Path) -> None:
    state = tmp_path / "log-state"
    state.touch()
    log = LogIdentity((log_key(),), state)
    before = postgres.database()
    first = await record(before, log, 5)
    dump(before, tmp_path / "old.dump")
    second = await record(before, log, 5)
    dump(before, tmp_path / "new.dump")

    moved = postgres.database()
    restore(moved, tmp_path / "new.dump")
    third = await record(moved, log, 5)
    assert known(moved) == {*first, *second, *third}

    old = postgres.database()
    restore(old, tmp_path / "old.dump")
    async with running_recorder(old, log=log) as (part, address), running_sender(address, timeout_s=0.3) as sender:
        await until(lambda: "the database is older than the log" in part.log.stopped)
        with pytest.raises(NotRecorded):
            await sender.record(request(new_id()))
    assert known(old) == set(first)
