"""`countersign up`: it starts or says in one line why not, stops in time, leaves nothing behind, keeps its records."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from countersign.runtime.parent import launcher_command
from tests.fault.record import assert_whole
from tests.fault.rig import Rig, eventually, new_marker, running_rig
from tests.support.gateway import Gateway, NotReady, Setup, Upstream, free_port, short_folder, wait_until
from tests.support.targets import Steps, answers, event, tool_text

STOP_S = 10.0
REFUSED_S = 30.0


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with running_rig() as running:
        yield running


@contextmanager
def prepared() -> Iterator[Gateway]:
    """A gateway that was never started, in a folder of its own."""
    folder = short_folder()
    try:
        yield Gateway(Setup("http://127.0.0.1:1", {"orders": Upstream("http://127.0.0.1:1/mcp")}), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def refusal(gateway: Gateway, *arguments: str) -> str:
    """Run ``up`` until it ends by itself, with an exit code that is not zero and nothing left behind; what it said."""
    command = [sys.executable, "-m", "countersign.cli.main", "up", "-c", str(gateway.config)]
    command += ["--listen", f"127.0.0.1:{gateway.port}", "--state", str(gateway.state), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=REFUSED_S, check=False)
    assert ended.returncode not in (0, 2), ended
    assert "Traceback" not in ended.stdout + ended.stderr
    assert processes_of(gateway.folder) == []
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1, ended.stderr
    return lines[0]


def processes_of(folder: Path) -> list[str]:
    """The processes whose command line or environment names something below the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
            if process.status() != psutil.STATUS_ZOMBIE and any(str(folder) in word for word in words):
                found.append(f"{process.pid} {process.name()}")
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_it_stops_in_time_and_starts_again_with_all_its_records(rig: Rig, how: signal.Signals) -> None:
    gateway, marker = rig.gateway, new_marker()
    async with rig.target(answers(tool_text("fine"))), rig.caller() as caller:
        assert (await caller.ask(marker)).status_code == 200
        before = rig.record.rows()
        began = time.monotonic()
        assert gateway.stop(how) == 0
        assert time.monotonic() - began < STOP_S
        assert processes_of(gateway.folder) == []
        for part in ("envoy", "authz", "masker", "recorder", "postgres"):
            assert gateway.output().rstrip().splitlines()[-5:].count(f"{part + ':':<13} stopped") == 1
        gateway.start()
        assert (await caller.ask()).status_code == 200
    rows = rig.record.rows()
    assert rows[: len(before)] == before
    assert len(rows) == len(before) + 2
    assert_whole(rows)


async def test_a_stream_that_is_open_does_not_hold_up_the_end(rig: Rig) -> None:
    async with rig.target(answers(tool_text("fine"))) as target, rig.caller() as caller:
        headers = {"accept": "text/event-stream", "authorization": f"Bearer {caller.token}"}
        target.script = Steps([event({"jsonrpc": "2.0", "method": "notifications/x"}), b"never"])
        target.script.release()
        async with caller.http.stream("GET", rig.url, headers=headers) as answer:
            assert answer.status_code == 200
            began = time.monotonic()
            assert rig.gateway.stop() == 0
            assert time.monotonic() - began < STOP_S
    rig.gateway.start()
    rows = rig.record.rows()
    assert [row.kind for row in rows if row.call == rows[-1].call][-1] == "stream_end"


async def test_nothing_stays_behind_when_it_is_killed(rig: Rig) -> None:
    async with rig.target(answers(tool_text("fine"))), rig.caller() as caller:
        assert (await caller.ask()).status_code == 200
        before = rig.record.rows()
        below = rig.gateway.processes()
        assert len(below) >= 6
        below[0].kill()
        await eventually(lambda: not any(alive(process) for process in below), 15, "the end of all parts")
        assert processes_of(rig.gateway.folder) == []
        rig.gateway.stop()
        rig.gateway.start()
        assert (await caller.ask()).status_code == 200
    assert rig.record.rows()[: len(before)] == before


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_state_directory_in_use_is_left_alone(rig: Rig) -> None:
    command = [sys.executable, "-m", "countersign.cli.main", "up", "-c", str(rig.gateway.config)]
    command += ["--listen", f"127.0.0.1:{free_port()}", "--state", str(rig.gateway.state)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=REFUSED_S, check=False)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "is in use by another" in ended.stderr
    async with rig.target(answers(tool_text("fine"))), rig.caller() as caller:
        assert (await caller.ask()).status_code == 200


def test_a_port_that_is_taken_ends_it() -> None:
    with prepared() as gateway, socket.create_server(("127.0.0.1", gateway.port)):
        said = refusal(gateway)
    assert said.startswith("error: ")
    assert str(gateway.port) in said


def test_a_database_that_is_broken_ends_it() -> None:
    with prepared() as gateway:
        data = gateway.state / "postgres"
        data.mkdir(parents=True)
        (data / "PG_VERSION").write_text("18\n")
        assert refusal(gateway).startswith("error: postgres cannot start: ")


def test_a_data_directory_that_is_not_ours_ends_it() -> None:
    with prepared() as gateway:
        data = gateway.state / "postgres"
        data.mkdir(parents=True)
        (data / "holiday.jpg").write_text("not a database")
        assert refusal(gateway).startswith("error: postgres cannot be set up: ")
        assert (data / "holiday.jpg").exists()


def test_a_configuration_that_cannot_be_read_ends_it() -> None:
    with prepared() as gateway:
        gateway.config.unlink()
        assert refusal(gateway).startswith(f"{gateway.config}:1:1: ")


def test_a_configuration_that_would_not_protect_ends_it() -> None:
    with prepared() as gateway:
        text = gateway.config.read_text()
        gateway.config.write_text(text.replace('"groups": "groups"', '"groupz": "groups"'))
        said = refusal(gateway)
    assert said.startswith(str(gateway.config))
    assert "groupz" in said


def test_a_state_directory_whose_path_is_too_long_ends_it() -> None:
    with prepared() as gateway:
        gateway.state = gateway.folder / ("deep" * 30)
        assert "too long a path" in refusal(gateway)


def test_a_state_directory_that_is_a_file_ends_it() -> None:
    with prepared() as gateway:
        gateway.state.write_text("a file")
        assert refusal(gateway).startswith("error: ")


def as_nobody(command: list[str]) -> list[str]:
    """The command under an unprivileged user id.

    Where that user may not even reach the interpreter (a checkout in root's home), it keeps root's access to files and
    nothing else of root: what ``up`` does depends on the user id alone.
    """
    way = [Path(sys.executable).parent, *Path(sys.executable).resolve().parents, Path(__file__).parent]
    reachable = all(folder.stat().st_mode & 0o001 for start in way for folder in (start, *start.parents))
    return launcher_command(command, how=signal.SIGTERM, user="nobody", keep_access=not reachable)


def test_it_runs_without_root(rules_cache: Path) -> None:
    with prepared() as gateway:
        # A cache of its own, since it takes from nobody else; compiled already, since that takes long.
        shutil.copytree(rules_cache, gateway.folder / "cache", ignore=shutil.ignore_patterns("lock"))
        command = [sys.executable, "-m", "countersign.cli.main", "up", "-c", str(gateway.config)]
        command += ["--listen", f"127.0.0.1:{gateway.port}", "--state", str(gateway.state)]
        if os.geteuid() == 0:
            command = as_nobody(command)
            nobody = pwd.getpwnam("nobody")
            for path in (gateway.folder, *gateway.folder.rglob("*")):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        cache = str(gateway.folder / "cache")
        environment = {"PATH": os.environ["PATH"], "HOME": str(gateway.folder), "COUNTERSIGN_CACHE": cache}
        with gateway.log.open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=gateway.folder)
        try:
            wait_until(
                lambda: gateway.says("ready:") or process.poll() is not None, 60, lambda: NotReady(gateway.output())
            )
            assert process.poll() is None, gateway.output()
            below = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            assert len(below) >= 6
            assert all(one.uids().effective != 0 for one in below)
        finally:
            process.terminate()
            assert process.wait(STOP_S) == 0, gateway.output()
        assert processes_of(gateway.folder) == []
