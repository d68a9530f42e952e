"""Starts the reference servers, each a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.gateway import free_port, wait_until
from tests.support.node import NODE

PYTHON = "python"
TYPESCRIPT = "typescript"
SERVERS = (PYTHON, TYPESCRIPT)
READY_S = 60.0

_TYPESCRIPT = Path(__file__).parent / "servers" / "typescript_reference.mjs"


@dataclass(frozen=True, slots=True)
class RunningReference:
    """A reference server that answers at ``url``."""

    name: str
    url: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """The processor time that it took so far (seconds)."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def running_reference(name: str) -> Iterator[RunningReference]:
    """The reference server of this name, until it is left."""
    port = str(free_port())
    if name == PYTHON:
        command: list[str | Path] = [sys.executable, "-m", "tests.conformance.servers.python_reference", port]
    else:
        command = [NODE, _TYPESCRIPT, port]
    with tempfile.TemporaryFile("w+") as log:

        def said() -> str:
            log.seek(0)
            return log.read()

        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            wait_until(
                lambda: process.poll() is not None or "ready:" in said(), READY_S, lambda: AssertionError(said())
            )
            assert process.poll() is None, said()
            yield RunningReference(name, f"http://127.0.0.1:{port}/mcp", psutil.Process(process.pid))
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:  # streams that nobody ends
                process.kill()
                process.wait(10)
