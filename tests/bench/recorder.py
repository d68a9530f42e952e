"""``python -m tests.bench.recorder``: acknowledged events a second, and how long a lone event waits.

Recorder and Postgres run in processes of their own, sender and load here, all on the same machine. Takes about 20 s.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc
import uvloop
from rich.console import Console
from rich.table import Table

from countersign.api.recorder.v1 import recorder_pb2, recorder_pb2_grpc
from countersign.runtime.recording import Recorder, to_message
from tests.support.events import new_id, request
from tests.support.postgres import running_postgres

EXPECTED_PER_S = 5_000
BODY = b"x" * 600
BATCH = 32
LONE_EVENTS = 500


@dataclass(frozen=True)
class Figures:
    """What was measured; CPU times in microseconds an event, of the recorder's process and of this one."""

    events_per_s: float
    recorder_cpu_us: float
    sender_cpu_us: float
    callers_events_per_s: float
    callers_recorder_cpu_us: float
    callers_sender_cpu_us: float
    lone_p50_ms: float
    lone_p99_ms: float
    commit_p50_ms: float
    recorder_peak_mb: float


def cpu_s(pid: int) -> float:
    """The CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def batches(address: str, seconds: float) -> int:
    """Send ready-made messages of 32 over one stream, eight under way; return how many events were acknowledged."""
    async with grpc.aio.insecure_channel(address) as channel:
        stream = recorder_pb2_grpc.RecorderServiceStub(channel).Append(wait_for_ready=True)
        ahead = asyncio.Semaphore(8)
        sessions = [new_id() for _ in range(16)]
        ends = time.monotonic() + seconds
        sent = 0

        async def send() -> None:
            nonlocal sent
            while time.monotonic() < ends:
                await ahead.acquire()
                events = [to_message(request(sessions[number % 16], body=BODY)) for number in range(BATCH)]
                await stream.write(recorder_pb2.AppendRequest(batch_id=sent, events=events))
                sent += 1
            await stream.done_writing()

        sending = asyncio.ensure_future(send())
        answered = 0
        async for answer in stream:
            assert not answer.refusals
            answered += 1
            ahead.release()
        await sending
        return answered * BATCH


async def callers(sender: Recorder, seconds: float, count: int = 64) -> int:
    """``count`` callers, each waiting for its event before the next; return how many were acknowledged."""
    ends = time.monotonic() + seconds

    async def one() -> int:
        session = new_id()
        done = 0
        while time.monotonic() < ends:
            await sender.record(request(session, body=BODY))
            done += 1
        return done

    return sum(await asyncio.gather(*[one() for _ in range(count)]))


async def lone(sender: Recorder) -> list[float]:
    """Milliseconds of single events, one after the other, sorted."""
    session = new_id()
    took = []
    for _ in range(LONE_EVENTS):
        event = request(session, body=BODY)
        began = time.perf_counter()
        await sender.record(event)
        took.append((time.perf_counter() - began) * 1000)
    return sorted(took)


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


async def measure(address: str, recorder: int, seconds: float, folder: Path) -> Figures:
    """All figures of a recorder that runs."""
    sender = Recorder(address, queue_events=10_000, queue_bytes=2**27, timeout_s=30)
    await sender.start()
    await sender.record(request())
    await batches(address, 1)

    theirs, ours, began = cpu_s(recorder), time.process_time(), time.monotonic()
    events = await batches(address, seconds)
    per_s = events / (time.monotonic() - began)
    theirs_us, ours_us = (cpu_s(recorder) - theirs) / events * 1e6, (time.process_time() - ours) / events * 1e6

    theirs, ours, began = cpu_s(recorder), time.process_time(), time.monotonic()
    called = await callers(sender, seconds)
    callers_per_s = called / (time.monotonic() - began)
    called_theirs, called_ours = (cpu_s(recorder) - theirs) / called * 1e6, (time.process_time() - ours) / called * 1e6

    took = await lone(sender)
    await sender.close()
    peak = next(line for line in Path(f"/proc/{recorder}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return Figures(
        events_per_s=round(per_s),
        recorder_cpu_us=round(theirs_us, 1),
        sender_cpu_us=round(ours_us, 1),
        callers_events_per_s=round(callers_per_s),
        callers_recorder_cpu_us=round(called_theirs, 1),
        callers_sender_cpu_us=round(called_ours, 1),
        lone_p50_ms=round(took[len(took) // 2], 2),
        lone_p99_ms=round(took[len(took) * 99 // 100], 2),
        commit_p50_ms=round(commit_floor_ms(folder), 2),
        recorder_peak_mb=round(int(peak.split()[1]) / 1024, 1),
    )


def show(figures: Figures) -> None:
    """Print the table."""
    table = Table(title="recorder", box=None)
    for title in ("", "events/s", "recorder CPU µs", "sender CPU µs"):
        table.add_column(title, justify="right" if title else "left")
    one = figures
    table.add_row(f"{BATCH} a message", f"{one.events_per_s:,.0f}", f"{one.recorder_cpu_us}", f"{one.sender_cpu_us}")
    row = (f"{one.callers_events_per_s:,.0f}", f"{one.callers_recorder_cpu_us}", f"{one.callers_sender_cpu_us}")
    table.add_row("64 callers", *row)
    console = Console()
    console.print(table)
    console.print(
        f"a lone event: p50 {one.lone_p50_ms} ms, p99 {one.lone_p99_ms} ms "
        f"(fdatasync alone: {one.commit_p50_ms} ms); recorder peak {one.recorder_peak_mb} MB"
    )


def main() -> int:
    """Measure, print, write JSON; 1 when below what is expected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each of the two loads")
    parser.add_argument("--json", type=Path, default=Path("bench-report/recorder.json"))
    given = parser.parse_args()
    with running_postgres() as postgres, tempfile.TemporaryDirectory(prefix="cs-bench-") as folder:
        address = f"unix:{folder}/s"
        command = [sys.executable, "-m", "tests.fault.recorder.process", address, postgres.database()]
        recorder = subprocess.Popen(command)
        try:
            figures = uvloop.run(measure(address, recorder.pid, given.seconds, Path(folder)))
        finally:
            recorder.terminate()
            recorder.wait()
    show(figures)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(asdict(figures), indent=2) + "\n")
    return int(figures.events_per_s < EXPECTED_PER_S)


if __name__ == "__main__":
    sys.exit(main())
