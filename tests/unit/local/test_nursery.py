"""What is forked is as if it had been started anew: nothing in it is of others, and its end is seen."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from countersign.local import forked
from countersign.local.child import ChildSpec
from countersign.local.forked import Forked, Nurseries
from countersign.local.process import Process, Spawned
from countersign.local.supervisor import Supervisor
from tests.support import toy_nursery
from tests.support.memory_held import holds
from tests.support.recorders import until
from tests.support.told import Told, is_gone

ALONE = (sys.executable, "-c", "import signal; signal.pause()")
TOYS = (sys.executable, str(toy_nursery.__file__))
WITHIN_S = 20


class Room:
    """A nursery of toys, what it said, and the logs of what it forked."""

    def __init__(self, folder: Path, told: Told, *command: str) -> None:
        self.folder = folder
        self.told = told
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "OF_THE_NURSERY": "1"}
        self.nurseries = Nurseries(command or TOYS, env, folder / "nursery.log", told)

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    async def birth(self, name: str, env: dict[str, str] | None = None, log: str = "") -> Process:
        descriptor = os.open(self.log(log or name), os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        try:
            return await self.nurseries.birth(name, ALONE, env or {}, descriptor)
        finally:
            os.close(descriptor)

    async def found(self, name: str, env: dict[str, str] | None = None) -> dict[str, Any]:
        """What a forked process finds; it runs on."""
        await self.birth("tell", env, name)
        await until(lambda: self.log(name).read_text().endswith("\n"))
        found: dict[str, Any] = json.loads(self.log(name).read_text())
        return found

    async def pid(self) -> int:
        """The nursery's id."""
        return await self.told.pid("nursery")


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def room(tmp_path: Path, told: Told) -> AsyncIterator[Room]:
    room = Room(tmp_path, told)
    yield room
    await room.nurseries.close()


async def ended(process: Process) -> int:
    async with asyncio.timeout(WITHIN_S):
        return await process.ended()


async def test_a_forked_process_tells_how_it_ended_and_what_it_said(room: Room) -> None:
    three, killed = await room.birth("three"), await room.birth("pause")
    assert await ended(three) == 3
    assert room.log("three").read_text() == "it was three\n"
    killed.send_signal(signal.SIGKILL)
    assert await ended(killed) == -signal.SIGKILL
    assert three.is_over
    # It is gone, and its id may be another's: nobody gets this.
    three.send_signal(signal.SIGKILL)


async def test_it_has_the_environment_that_it_was_given_and_nothing_else(room: Room) -> None:
    given = {"SMALL": "1", "EMPTY": "", "EQUAL": "a=b=c", "LINES": "a\nb", "BYTES": "\udcff", "LARGE": "x" * 500_000}
    found = (await room.found("tell", given))["environment"]
    assert found.pop("COUNTERSIGN_PARENT") == str(await room.pid())
    assert found.pop("GRPC_EXPERIMENTS")
    assert found == given


async def test_what_it_was_given_is_in_nobody_elses_memory(room: Room) -> None:
    ours, theirs = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    await room.found("first", {"SECRET": ours})
    await room.found("second", {"SECRET": theirs})
    nursery = psutil.Process(await room.pid())
    first, second = sorted(nursery.children(), key=lambda child: child.pid)
    assert [holds(each.pid, ours) for each in (nursery, first, second)] == [False, True, False]
    assert [holds(each.pid, theirs) for each in (nursery, first, second)] == [False, False, True]
    for each in (nursery, first, second):
        assert {ours, theirs}.isdisjoint(each.environ().values())


async def test_it_has_no_descriptor_but_its_log(room: Room) -> None:
    await room.birth("pause")
    found = (await room.found("tell"))["descriptors"]
    log = str(room.log("tell"))
    assert {name: target for name, target in found.items() if target} == {"0": "/dev/null", "1": log, "2": log}


async def test_it_is_like_a_process_that_was_started_by_itself(room: Room) -> None:
    process = await room.birth("tell")
    await until(lambda: room.log("tell").read_text().endswith("\n"))
    found = json.loads(room.log("tell").read_text())
    assert found["group"] == process.pid
    assert found["parent"] == await room.pid()
    assert found["arguments"] == ["serve", "tell"]
    assert found["collects"]
    fresh = f"import sys; sys.path[:] = {sys.path!r}; from tests.support.toy_nursery import tell; tell()"
    alone = await asyncio.create_subprocess_exec(sys.executable, "-c", fresh, stdout=asyncio.subprocess.PIPE)
    assert alone.stdout is not None
    expected = json.loads(await alone.stdout.readline())
    alone.kill()
    await alone.wait()
    assert (found["signals"], found["handlers"]) == (expected["signals"], expected["handlers"])
    # As people and `pgrep` see it.
    assert psutil.Process(process.pid).cmdline() == ["countersign", "--state", "/toys", "serve", "tell"]


async def test_no_two_draw_the_same_by_chance(room: Room) -> None:
    first, second = [await room.found(name) for name in ("first", "second")]
    assert not set(first["drawn"]) & set(second["drawn"])


async def test_a_nursery_with_threads_does_not_fork(tmp_path: Path, told: Told) -> None:
    room = Room(tmp_path, told, *TOYS, "busy")
    process = await room.birth("pause")
    try:
        assert isinstance(process, Spawned)
        assert await told.line("nursery", "2 threads run") == "2 threads run: pause is run as a program of its own"
    finally:
        process.send_signal(signal.SIGKILL)
        await ended(process)
        await room.nurseries.close()


async def test_where_nothing_can_be_forked_services_run_as_programs_of_their_own(tmp_path: Path, told: Told) -> None:
    room = Room(tmp_path, told, sys.executable, "-c", "raise SystemExit('not today')")
    await room.nurseries.begin()
    process = await room.birth("pause")
    try:
        assert isinstance(process, Spawned)
        assert "pause is run as a program of its own" in await told.line("nursery", "")
        assert "not today" in (tmp_path / "nursery.log").read_text()
    finally:
        process.send_signal(signal.SIGKILL)
        assert await ended(process) == -signal.SIGKILL
        await room.nurseries.close()


async def test_all_that_was_forked_ends_with_the_nursery_and_another_takes_its_place(room: Room, told: Told) -> None:
    children = [await room.birth("pause"), await room.birth("pause")]
    os.kill(await room.pid(), signal.SIGKILL)
    assert [await ended(child) for child in children] == [-signal.SIGTERM] * 2
    assert await told.line("nursery", "ended by signal 9")
    again = await room.birth("pause")
    assert isinstance(again, Forked)
    assert psutil.Process(again.pid).ppid() != await room.pid()


async def test_a_nursery_without_room_for_descriptors_ends_nobody(room: Room, told: Told) -> None:
    child = await room.birth("pause")
    nursery = await room.pid()
    used = {int(name) for name in os.listdir(f"/proc/{nursery}/fd")}
    before = resource.prlimit(nursery, resource.RLIMIT_NOFILE)
    # For none of the two descriptors that come, for one of them, for both and for no third one.
    for first in sorted(set(range(len(used) + 3)) - used)[:3]:
        resource.prlimit(nursery, resource.RLIMIT_NOFILE, (first, before[1]))
        process = await room.birth("pause")
        assert isinstance(process, Spawned)
        process.send_signal(signal.SIGKILL)
        await ended(process)
    assert not child.is_over
    resource.prlimit(nursery, resource.RLIMIT_NOFILE, before)
    again = await room.birth("pause")
    assert isinstance(again, Forked)
    assert psutil.Process(again.pid).ppid() == nursery


async def test_what_was_forked_without_room_for_its_descriptor_is_not_run_twice(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    await room.birth("pause")
    nursery = psutil.Process(await room.pid())
    receive, born = socket.recv_fds, list[psutil.Process]()

    def without(*arguments: Any) -> tuple[bytes, list[int], int, Any]:
        """As the kernel does for who may open no more: the message comes, the descriptor does not."""
        data, descriptors, flags, address = receive(*arguments)
        born.extend(nursery.children())
        for descriptor in descriptors:
            os.close(descriptor)
        return data, [], flags | socket.MSG_CTRUNC, address

    monkeypatch.setattr(socket, "recv_fds", without)
    process = await room.birth("pause")
    monkeypatch.undo()
    try:
        assert isinstance(process, Spawned)
        assert len(born) == 2
        await until(lambda: not any(each.is_running() for each in (nursery, *born)))
    finally:
        process.send_signal(signal.SIGKILL)
        await ended(process)


async def test_an_end_is_seen_also_while_the_nursery_stands_still(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "WORD_S", 0.1)
    child = await room.birth("pause")
    nursery = psutil.Process(await room.pid())
    nursery.suspend()
    child.send_signal(signal.SIGKILL)
    try:
        assert await ended(child) < 0
    finally:
        nursery.resume()


async def test_what_nobody_waits_for_any_more_is_ended(room: Room) -> None:
    await room.birth("pause")
    nursery = psutil.Process(await room.pid())
    nursery.suspend()
    asking = asyncio.ensure_future(room.birth("pause", log="late"))
    await until(lambda: room.log("late").exists())
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    nursery.resume()
    assert isinstance(await room.birth("pause"), Forked)
    await until(lambda: len(nursery.children()) == 2)


@pytest.mark.parametrize("asked", [0, 1], ids=["all are born", "one is not"])
async def test_nothing_is_left_when_it_is_closed(room: Room, asked: int) -> None:
    # Others' tests in this process may have children of their own.
    before = set(psutil.Process().children())
    child = await room.birth("deaf")
    await until(lambda: room.log("deaf").read_text() == "deaf\n")
    nursery = psutil.Process(await room.pid())
    nursery.suspend()
    asking = [asyncio.ensure_future(room.birth("pause", log=f"late {number}")) for number in range(asked)]
    await until(lambda: all(room.log(f"late {number}").exists() for number in range(asked)))
    for each in asking:
        each.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    closing = asyncio.ensure_future(room.nurseries.close())
    nursery.resume()
    await closing
    assert child.is_over
    assert is_gone(child.pid)
    assert not nursery.is_running()
    assert set(psutil.Process().children()) <= before


def spec(room: Room, name: str) -> ChildSpec:
    async def ready() -> bool:
        return True

    return ChildSpec("pause", ALONE, {}, room.log(name), ready, birth=room.nurseries.birth)


async def test_a_forked_part_that_was_killed_runs_again_and_is_stopped(room: Room, told: Told) -> None:
    supervisor = Supervisor(told)
    try:
        await supervisor.start(spec(room, "part"))
        os.kill(await told.pid("pause"), signal.SIGKILL)
        assert await told.line("pause", "ended by signal 9") == "ended by signal 9; restarting in 0.2 s"
        again = await told.pid("pause", "ready again")
    finally:
        await supervisor.stop()
    assert is_gone(again)


async def test_every_forked_part_runs_again_when_the_nursery_was_killed(room: Room, told: Told) -> None:
    supervisor = Supervisor(told)
    try:
        await supervisor.start(spec(room, "one"), spec(room, "two"))
        os.kill(await room.pid(), signal.SIGKILL)
        await until(lambda: sum(what.startswith("ready again") for _, what in told.lines) == 2)
        pids = [int(what.rpartition("pid ")[2].rstrip(")")) for _, what in told.lines if "ready again" in what]
        (parent,) = {psutil.Process(pid).ppid() for pid in pids}
        assert parent != await room.pid()
    finally:
        await supervisor.stop()
    assert all(map(is_gone, pids))
