"""kill -9 between each pair of steps of the write path: what was acknowledged is there, once, and the log is whole."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO

import psycopg
import pytest

from countersign.audit import verify_dump
from countersign.config.types import Recording
from countersign.model.event import Event
from countersign.recorder.entry import to_event
from countersign.recorder.log.identity import LogIdentity
from countersign.recorder.log.room import LogRoom
from countersign.recorder.proofs.dumping import files
from countersign.recorder.proofs.store import PostgresLeafStore
from countersign.runtime.recording import to_message
from countersign.tlog import TrustPolicy, parse_policy
from tests.support.audited import Folder
from tests.support.events import new_id, request
from tests.support.log_keys import log_key
from tests.support.postgres import Postgres
from tests.support.postgres import postgres as postgres
from tests.support.recorders import assert_whole, running_recorder, until

STEPS = range(1, 53)
FEW, MANY = 3, 12


class Recorders:
    """Recorders that die when they are told; what each of them acknowledged, and what has to be sent again."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._orders: IO[str] = process.stdin
        self._answers: IO[str] = process.stdout
        self.acknowledged: dict[str, Event] = {}
        self.waiting: list[Event] = []
        self._session = new_id()

    def live(self, die_at: int, count: int) -> int:
        """Send what is not acknowledged yet, then more in two batches; return how the recorder ended."""
        fresh = [request(self._session if at % 2 else None, body=new_id().encode()) for at in range(count)]
        batches = [self.waiting + fresh[:1], fresh[1:]]
        sent = {event.event_id: event for batch in batches for event in batch}
        texts = [[base64.b64encode(to_message(event).SerializeToString()).decode() for event in one] for one in batches]
        self._orders.write(json.dumps({"die_at": die_at, "batches": texts}) + "\n")
        self._orders.flush()
        while not (line := self._answers.readline().rstrip()).startswith("ended"):
            assert line, "the process is gone"
            self.acknowledged[line] = sent.pop(line)
        self.waiting = list(sent.values())
        return int(line.removeprefix("ended "))


@pytest.fixture
def dsn(postgres: Postgres) -> str:
    return postgres.database()


@pytest.fixture
def recorders(dsn: str, tmp_path: Path) -> Iterator[Recorders]:
    (tmp_path / "state").touch(0o600)
    command = [sys.executable, "-m", "tests.fault.recorder.mortal", dsn, str(tmp_path / "state")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Recorders(process)
        process.kill()


async def test_recorder_killed_between_any_two_steps_loses_and_doubles_nothing(
    recorders: Recorders, dsn: str, tmp_path: Path
) -> None:
    assert recorders.live(10**6, FEW) == 0
    ends = [recorders.live(die_at, count) for die_at in STEPS for count in (FEW, MANY)]
    assert ends.count(-signal.SIGKILL) >= 100
    assert set(ends) <= {-signal.SIGKILL, 0}
    assert recorders.live(10**6, FEW) == 0
    assert recorders.waiting == []
    await assert_whole(dsn, list(recorders.acknowledged))
    identity = LogIdentity((log_key(),), tmp_path / "state")
    async with running_recorder(dsn, log=identity) as (part, _):
        await until(lambda: part.log.published_size == len(recorders.acknowledged) == part.log.recorded_size)
        assert part.log.stopped == ""
    report = verify_dump(await dumped(dsn, identity), policy(), now_s=int(time.time()))
    assert report.events == len(recorders.acknowledged)
    assert_said_as_sent(dsn, recorders.acknowledged)


async def dumped(dsn: str, identity: LogIdentity) -> Folder:
    """The whole log as an auditor gets it."""
    tree, leaves = LogRoom(dsn, identity, Recording), PostgresLeafStore(dsn)
    try:
        published = await tree.published(identity.origin)
        assert published is not None
        return Folder({path: content async for path, content in files(published, tree, leaves)})
    finally:
        await leaves.close()
        await tree.close()


def policy() -> TrustPolicy:
    """Trust in the log's key alone."""
    return parse_policy(f"log {log_key().verifier}\nquorum none\n")


def assert_said_as_sent(dsn: str, acknowledged: dict[str, Event]) -> None:
    """Each leaf and body is what its sender sent."""
    with closing(psycopg.connect(dsn)) as connection:
        found = connection.execute(
            "SELECT e.event_id::text, e.record, substr(b.content, 33) FROM countersign.events AS e"
            " JOIN countersign.bodies AS b USING (index)"
        ).fetchall()
    assert {event_id: to_event(record, body) for event_id, record, body in found} == {
        event_id: to_message(event) for event_id, event in acknowledged.items()
    }
