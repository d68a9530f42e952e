"""``python -m tests.bench.recorder``: acknowledged events a second, how long they wait, and what they take on disk.

Recorders and Postgres run in processes of their own, the senders here, all on the same machine: all that a recorder
does beside appending runs, too. Takes about 40 s.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psycopg
import uvloop
from rich.console import Console
from rich.table import Table

from countersign.runtime.recording import Recorder
from tests.bench.recorder_figure import EXPECTED, RecorderFigures
from tests.bench.recorder_load import BATCH, Body, call, lone, messages, noise, rows, send, send_to_all
from tests.support.events import request
from tests.support.postgres import Postgres, running_postgres

LONE_EVENTS = 300
# More than can be recorded in a second: what is left over is not sent.
MOST_PER_S = 12_000


@dataclass(frozen=True)
class Details:
    """What else was measured; CPU times in microseconds an event, of one recorder's process and of this one."""

    figures: RecorderFigures
    recorder_cpu_us: float
    sender_cpu_us: float
    postgres_cpu_us: float
    ack_p50_ms: float
    callers_events_per_s: float
    callers_p99_ms: float
    two_p99_ms: float
    lone_p99_ms: float
    commit_p50_ms: float
    recorder_peak_mb: float


def cpu_s(pid: int) -> float:
    """The CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def commit_floor_ms(folder: Path) -> float:
    """What the disk alone takes for a durable write of 4 KiB: the floor of every commit. The median."""
    took = []
    with (folder / "floor").open("wb", buffering=0) as file:
        for _ in range(200):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return sorted(took)[100]


@contextmanager
def running_recorders(dsn: str, count: int) -> Iterator[list[tuple[str, int]]]:
    """So many recorders on one database: their addresses and processes."""
    with tempfile.TemporaryDirectory(prefix="cs-bench-") as folder:
        addresses = [f"unix:{folder}/{number}" for number in range(count)]
        command = [sys.executable, "-m", "tests.fault.recorder.process"]
        processes = [subprocess.Popen([*command, address, dsn]) for address in addresses]
        try:
            yield [(address, one.pid) for address, one in zip(addresses, processes, strict=True)]
        finally:
            for process in processes:
                process.terminate()
                process.wait()


def stored(dsn: str) -> tuple[int, int]:
    """How many events there are, and the bytes of all tables and indexes of the record."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = connection.execute(
            "SELECT (SELECT next_index FROM countersign.head), sum(pg_total_relation_size(c.oid))::bigint"
            " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'countersign' AND c.relkind = 'r'"
        ).fetchone()
    assert found is not None
    return found


async def bytes_stored(address: str, dsn: str, body: Body, seconds: float) -> float:
    """What an event takes on disk."""
    before = stored(dsn)
    await send(address, messages(int(seconds * MOST_PER_S / BATCH), body), seconds)
    after = stored(dsn)
    return (after[1] - before[1]) / (after[0] - before[0])


async def measure_one(address: str, recorder: int, postgres: Postgres, dsn: str, seconds: float) -> Details:
    """All figures of one recorder that runs; those of two are left 0."""
    sender = Recorder(address, queue_events=10_000, queue_bytes=2**27, timeout_s=30)
    await sender.start()
    await sender.record(request())
    await send(address, messages(100, rows), 5)
    ready = messages(int(seconds * MOST_PER_S / BATCH), rows)
    size = stored(dsn)
    theirs, ours, disks = cpu_s(recorder), time.process_time(), postgres.cpu_s()
    sent = await send(address, ready, seconds)
    theirs, ours, disks = cpu_s(recorder) - theirs, time.process_time() - ours, postgres.cpu_s() - disks
    grown = stored(dsn)
    called = await call(sender, seconds / 2)
    alone = await lone(sender, LONE_EVENTS)
    await sender.close()
    packed = (grown[1] - size[1]) / (grown[0] - size[0])
    unpacked = await bytes_stored(address, dsn, noise, seconds / 2)
    return Details(
        figures=RecorderFigures(
            events_per_s=round(sent.per_s),
            ack_p99_ms=round(sent.percentile(99), 1),
            two_events_per_s=0,
            lone_p50_ms=round(alone.percentile(50), 2),
            stored_bytes=round(packed),
            stored_bytes_of_noise=round(unpacked),
        ),
        recorder_cpu_us=round(theirs / sent.events * 1e6, 1),
        sender_cpu_us=round(ours / sent.events * 1e6, 1),
        postgres_cpu_us=round(disks / sent.events * 1e6, 1),
        ack_p50_ms=round(sent.percentile(50), 1),
        callers_events_per_s=round(called.per_s),
        callers_p99_ms=round(called.percentile(99), 1),
        two_p99_ms=0,
        lone_p99_ms=round(alone.percentile(99), 2),
        commit_p50_ms=0,
        recorder_peak_mb=peak_mb(recorder),
    )


async def measure_two(addresses: Sequence[str], seconds: float) -> tuple[float, float]:
    """Acknowledged events a second over two recorders, and the p99 of their acknowledgements."""
    for address in addresses:
        await send(address, messages(50, rows), 5)
    ready = [messages(int(seconds * MOST_PER_S / BATCH / 2), rows) for _ in addresses]
    sent = await send_to_all(addresses, ready, seconds)
    return round(sent.per_s), round(sent.percentile(99), 1)


def peak_mb(pid: int) -> float:
    """The most memory that a process ever held."""
    peak = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return round(int(peak.split()[1]) / 1024, 1)


def show(found: Details) -> None:
    """Print the table."""
    table = Table(title="recorder", box=None)
    for title in ("", "measured", "expected"):
        table.add_column(title, justify="right" if title else "left")
    for one in EXPECTED:
        measured = one.measured(found.figures)
        sign, colour = ("≥" if one.at_least else "≤"), "green" if one.met(measured) else "red"
        table.add_row(one.what, f"[{colour}]{measured:,g} {one.unit}[/]", f"{sign} {one.limit:,g} {one.unit}")
    console = Console()
    console.print(table)
    console.print(
        f"CPU an event: recorder {found.recorder_cpu_us} µs, Postgres {found.postgres_cpu_us} µs, "
        f"sender {found.sender_cpu_us} µs; acknowledged p50 {found.ack_p50_ms} ms; two recorders: p99 "
        f"{found.two_p99_ms} ms; 64 callers: {found.callers_events_per_s:,.0f} events/s, "
        f"p99 {found.callers_p99_ms} ms; "
        f"a lone event: p99 {found.lone_p99_ms} ms (fdatasync alone: {found.commit_p50_ms} ms); "
        f"recorder peak {found.recorder_peak_mb} MB"
    )


def main() -> int:
    """Measure, print, write JSON; 1 when below what is expected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--json", type=Path, default=Path("bench-report/recorder.json"))
    given = parser.parse_args()
    with running_postgres() as postgres:
        dsn = postgres.database()
        with running_recorders(dsn, 1) as [(address, process)]:
            one = uvloop.run(measure_one(address, process, postgres, dsn, given.seconds))
        with running_recorders(postgres.database(), 2) as both:
            per_s, p99_ms = uvloop.run(measure_two([address for address, _ in both], given.seconds))
    with tempfile.TemporaryDirectory(prefix="cs-bench-") as folder:
        floor_ms = commit_floor_ms(Path(folder))
    figures = replace(one.figures, two_events_per_s=per_s)
    found = replace(one, figures=figures, two_p99_ms=p99_ms, commit_p50_ms=round(floor_ms, 2))
    show(found)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(asdict(found), indent=2) + "\n")
    return int(not all(one.met(one.measured(figures)) for one in EXPECTED))


if __name__ == "__main__":
    sys.exit(main())
