"""`countersign demo` as a newcomer runs it: every step as told, and nothing left behind however it ends."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from countersign.demo.places import SEAL_AFTER_S
from tests.support.gateway import free_port, short_folder, wait_until

READY_S = 60.0
# It waits until a session is sealed.
WALK_S = 90.0 + SEAL_AFTER_S
GONE_S = 15.0


class Demo:
    """A demo in a process of its own; ``children`` are all processes below it that were ever seen."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.state = folder / "demo"
        self.log = folder / "demo.log"
        command = [sys.executable, "-m", "countersign.cli.main", "demo", "--state", str(self.state)]
        command += ["--listen", f"127.0.0.1:{free_port()}", *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.children: set[psutil.Process] = set()

    def output(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def wait_for(self, text: str, timeout_s: float) -> None:
        def said() -> bool:
            self.look()
            return text in self.output() or self.process.poll() is not None

        # Each look goes through all processes of the machine.
        wait_until(said, timeout_s, lambda: AssertionError(self.output()), every_s=0.2)
        if text not in self.output():
            pytest.fail(f"the demo did not say {text!r}, but:\n{self.output()}")

    def look(self) -> None:
        try:
            self.children |= set(psutil.Process(self.process.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return

    def assert_gone(self) -> None:
        _, left = psutil.wait_procs(list(self.children), timeout=GONE_S)
        assert self.children, "nothing was ever started"
        assert [process.pid for process in left] == []


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = short_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(2 * (READY_S + WALK_S))
def test_every_step_is_as_told_twice_and_nothing_is_left(folder: Path) -> None:
    for _ in range(2):
        demo = Demo(folder, "--once")
        demo.wait_for("Every step was as told.", WALK_S)
        assert demo.process.wait(GONE_S) == 0
        demo.assert_gone()
        assert "✗" not in demo.output()
    for person in ("alice", "bob", "carol"):
        assert (demo.state / f"{person}.token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_it_is_ended_midway(folder: Path, how: signal.Signals) -> None:
    demo = Demo(folder, "--once")
    demo.wait_for("authz:", READY_S)
    demo.process.send_signal(how)
    assert demo.process.wait(GONE_S) == (-how if how is signal.SIGKILL else 130)
    demo.assert_gone()


def test_a_part_that_cannot_start_ends_it_with_one_line_that_says_why(folder: Path) -> None:
    (folder / "demo").mkdir()
    (folder / "demo" / "gateway").write_text("not a directory")
    demo = Demo(folder, "--once")
    assert demo.process.wait(READY_S) == 1
    assert "the demo cannot go on: up ended with 1" in demo.output()
    assert "Traceback" not in demo.output()


@pytest.mark.parametrize("listen", ["8080x", "nonsense"])
def test_an_address_that_is_none_is_a_usage_error(folder: Path, listen: str) -> None:
    demo = Demo(folder, "--listen", listen)
    assert demo.process.wait(READY_S) == 2
    assert "HOST:PORT" in demo.output()
