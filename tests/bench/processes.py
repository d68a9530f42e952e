"""Processes of the benchmark: how they start and end, what CPU time they spend and what memory they needed."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from countersign.runtime.parent import launcher_command

_STOP_S = 10.0
_HIGH_WATER = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


@contextmanager
def started(command: Sequence[str], *, stdout: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block, and also when we are killed."""
    launched = launcher_command(list(command), how=signal.SIGTERM)
    with subprocess.Popen(
        launched, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.DEVNULL, process_group=0
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def cpu_s(roots: Mapping[str, psutil.Process]) -> dict[str, float]:
    """CPU seconds, user and system, that each process and all below it have spent.

    Raises:
        psutil.NoSuchProcess: when one of ``roots`` is gone.
    """
    return {name: sum(_spent(process) for process in _tree(root)) for name, root in roots.items()}


def spent_between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was spent between two readings."""
    return {name: after[name] - before[name] for name in before}


def peak_mb(root: psutil.Process) -> float:
    """The largest resident memory (MB of 10^6 bytes) that the process, or one below it, has had so far."""
    return max(_high_water_kib(process.pid) for process in _tree(root)) * 1024 / 1e6


def _tree(root: psutil.Process) -> list[psutil.Process]:
    return [root, *root.children(recursive=True)]


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _high_water_kib(pid: int) -> int:
    match = _HIGH_WATER.search(Path(f"/proc/{pid}/status").read_text("ascii", "replace"))
    return int(match[1]) if match is not None else 0
