"""Whatever was started is stopped, also when the others do not start, are cancelled, or end by themselves."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from countersign.local.child import CannotStart, ChildSpec
from countersign.local.supervisor import Supervisor
from tests.support.recorders import until
from tests.support.told import Told, is_gone

FOREVER = (sys.executable, "-c", "import signal; signal.pause()")


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def supervisor(told: Told) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(told)
    yield supervisor
    await supervisor.stop()


def spec(folder: Path, name: str, *, ready: bool = True, command: tuple[str, ...] = FOREVER) -> ChildSpec:
    async def probe() -> bool:
        return ready

    return ChildSpec(name, command, {"PATH": os.environ["PATH"]}, folder / f"{name}.log", probe)


async def test_what_is_ready_is_stopped_when_the_start_of_others_is_cancelled(
    supervisor: Supervisor, told: Told, tmp_path: Path
) -> None:
    starting = asyncio.ensure_future(supervisor.start(spec(tmp_path, "fast"), spec(tmp_path, "slow", ready=False)))
    pid = await told.pid("fast")
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await supervisor.stop()
    assert is_gone(pid)


async def test_what_is_begun_later_is_tried_until_it_starts_and_stopped_with_the_others(
    supervisor: Supervisor, told: Told, tmp_path: Path
) -> None:
    flag = tmp_path / "now"
    script = f"import pathlib, signal; pathlib.Path({str(flag)!r}).exists() or exit('not yet'); signal.pause()"
    late = spec(tmp_path, "late", command=(sys.executable, "-c", script))

    async def ready() -> bool:
        return flag.exists()

    supervisor.begin(replace(late, ready=ready))
    assert "not yet" in await told.line("late", "late cannot start")
    flag.touch()
    pid = await told.pid("late")
    await supervisor.stop()
    assert is_gone(pid)


async def test_the_last_started_is_stopped_first_but_for_the_one_that_is_named(
    supervisor: Supervisor, told: Told, tmp_path: Path
) -> None:
    await supervisor.start(spec(tmp_path, "one"), spec(tmp_path, "two"))
    await supervisor.start(spec(tmp_path, "three"))
    await supervisor.stop("one")
    assert [name for name, what in told.lines if what == "stopped"] == ["one", "three", "two"]


async def test_what_is_ready_is_stopped_when_another_does_not_start(
    supervisor: Supervisor, told: Told, tmp_path: Path
) -> None:
    broken = spec(tmp_path, "broken", ready=False, command=(sys.executable, "-c", "raise SystemExit('no disk')"))
    with pytest.raises(CannotStart, match="no disk"):
        await supervisor.start(spec(tmp_path, "sound"), broken)
    pid = await told.pid("sound")
    await supervisor.stop()
    assert is_gone(pid)


async def test_a_part_that_was_killed_runs_again_and_is_stopped(
    supervisor: Supervisor, told: Told, tmp_path: Path
) -> None:
    await supervisor.start(spec(tmp_path, "part"))
    os.kill(await told.pid("part"), 9)
    again = await told.pid("part", "ready again")
    await supervisor.stop()
    assert is_gone(again)


async def test_a_renewed_part_runs_as_it_is_now_said_and_the_others_go_on(
    supervisor: Supervisor, told: Told, tmp_path: Path
) -> None:
    await supervisor.start(spec(tmp_path, "part"), spec(tmp_path, "other"))
    old, other = await told.pid("part"), await told.pid("other")
    renewed = replace(spec(tmp_path, "part"), env={"PATH": os.environ["PATH"], "MORE": "1"})
    await supervisor.renew(renewed)
    now = await told.pid("part", "ready again")
    assert is_gone(old)
    assert not is_gone(other)
    # A process has its environment once it runs its program, a moment after it has its id.
    await until(lambda: psutil.Process(now).environ().get("MORE") == "1")


async def test_who_relies_on_another_is_stopped_before_it_whichever_was_ready_first(
    supervisor: Supervisor, told: Told, tmp_path: Path
) -> None:
    async def late() -> bool:
        return any(name == "reliant" for name, _ in told.lines)

    await supervisor.start(spec(tmp_path, "database"))
    await supervisor.start(replace(spec(tmp_path, "recorder"), ready=late), spec(tmp_path, "reliant"))
    await supervisor.start(spec(tmp_path, "door"))
    await supervisor.stop()
    stopped = [name for name, what in told.lines if what == "stopped"]
    assert stopped == ["door", "reliant", "recorder", "database"]


async def test_a_part_is_tried_again_when_even_its_log_cannot_be_opened(
    supervisor: Supervisor, told: Told, tmp_path: Path
) -> None:
    await supervisor.start(spec(tmp_path, "part"))
    log = tmp_path / "part.log"
    log.unlink()
    log.mkdir()
    os.kill(await told.pid("part"), 9)
    await told.line("part", "part cannot be started")
    log.rmdir()
    await told.pid("part", "ready again")


async def test_stopping_while_a_part_is_restarted_leaves_nothing(
    supervisor: Supervisor, told: Told, tmp_path: Path
) -> None:
    marker = tmp_path / "pids"
    code = f"import os,signal; open({str(marker)!r}, 'a').write(str(os.getpid()) + chr(10)); signal.pause()"

    async def ready() -> bool:
        # Only the first process ever becomes ready.
        return marker.exists() and len(marker.read_text().splitlines()) == 1

    part = ChildSpec("part", (sys.executable, "-c", code), {}, tmp_path / "part.log", ready)
    await supervisor.start(part)
    os.kill(await told.pid("part"), 9)
    async with asyncio.timeout(10):
        while len(marker.read_text().splitlines()) < 2:  # noqa: ASYNC110 - a file has no event to wait for
            await asyncio.sleep(0.01)
    await supervisor.stop()
    assert all(is_gone(int(pid)) for pid in marker.read_text().splitlines())


async def test_the_end_of_each_is_seen_however_few_threads_the_loop_has(
    supervisor: Supervisor, told: Told, tmp_path: Path
) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    for name in ("one", "two", "three"):
        await supervisor.start(spec(tmp_path, name))
    os.kill(await told.pid("three"), 9)
    await told.line("three", "ready again")
    async with asyncio.timeout(10):
        await supervisor.stop("three")
    assert [name for name, what in told.lines if what == "stopped"] == ["three", "two", "one"]
