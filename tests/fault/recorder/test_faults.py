"""The recorder's parts killed and cut off while events stream in: nothing acknowledged is lost, nothing is doubled."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import uvloop
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from countersign.runtime.pipelined import Command, Pipelined
from countersign.runtime.postgres import connect_writer
from countersign.runtime.recording import NotRecorded
from tests.fault.recorder.lossy import lossy_proxy
from tests.support.events import request
from tests.support.postgres import Postgres, running_postgres
from tests.support.postgres import postgres as postgres
from tests.support.recorders import Traffic, assert_whole, running_recorder, running_sender, until

SOME = 150
GONE_S = 20.0


@pytest.fixture
def mortal() -> Iterator[Postgres]:
    with running_postgres() as cluster:
        yield cluster


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
async def test_postgres_killed_or_stopped_and_started_again(mortal: Postgres, how: signal.Signals) -> None:
    dsn = mortal.database()
    async with running_recorder(dsn) as (part, address), running_sender(address) as sender:
        traffic = Traffic([sender])
        async with traffic.flowing():
            for _ in range(2):
                await traffic.more(SOME)
                await asyncio.to_thread(mortal.stop, how)
                await until(lambda: not part.available)
                await asyncio.to_thread(mortal.start)
                await until(lambda: part.available)
            await traffic.more(SOME)
    assert traffic.refused == []
    await assert_whole(dsn, traffic.acknowledged)


async def test_calls_fail_in_time_while_postgres_is_away_and_work_again_afterwards(mortal: Postgres) -> None:
    dsn = mortal.database()
    async with (
        running_recorder(dsn) as (part, address),
        running_sender(address) as sender,
        running_sender(address, timeout_s=0.3) as hasty,
    ):
        first, late, last = request(), request(), request()
        await sender.record(first)
        await asyncio.to_thread(mortal.stop)
        with pytest.raises(NotRecorded, match="did not acknowledge"):
            await hasty.record(late)
        await until(lambda: not part.available)
        await asyncio.to_thread(mortal.start)
        await until(lambda: part.available and part.queue_depth == 0)
        await sender.record(last)
    await assert_whole(dsn, [first.event_id, last.event_id])


async def test_idle_recorder_notices_that_postgres_went_and_came(mortal: Postgres) -> None:
    async with running_recorder(mortal.database()) as (part, _):
        await until(lambda: part.available)
        await asyncio.to_thread(mortal.stop)
        await until(lambda: not part.available)
        await asyncio.to_thread(mortal.start)
        await until(lambda: part.available)


async def test_recorder_starts_before_its_database(mortal: Postgres) -> None:
    dsn = mortal.database()
    await asyncio.to_thread(mortal.stop)
    async with running_recorder(dsn) as (part, address), running_sender(address) as sender:
        event = request()
        waiting = asyncio.ensure_future(sender.record(event))
        await until(lambda: part.queue_depth == 1)
        assert not part.available
        await asyncio.to_thread(mortal.start)
        await waiting
    await assert_whole(dsn, [event.event_id])


async def test_backends_terminated_between_statements(postgres: Postgres) -> None:
    dsn = postgres.database()
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'countersign-recorder'"
    async with (
        running_recorder(dsn) as (_, address),
        running_sender(address) as sender,
        await psycopg.AsyncConnection.connect(postgres.dsn(), autocommit=True) as killer,
    ):
        traffic = Traffic([sender])
        async with traffic.flowing():
            for _ in range(25):
                await traffic.more(20)
                await killer.execute(kill)
    assert traffic.refused == []
    await assert_whole(dsn, traffic.acknowledged)


async def test_acknowledgement_of_the_commit_lost(postgres: Postgres) -> None:
    dsn = postgres.database()
    real = f"{conninfo_to_dict(dsn)['host']}/.s.PGSQL.5432"
    with tempfile.TemporaryDirectory(prefix="cs-lossy-") as folder:
        async with (
            lossy_proxy(Path(folder), real) as lossy,
            running_recorder(make_conninfo(dsn, host=folder)) as (_, address),
            running_sender(address) as sender,
        ):
            traffic = Traffic([sender])
            async with traffic.flowing():
                for lost in range(1, 11):
                    await traffic.more(30)
                    lossy.lose = 1
                    await until(lambda lost=lost: lossy.lost >= lost)  # type: ignore[misc]  # a bound default
    assert traffic.refused == []
    await assert_whole(dsn, traffic.acknowledged)


@contextmanager
def recorder_process(address: str, dsn: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", "tests.fault.recorder.process", address, dsn])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def test_recorder_killed_and_started_again_with_the_sender_resending(postgres: Postgres) -> None:
    dsn = postgres.database()
    with tempfile.TemporaryDirectory(prefix="cs-rec-") as folder:
        address = f"unix:{folder}/s"
        async with running_sender(address) as sender:
            traffic = Traffic([sender])
            async with traffic.flowing():
                for _ in range(3):
                    with recorder_process(address, dsn):
                        await traffic.more(SOME)
                    Path(folder, "s").unlink(missing_ok=True)
                with recorder_process(address, dsn):
                    await traffic.more(SOME)
                    # The last calls end while there is still a recorder.
                    traffic.stop()
                    await until(lambda: sender.queue_depth == 0)
    assert traffic.refused == []
    await assert_whole(dsn, traffic.acknowledged)


async def test_two_recorders_on_one_database_agree_on_indices(postgres: Postgres) -> None:
    dsn = postgres.database()
    async with (
        running_recorder(dsn) as (_, one),
        running_recorder(dsn) as (_, two),
        running_sender(one) as first,
        running_sender(two) as second,
    ):
        traffic = Traffic([first, second], callers=16)
        async with traffic.flowing():
            await traffic.more(4 * SOME)
            shared = [request() for _ in range(200)]
            # The same events over both at once: each is recorded once.
            await asyncio.gather(*[sender.record(event) for event in shared for sender in (first, second)])
    assert traffic.refused == []
    await assert_whole(dsn, traffic.acknowledged + [event.event_id for event in shared])


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL])
def test_a_server_that_is_gone_with_words_of_ours_unread_is_an_error_and_no_endless_wait(
    mortal: Postgres, how: signal.Signals
) -> None:
    """That is an error of the socket, of which the services' event loop tells once: there may be more to read then."""
    dsn = mortal.database()

    async def ends() -> None:
        connection = await connect_writer(dsn, application_name="test")
        other = await connect_writer(dsn, application_name="test")
        # The second is more than the server reads ahead, and less than the socket holds.
        commands = Command(b"SELECT pg_sleep(60)"), Command(b"SELECT $1::text", (b"x" * 100_000,))
        running = asyncio.ensure_future(Pipelined(connection).run(*commands))
        async with asyncio.timeout(GONE_S):
            sleeps = b"SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
            while await (await other.execute(sleeps, (connection.info.backend_pid,))).fetchone() is None:
                continue
            await other.close()
            await asyncio.to_thread(mortal.stop, how)
            with pytest.raises(psycopg.OperationalError):
                await running
        await connection.close()

    uvloop.run(ends())
    mortal.start()
