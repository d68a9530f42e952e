"""Demo only: the walk's child processes. They end with the walk, also when it is killed with -9."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from countersign.runtime.parent import launcher_command

_STOP_S = 12.0
_LOOK_EVERY_S = 0.05


class PartFailed(Exception):
    """A part ended, or was not ready in time; the message names it and its log."""


@dataclass(frozen=True, slots=True)
class Part:
    """A child that was started; what it prints goes to ``log``."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def lines(self) -> list[str]:
        """What it printed so far."""
        return self.log.read_text("utf-8", "replace").splitlines()


class Parts:
    """The children in the order in which they were started; ``stop`` ends them in the opposite order."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._parts: list[Part] = []

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Part:
        """Start a child in a process group of its own, so that Ctrl-C reaches the walk alone."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - the walk's own children
                launcher_command(list(command), how=signal.SIGTERM),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=dict(environment),
                start_new_session=True,
            )
        part = Part(name, process, log)
        self._parts.append(part)
        return part

    def wait_ready(self, part: Part, timeout_s: float, show: Callable[[str], None]) -> None:
        """Wait for a line that begins with ``ready:``; hands each line to ``show`` as it comes.

        Raises:
            PartFailed: when the part ends first, or says nothing of the kind in time.
        """
        deadline = time.monotonic() + timeout_s
        shown = 0
        while True:
            ended = part.process.poll() is not None
            lines = part.lines()
            for line in lines[shown:]:
                show(line)
            shown = len(lines)
            if any(line.startswith("ready:") for line in lines):
                return
            if ended:
                last = lines[-1] if lines else "it said nothing"
                raise PartFailed(f"{part.name} ended with {part.process.returncode}: {last} (see {part.log})")
            if time.monotonic() > deadline:
                raise PartFailed(f"{part.name} was not ready within {timeout_s:.0f} s (see {part.log})")
            time.sleep(_LOOK_EVERY_S)

    def ended(self) -> Part | None:
        """A part that ended by itself, if any did."""
        return next((part for part in self._parts if part.process.poll() is not None), None)

    def stop(self) -> list[str]:
        """End all of them; returns the names of those that had to be killed."""
        killed = []
        for part in reversed(self._parts):
            if part.process.poll() is None:
                part.process.send_signal(signal.SIGTERM)
            try:
                part.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(part.process.pid, signal.SIGKILL)
                part.process.wait()
                killed.append(part.name)
        self._parts.clear()
        return killed

    def __enter__(self) -> Parts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def choose_port(wanted: int) -> int:
    """The wanted port of 127.0.0.1 when it is free, else a free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            free: int = probe.getsockname()[1]
            return free
    raise PartFailed("no port of 127.0.0.1 is free")
