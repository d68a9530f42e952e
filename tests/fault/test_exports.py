"""`countersign export run` is killed, its collector refuses, its sinks are edited: nothing is lost, no sink waits."""

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
REFUSED = "gateway.yaml was edited and refused; the version before it stays in force"
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

    def configure(self, **others: object) -> None:
        """Write gateway.yaml with three sinks, or ``others``, as it is edited: from one moment to the next."""
        exports = others or {
            "siem": {"ocsf": {"file": "record.jsonl"}},
            "table": {"csv": {"file": "record.csv"}},
            "logs": self.logs(),
        }
        self.give(CANARY)
        setup = Setup(
            "https://idp.example",
            {"orders": Upstream("http://127.0.0.1:1/mcp")},
            extra={"recording": {"mode": "required", "exports": exports}},
        )
        aside = self.folder / "aside"
        aside.mkdir(exist_ok=True)
        setup.write(aside, "http://127.0.0.1:2").rename(self.folder / "gateway.yaml")

    def give(self, token: str) -> None:
        """Put the collector's token into its file."""
        aside = self.folder / "token.aside"
        aside.touch(mode=0o600)
        aside.write_text(token)
        aside.rename(self.folder / "token")

    def logs(self, token: str = "token") -> dict[str, object]:
        """The sink that leads to the collector."""
        return {"otlp": {"endpoint": self.collector.endpoint, "token": {"file": token}}}

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
        saying = asyncio.ensure_future(self._hear(process.stderr))
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await saying

    async def _hear(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self.said.append(line)

    def heard(self, message: str, sink: str = "") -> int:
        """How often the log said so."""
        told = [json.loads(line) for line in self.said]
        return sum(one.get("message") == message and one.get("sink", "") == sink for one in told)

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

    def lines(self, name: str = "record.jsonl") -> list[str]:
        file = self.folder / name
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


async def test_edits_of_gateway_yaml_are_followed_and_no_event_is_lost_or_skipped(
    postgres: Postgres, collector: Collector, tmp_path: Path
) -> None:
    dsn = postgres.database()
    async with running_recorder(dsn) as (part, address):
        await _record(address, 1)
        await until(lambda: part.log.published_size >= 200)
        exporter = Exporter(tmp_path, dsn, address, collector)
        siem, logs = {"ocsf": {"file": "record.jsonl"}}, exporter.logs()
        collector.refuses_logs = True
        exporter.configure(siem=siem, logs=logs)
        async with exporter.running() as process:
            await until(lambda: len(exporter.lines()) >= 200 and collector.refused_exports > 0)
            # A token that is not there refuses the whole edit, its other sinks included.
            exporter.configure(siem={"ocsf": {"file": "second.jsonl"}}, logs=exporter.logs("missing"))
            await until(lambda: exporter.heard(REFUSED) == 1)
            # One begins and one is led elsewhere, while the third stands still.
            exporter.configure(
                siem={"ocsf": {"file": "second.jsonl"}}, logs=logs, table={"csv": {"file": "record.csv"}}
            )
            await until(lambda: exporter.heard("export ends", "siem") == 1)
            await _record(address, 1)
            await until(lambda: len(exporter.lines("second.jsonl")) >= 200 and len(exporter.lines("record.csv")) > 400)
            assert exporter.heard("export ends", "logs") == 0
            # That one, too, before anything of it was taken, and another is taken out.
            exporter.configure(siem={"ocsf": {"file": "second.jsonl"}}, logs={"csv": {"file": "logs.csv"}})
            await until(lambda: exporter.heard("export ends", "table") == 1)
            left = len(exporter.lines("record.csv"))
            await _record(address, 1)
            await until(lambda: len(exporter.lines("logs.csv")) > EVENTS)
            # Back again, it goes on where it was.
            exporter.configure(siem={"ocsf": {"file": "second.jsonl"}}, table={"csv": {"file": "record.csv"}})
            await until(lambda: len(exporter.lines("record.csv")) > EVENTS)
            await exporter.reach(EVENTS)
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(20):
                assert await process.wait() == 0
        least = min((await exporter.cursors()).values())
    assert 400 < left <= EVENTS
    assert least >= EVENTS
    wanted = await _events(dsn, least)
    first, second = (
        [json.loads(one)["metadata"] for one in exporter.lines(name)] for name in ("record.jsonl", "second.jsonl")
    )
    assert [one["uid"] for one in [*first, *second]][:least] == wanted
    for name in ("record.csv", "logs.csv"):
        with (tmp_path / name).open(newline="") as table:
            assert [row["event_id"] for row in csv.DictReader(table, strict=True)][:least] == wanted
    assert exporter.heard(REFUSED) == 1
    assert CANARY not in b"".join(exporter.said).decode()


async def test_a_token_that_is_renewed_in_its_file_is_taken_up_without_an_edit(
    postgres: Postgres, collector: Collector, tmp_path: Path
) -> None:
    dsn = postgres.database()
    async with running_recorder(dsn) as (part, address):
        await _record(address, 1)
        await until(lambda: part.log.published_size >= 200)
        exporter = Exporter(tmp_path, dsn, address, collector)
        exporter.configure(logs=exporter.logs())
        collector.wants_token = f"{CANARY}-renewed"
        async with exporter.running():
            await until(
                lambda: exporter.heard("export stands still: the collector answered 401, at event 0", "logs") == 1
            )
            # A file that is empty for a while takes nothing down.
            exporter.give("")
            await until(lambda: exporter.heard(REFUSED) == 1)
            assert exporter.heard("export ends", "logs") == 0
            exporter.give(f"{CANARY}-renewed")
            await until(lambda: len(collector.logs) >= 200)
        assert exporter.heard(REFUSED) == 1
    assert CANARY not in b"".join(exporter.said).decode()


def _uid(record: dict[str, object]) -> object:
    attributes = record["attributes"]
    assert isinstance(attributes, list)
    return next(one["value"]["stringValue"] for one in attributes if one["key"] == "log.record.uid")
