"""`countersign export run` is killed, and its collector refuses: nothing is lost, nothing waits for another sink."""

from __future__ import annotations

import asyncio
import base64
import csv
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from countersign.runtime.sealing import KEY_BYTES
from tests.support.collector import Collector, running_collector
from tests.support.events import new_id, request, response
from tests.support.gateway import Setup, Upstream
from tests.support.postgres import Postgres
from tests.support.postgres import postgres as postgres
from tests.support.recorders import running_recorder, running_sender, until

EVENTS = 600
CANARY = "canary-" + "q7" * 6


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as one:
        yield one


@dataclass
class Exporter:
    """A process that exports, and where to."""

    folder: Path
    dsn: str
    recorder: str
    collector: Collector
    said: list[bytes] = field(default_factory=list)

    def configure(self) -> None:
        exports = {
            "siem": {"ocsf": {"file": "record.jsonl"}},
            "table": {"csv": {"file": "record.csv"}},
            "logs": {"otlp": {"endpoint": self.collector.endpoint, "token": {"file": "token"}}},
        }
        token = self.folder / "token"
        token.touch(mode=0o600)
        token.write_text(CANARY)
        setup = Setup(
            "https://idp.example",
            {"orders": Upstream("http://127.0.0.1:1/mcp")},
            extra={"recording": {"mode": "required", "exports": exports}},
        )
        setup.write(self.folder, "http://127.0.0.1:2")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """The process; killed at the end unless it ended itself."""
        await self.expire()
        env = {
            **os.environ,
            "COUNTERSIGN_CONFIG": str(self.folder / "gateway.yaml"),
            "COUNTERSIGN_RECORDER": self.recorder,
            "COUNTERSIGN_KEY": base64.b64encode(bytes(KEY_BYTES)).decode(),
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "countersign.cli.main", "export", "run"),
            env=env,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        saying = asyncio.ensure_future(process.stderr.read())
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            self.said.append(await saying)

    async def expire(self) -> None:
        """Let the time pass for which a killed run had its sinks."""
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
            await connection.execute("UPDATE countersign.sinks SET lent_until = now() - interval '1 s'")

    async def cursors(self) -> dict[str, int]:
        async with await psycopg.AsyncConnection.connect(self.dsn) as connection:
            return dict(await (await connection.execute("SELECT name, next_index FROM countersign.sinks")).fetchall())

    async def reach(self, index: int) -> None:
        """Return when each of the three sinks has all below an index."""
        async with asyncio.timeout(30):
            while sum(cursor >= index for cursor in (await self.cursors()).values()) < 3:  # noqa: ASYNC110 - as until()
                await asyncio.sleep(0.02)

    def lines(self) -> list[str]:
        file = self.folder / "record.jsonl"
        return file.read_text().splitlines() if file.exists() else []


async def _events(dsn: str, below: int) -> list[str]:
    """The ids of all events below an index, in order."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        found = await connection.execute(
            "SELECT event_id::text FROM countersign.events WHERE index < %s ORDER BY index", (below,)
        )
        return [row[0] for row in await found.fetchall()]


async def _record(address: str, sessions: int) -> None:
    """Sessions of a hundred calls each."""
    async with running_sender(address) as sender:
        for _ in range(sessions):
            session = new_id()
            body = f'{{"note":"{CANARY}"}}'.encode()
            await asyncio.gather(
                *[sender.record(request(session, body=body)) for _ in range(100)],
                *[sender.record(response(session, body=body)) for _ in range(100)],
            )


async def test_killed_and_begun_again_it_loses_nothing_and_no_sink_waits_for_another(
    postgres: Postgres, collector: Collector, tmp_path: Path
) -> None:
    dsn = postgres.database()
    async with running_recorder(dsn) as (part, address):
        await _record(address, 2)
        await until(lambda: part.log.published_size >= 400)
        exporter = Exporter(tmp_path, dsn, address, collector)
        exporter.configure()
        collector.refuses_logs = True
        async with exporter.running() as process:
            # The files go on while the collector refuses; then it dies wherever it is.
            await until(lambda: bool(exporter.lines()) and collector.refused_exports > 0)
            process.kill()
        assert (await exporter.cursors())["logs"] == 0
        with (tmp_path / "record.jsonl").open("a") as file:
            file.write('{"half a li')

        # The file may have had all by then: what it is cut for is the next line.
        await _record(address, 1)
        collector.refuses_logs = False
        async with exporter.running() as process:
            await until(lambda: len(collector.logs) >= EVENTS)
            # No sink waits for another: whichever is the last.
            await exporter.reach(EVENTS)
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(20):
                assert await process.wait() == 0
        cursors = await exporter.cursors()
        least = min(cursors.values())
        published = part.log.published_size
    wanted = await _events(dsn, least)
    assert least >= EVENTS
    assert max(cursors.values()) <= published
    # Each line whole, each event there, those that came twice the same, and nothing that is not of the record.
    siem = [json.loads(line) for line in exporter.lines()]
    with (tmp_path / "record.csv").open(newline="") as table:
        rows = list(csv.DictReader(table, strict=True))
    for ids in (
        [one["metadata"]["uid"] for one in siem],
        [row["event_id"] for row in rows],
        [_uid(record) for record in collector.logs],
    ):
        assert list(dict.fromkeys(ids))[:least] == wanted
    assert len({json.dumps(one) for one in siem}) == len({one["metadata"]["uid"] for one in siem})
    shown = b"".join(exporter.said).decode() + "".join(exporter.lines()) + "".join(collector.received)
    assert CANARY not in shown


def _uid(record: dict[str, object]) -> object:
    attributes = record["attributes"]
    assert isinstance(attributes, list)
    return next(one["value"]["stringValue"] for one in attributes if one["key"] == "log.record.uid")
