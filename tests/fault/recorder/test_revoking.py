"""kill -9 at each step of revoking and lifting: either nothing happened, or all of it did once a recorder is back."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import IO

import psycopg
import pytest

from countersign.model.revocation import RevocationKind
from countersign.recorder.audit import AuditTrail
from countersign.recorder.committer import Committer
from countersign.recorder.revocations.book import RevocationBook
from countersign.recorder.revocations.events import By
from countersign.recorder.revocations.store import PostgresRevocationStore
from countersign.recorder.store import PostgresAppendStore
from countersign.runtime.moments import now_us
from tests.fault.recorder.mortal_revoking import ISSUER, revoked
from tests.support.events import ALICE
from tests.support.postgres import Postgres
from tests.support.postgres import postgres as postgres
from tests.support.recorded import migrated

# Every third: each transaction has some.
STEPS = range(1, 40, 3)


class Recorders:
    """Recorders that die when they are told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._orders: IO[str] = process.stdin
        self._answers: IO[str] = process.stdout

    def live(self, die_at: int, value: str, lift: str = "") -> tuple[int, bool]:
        """Have one revoke, or lift; return how it ended, and whether it answered."""
        self._orders.write(json.dumps({"die_at": die_at, "value": value, "lift": lift}) + "\n")
        self._orders.flush()
        answered = False
        while not (line := self._answers.readline().rstrip()).startswith("ended"):
            assert line == "done", "the process is gone"
            answered = True
        return int(line.removeprefix("ended ")), answered


@dataclass
class Survivor:
    """The recorder that is there afterwards."""

    dsn: str
    store: PostgresRevocationStore
    book: RevocationBook

    async def in_force(self, value: str) -> list[str]:
        found = await self.store.find(RevocationKind.PRINCIPAL, ISSUER, value)
        return [one.revocation.revocation_id for one in found]

    def told(self, value: str, method: str) -> int:
        """How often the record says it."""
        with psycopg.connect(self.dsn) as connection:
            row = connection.execute(
                "SELECT count(*) FROM countersign.events WHERE kind = 15 AND name = %s AND method = %s", (value, method)
            ).fetchone()
        assert row is not None
        count: int = row[0]
        return count


@pytest.fixture
async def dsn(postgres: Postgres) -> str:
    return await migrated(postgres.database())


@pytest.fixture
async def survivor(dsn: str) -> AsyncIterator[Survivor]:
    record = PostgresAppendStore(dsn)
    await record.open()
    store = PostgresRevocationStore(dsn)
    committer = Committer(record, queue_events=100, queue_bytes=2**20)
    running = asyncio.ensure_future(committer.run())
    yield Survivor(dsn, store, RevocationBook(store, AuditTrail(committer).append_message, clock_us=now_us))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()
    await record.close()


@pytest.fixture
def recorders(dsn: str) -> Iterator[Recorders]:
    command = [sys.executable, "-m", "tests.fault.recorder.mortal_revoking", dsn]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Recorders(process)
        process.kill()


async def test_killed_while_it_revokes_it_did_nothing_or_all_of_it(recorders: Recorders, survivor: Survivor) -> None:
    outcomes: list[tuple[bool, bool]] = []
    for die_at in STEPS:
        value = f"s-{uuid.uuid4()}"
        end, answered = recorders.live(die_at, value)
        in_force = bool(await survivor.in_force(value))
        # What the record says is in force.
        assert survivor.told(value, "Revoke") <= in_force
        await survivor.book.tend(older_than_s=0)
        assert (bool(await survivor.in_force(value)), survivor.told(value, "Revoke")) == (in_force, int(in_force))
        assert await survivor.book.tend(older_than_s=0) == 0
        assert in_force or not answered
        outcomes.append((answered, in_force))
        if end != -signal.SIGKILL:
            break
    # Some died before anything was done, some after it was in force and before they could say so, and one lived.
    assert set(outcomes) == {(False, False), (False, True), (True, True)}


async def test_killed_while_it_lifts_nothing_is_lifted_that_the_record_does_not_say(
    recorders: Recorders, survivor: Survivor
) -> None:
    outcomes: list[tuple[bool, bool]] = []
    for die_at in STEPS:
        value = f"s-{uuid.uuid4()}"
        await survivor.book.revoke([revoked(value)], By(ALICE))
        [revocation_id] = await survivor.in_force(value)
        end, answered = recorders.live(die_at, value, lift=revocation_id)
        in_force = bool(await survivor.in_force(value))
        assert in_force or survivor.told(value, "LiftRevocation") == 1
        assert not (answered and in_force)
        await survivor.book.tend(older_than_s=0)
        in_force = bool(await survivor.in_force(value))
        assert survivor.told(value, "LiftRevocation") == (not in_force)
        outcomes.append((answered, in_force))
        if end != -signal.SIGKILL:
            break
    assert set(outcomes) == {(False, True), (False, False), (True, False)}
