"""The load: what is to be sent, and the two generators that can send it, each in a process of its own.

``wrk`` is taken when it is installed. No packaged generator on PyPI is both kept up and whole (they download their
binary when first run, are proprietary, or are slower than this), so without wrk we send by ourselves:
``tests.bench.sender``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Protocol

from tests.bench.figures import Latencies


@dataclass(frozen=True, slots=True)
class Plan:
    """Send this POST from so many clients for so long, each with one kept-alive connection and one call at a time;
    an answer other than 200 with ``expected`` as its body is wrong."""

    port: int
    path: str
    headers: Mapping[str, str]
    body: str
    expected: str
    clients: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a plan: ``calls`` were answered rightly, ``wrong`` were not; ``problem`` describes the first wrong
    answer without its content."""

    calls: int
    wrong: int
    problem: str
    seconds: float
    latencies_us: Mapping[int, int]

    def latencies(self) -> Latencies:
        """The latencies of the calls."""
        return Latencies(self.latencies_us)


class LoadFailed(RuntimeError):
    """The generator itself did not work; the message says how."""


class Generator(Protocol):
    """Carries out plans. ``name`` stands in the report."""

    name: str

    def run(self, plan: Plan) -> Outcome:
        """Carry out the plan. Raises ``LoadFailed``."""
        ...


class OwnSender:
    """Our own generator: raw sockets on uvloop. Calls that are under way at the end are waited for."""

    name = "tests.bench.sender (raw sockets on uvloop)"

    def run(self, plan: Plan) -> Outcome:
        """Carry out the plan. Raises ``LoadFailed``."""
        # By standard input, so that the token is in no command line.
        output = run_to_end([sys.executable, "-m", "tests.bench.sender"], json.dumps(asdict(plan)), plan.seconds)
        return read_outcome(output)


def generator(choice: str) -> Generator:
    """The generator of that name: ``wrk``, ``own``, or ``auto`` for wrk when it is installed.

    Raises:
        LoadFailed: when wrk is asked for and not there.
    """
    from tests.bench.wrk import Wrk  # here, as it is built on this module

    path = shutil.which("wrk")
    if choice == "own" or (choice == "auto" and path is None):
        return OwnSender()
    if path is None:
        raise LoadFailed("wrk is not installed")
    return Wrk(path)


def run_to_end(command: list[str], given: str, seconds: int) -> str:
    """Run a generator and return what it printed. Raises ``LoadFailed``."""
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=seconds + 60, check=False)
    except subprocess.TimeoutExpired:
        raise LoadFailed("the load generator did not end") from None
    if done.returncode != 0:
        raise LoadFailed(f"the load generator ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout


def read_outcome(text: str) -> Outcome:
    """Read the JSON object with the fields of ``Outcome`` in the last line of a generator's output.

    Raises:
        LoadFailed: when there is none.
    """
    try:
        found = json.loads(text.strip().splitlines()[-1])
        return Outcome(
            calls=int(found["calls"]),
            wrong=int(found["wrong"]),
            problem=str(found["problem"]),
            seconds=float(found["seconds"]),
            latencies_us={int(us): int(count) for us, count in found["latencies_us"].items()},
        )
    except (IndexError, KeyError, ValueError, TypeError, AttributeError):
        raise LoadFailed("the load generator's output cannot be read") from None
