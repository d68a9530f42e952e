"""Runs the public suite (npm ``@modelcontextprotocol/conformance``) against one address, and reads what it found."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from ruamel.yaml import YAML

from tests.support.node import FOLDER, NODE

ERAS = ("2025-11-25", "2026-07-28")
RUN_S = 300.0
POLL_S = 0.05
SCENARIO_MS = 120_000
PATIENCE = 4
"""How much longer than the suite would it waits for answers that it gives half a second."""

_SUITE = FOLDER / "node_modules" / "@modelcontextprotocol" / "conformance"
_PRELOAD = Path(__file__).with_name("preload.mjs")
_FOLDER = re.compile(r"(?P<scenario>.+)-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d+Z")
# What was said when: as long as a run takes, and no verdict.
_LOG = frozenset(
    {
        *("incoming-request", "incoming-response", "incoming-sse-event", "stream-closed"),
        *("outgoing-request", "outgoing-response", "outgoing-sse-event", "outgoing-stream-close"),
    }
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the suite looked at.

    ``id`` repeats within a scenario, so ``key`` counts: ``id``, then ``id#2`` and so on, in the suite's order.
    ``status`` is SUCCESS, FAILURE, WARNING, SKIPPED or INFO.
    """

    key: str
    status: str
    message: str = ""


Results = Mapping[str, tuple[Check, ...]]
"""The checks of each scenario that ran, in the suite's order."""


class Leg(StrEnum):
    """Whom a run looks at."""

    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Required:
    """The scenarios that a revision's requirements name: those that count, and those that only run."""

    scored: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Every scenario that must have run."""
        return self.scored + self.others


@dataclass(frozen=True, slots=True)
class Run:
    """What a run found, and the processor time that the suite itself took (seconds)."""

    results: Results
    cpu_s: float


class SuiteFailed(AssertionError):
    """The suite did not run to its end; the message holds what it said."""


@cache
def suite_version() -> str:
    """The version of the suite that is installed."""
    return str(json.loads((_SUITE / "package.json").read_text("utf-8"))["version"])


@cache
def required(era: str, leg: Leg = Leg.SERVER) -> Required:
    """The requirements of a revision, from the suite's own frozen list; of clients without those of authorization.

    A client signs in at the gateway, which takes the tokens of issuers that it is told of, never at a target.
    """
    listed = YAML(typ="safe").load(_SUITE / "requirements" / f"{era}.yaml")
    others = (each["scenario"] for each in listed["not_scored"] if each["leg"] == leg)
    scored, more = (tuple(name for name in names if not name.startswith("auth/")) for names in (listed[leg], others))
    return Required(scored, more)


def run_servers(url: str, era: str, token: str | None = None) -> Run:
    """Run all that ``era`` requires of servers against ``url``, with ``token`` as the bearer token of every request.

    Raises:
        SuiteFailed: when it broke off, took longer than ``RUN_S``, or left no results.
    """
    environment = {}
    if token is not None:
        parts = urlsplit(url)
        environment = {"CONFORMANCE_ORIGIN": f"{parts.scheme}://{parts.netloc}", "CONFORMANCE_TOKEN": token}
    return _run(Leg.SERVER, era, ["--url", url], environment)


def run_clients(command: str, era: str, environment: Mapping[str, str]) -> Run:
    """Run all that ``era`` requires of clients with what ``command`` starts, in this environment; raises likewise."""
    return _run(Leg.CLIENT, era, ["--command", command], environment)


def _run(leg: Leg, era: str, about: Sequence[str], more: Mapping[str, str]) -> Run:
    environment = {**os.environ, "NO_COLOR": "1", "CONFORMANCE_PATIENCE": str(PATIENCE), **more}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as log:
        command: list[str | Path] = [NODE, "--import", _PRELOAD, _SUITE / "dist" / "index.js", leg, *about]
        command += ["--requirements", era, "--timeout", str(SCENARIO_MS), "-o", folder]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        code, cpu_s = _wait(process)
        results = dict(_read(Path(folder), leg))
        log.seek(0)
        # It ends with 1 when a scenario failed, which is for the comparison to judge.
        if code not in (0, 1) or not results:
            raise SuiteFailed(f"ended with {code}: {log.read()[-4000:]}")
    return Run(results, cpu_s)


def _wait(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """Wait for its end; returns its exit code, and the processor time that it took (seconds)."""
    deadline = time.monotonic() + RUN_S
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage.ru_utime + usage.ru_stime
        if time.monotonic() > deadline:
            process.kill()
            deadline += RUN_S
        time.sleep(POLL_S)


def _read(folder: Path, leg: Leg) -> Iterator[tuple[str, tuple[Check, ...]]]:
    for file in sorted(folder.glob("*/checks.json")):
        named = _FOLDER.fullmatch(file.parent.name)
        assert named is not None, f"not the name of a scenario's results: {file.parent.name}"
        scenario = named["scenario"].removeprefix("server-") if leg is Leg.SERVER else named["scenario"]
        yield scenario, numbered(json.loads(file.read_text("utf-8")))


def numbered(checks: list[Mapping[str, str]]) -> tuple[Check, ...]:
    """The checks as the suite wrote them, each with a key of its own, without what only tells what was said when."""
    seen: Counter[str] = Counter()
    told = []
    for check in (check for check in checks if check["id"] not in _LOG):
        seen[check["id"]] += 1
        count = seen[check["id"]]
        key = check["id"] if count == 1 else f"{check['id']}#{count}"
        told.append(Check(key, check["status"], check.get("errorMessage", "")))
    return tuple(told)
