"""A whole recorder with its log: when the database under it is another, when it dies, when it falls behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from countersign.config.types import Recording, Witness
from countersign.recorder import RecorderPart
from countersign.recorder.log.identity import LogIdentity
from countersign.recorder.log.ports import Prove, WitnessView
from countersign.runtime.recording import NotRecorded
from tests.support.events import new_id, request
from tests.support.log_keys import log_key
from tests.support.postgres import Postgres
from tests.support.postgres import postgres as postgres
from tests.support.recorded import copied, replaced
from tests.support.recorders import running_recorder, running_sender, until


@pytest.fixture
def log(tmp_path: Path) -> LogIdentity:
    return LogIdentity((log_key(),), tmp_path / "log.state")


@asynccontextmanager
async def recording(
    dsn: str, log: LogIdentity, how: Recording | None = None, cosigner: _Asleep | None = None
) -> AsyncIterator[tuple[RecorderPart, str]]:
    async with running_recorder(dsn, log=log, recording=lambda: how or Recording(), cosigner=cosigner) as running:
        yield running


class _Asleep:
    """Witnesses that cosign nothing, until they are woken."""

    def __init__(self, lines: Callable[[str], Sequence[str]] = lambda _: ()) -> None:
        self.lines = lines

    async def cosign(self, note: str, size: int, prove: Prove) -> Sequence[str]:
        return self.lines(note)

    def views(self) -> Sequence[WitnessView]:
        return ()

    async def close(self) -> None:
        pass


async def test_what_is_recorded_is_published_and_a_restart_goes_on(postgres: Postgres, log: LogIdentity) -> None:
    dsn = postgres.database()
    for size in (3, 6):
        async with recording(dsn, log) as (part, address), running_sender(address) as sender:
            for _ in range(3):
                await sender.record(request())
            await until(lambda size=size: part.log.published_size == size)  # type: ignore[misc]  # bound as it is now
            assert part.available
            assert part.log.lag_s == 0
            assert part.log.told() == f"log.test: {size} events, {size} of them published"


async def test_over_an_older_copy_nothing_is_recorded_and_it_says_why(postgres: Postgres, log: LogIdentity) -> None:
    dsn = postgres.database()
    async with recording(dsn, log) as (part, address), running_sender(address) as sender:
        await sender.record(request())
        await until(lambda: part.log.published_size == 1)
        older = copied(dsn)
        await sender.record(request())
        await until(lambda: part.log.published_size == 2)
        # Under its feet.
        replaced(dsn, by=older)
        await until(lambda: bool(part.log.stopped))
        assert "older than the log" in part.log.stopped
        assert "STOPPED" in part.log.told()
        assert not part.available
        async with running_sender(address, timeout_s=1.0) as hasty:
            with pytest.raises(NotRecorded):
                await hasty.record(request())
    async with recording(dsn, log) as (part, address), running_sender(address, timeout_s=1.0) as sender:
        # From its start on, before anything is looked at.
        with pytest.raises(NotRecorded):
            await sender.record(request())
        await until(lambda: bool(part.log.stopped))
        assert not part.available
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        row = await (await connection.execute("SELECT next_index FROM countersign.head")).fetchone()
    assert row == (1,)


async def test_who_falls_behind_lets_appends_wait_and_go_on(postgres: Postgres, log: LogIdentity) -> None:
    witness = Witness(name="w", url="https://w.test", key="w")
    how = Recording(most_unpublished=5, witnesses=(witness,), witnesses_needed=1)
    asleep = _Asleep()
    dsn = postgres.database()
    async with recording(dsn, log, how, asleep) as (part, address), running_sender(address, timeout_s=20) as sender:
        for _ in range(5):
            await sender.record(request())
        waiting = asyncio.ensure_future(sender.record(request()))
        await until(lambda: part.log.recorded_size == 5 and part.log.lag_s >= 1)
        assert not waiting.done()
        assert part.available
        assert part.log.is_behind
        assert "calls wait" in part.log.told()
        asleep.lines = lambda note: [note.rpartition("\n\n")[2].replace("log.test", "witness.test")]
        await asyncio.wait_for(waiting, 20)


async def test_sessions_are_sealed_beside_it_and_senders_go_on_in_others(postgres: Postgres, log: LogIdentity) -> None:
    dsn = postgres.database()
    session = new_id()
    async with (
        recording(dsn, log, Recording(seal_after_s=0.2)) as (part, address),
        running_sender(address) as sender,
    ):
        first = request(session)
        await sender.record(first)
        await until(lambda: part.log.published_size >= 2)
        await sender.record(request(session))
        # As who was not told that it was recorded, and sends it from an outbox again.
        await sender.record(first)
        async with running_sender(address) as restarted:
            await restarted.record(first)
        await until(lambda: part.log.published_size >= 4)
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        found = await connection.execute("SELECT kind FROM countersign.events ORDER BY index")
        assert await found.fetchall() == [(1,), (11,), (1,), (11,)]
        found = await connection.execute(
            "SELECT event_count, seal_index, seal_reason, continues::text"
            " FROM countersign.sessions ORDER BY first_index"
        )
        assert await found.fetchall() == [(2, 1, "idle", None), (2, 3, "idle", session)]
