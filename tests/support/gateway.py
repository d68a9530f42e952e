"""The whole gateway as its users start it: ``countersign up`` in a process of its own, with a folder that is short."""

from __future__ import annotations

import asyncio
import atexit
import json
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psutil

from countersign.local.postgres import EmbeddedPostgres
from countersign.local.state import StateDir, open_state

READY_S = 60.0
STOP_S = 15.0

# What tells the processes of `up` apart, by their command lines.
_PARTS: Mapping[str, Callable[[list[str]], bool]] = {
    "authz": lambda line: line[-2:] == ["serve", "authz"],
    "masker": lambda line: line[-2:] == ["serve", "masker"],
    "recorder": lambda line: line[-2:] == ["serve", "recorder"],
    "approver": lambda line: line[-2:] == ["serve", "approver"],
    "portal": lambda line: line[-2:] == ["serve", "portal"],
    "hub": lambda line: line[-2:] == ["serve", "hub"],
    "bridge": lambda line: line[-2:] == ["serve", "bridge"],
    "nursery": lambda line: "countersign.cli.nursery" in line,
    "envoy": lambda line: bool(line) and Path(line[0]).name.startswith("envoy"),
    "postgres": lambda line: bool(line) and Path(line[0]).name == "postgres",
}

ISSUE_RULES: tuple[Mapping[str, object], ...] = (
    {
        "name": "analysts read",
        "allow": {"groups": ["analysts"], "targets": ["orders"], "tools": ["query", "list_*"]},
        "mask": ["secrets", "pii"],
    },
    {
        "name": "no exports",
        "deny": {"targets": ["*"], "tools": ["export_*"]},
        "message": "Exports go through the data team.",
    },
)
ISSUE_MASKS: Mapping[str, object] = {
    "pii": {"detect": ["email", "credit_card", "us_ssn"], "fields": ["ssn", "*.card"], "replace": "[{label}]"},
    "secrets": {"detect": ["secrets"]},
}


_kept_free: list[socket.socket] = []


def free_port() -> int:
    """A port of 127.0.0.1 that nobody else is given while this process lives.

    Its socket stays bound and never listens, so only those who ask for this very port get it (all servers here set
    SO_REUSEADDR); other processes choose thousands meanwhile.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    _kept_free.append(holder)
    port: int = holder.getsockname()[1]
    return port


def short_folder() -> Path:
    """A new folder whose path leaves room for a Unix socket's name (about 100 bytes in all)."""
    return Path(tempfile.mkdtemp(prefix="cs-"))


@dataclass(frozen=True, slots=True)
class Upstream:
    """A target as gateway.yaml states it; ``credential`` is kept in a file beside it, made up unless given.

    ``extra`` are more keys of the target. One whose ``mcp`` is no URL is run by the gateway, and has no credential.
    """

    mcp: str | Mapping[str, object]
    credential: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Setup:
    """What a gateway is to be started with. ``extra`` is merged into gateway.yaml at its top."""

    issuer: str
    targets: Mapping[str, Upstream]
    rules: Sequence[Mapping[str, object]] = ISSUE_RULES
    masks: Mapping[str, object] = field(default_factory=lambda: dict(ISSUE_MASKS))
    extra: Mapping[str, object] = field(default_factory=dict)
    hub: bool = False

    def write(self, folder: Path, url: str) -> Path:
        """Write gateway.yaml and the credentials that it names; JSON is YAML."""
        targets: dict[str, object] = {}
        for name, target in self.targets.items():
            secret = folder / f"{name}.credential"
            secret.touch(mode=0o600)
            secret.write_text(target.credential)
            shown = {"credential": {"bearer": {"file": secret.name}}} if isinstance(target.mcp, str) else {}
            targets[name] = {"mcp": target.mcp, **shown, **target.extra}
        document = {
            "version": 1,
            "gateway": {"url": url, **({"hub": True} if self.hub else {})},
            "identity": {"oidc": [{"issuer": self.issuer, "groups": "groups"}]},
            "targets": targets,
            "rules": list(self.rules),
            "masks": self.masks,
            "recording": {"mode": "required"},
            "auditors": {"groups": ["auditors"]},
            **self.extra,
        }
        file = folder / "gateway.yaml"
        temporary = folder / "gateway.yaml.tmp"
        temporary.write_text(json.dumps(document, indent=1))
        temporary.replace(file)
        return file


class NotReady(AssertionError):
    """The gateway did not come up; the message holds what it said."""


class Gateway:
    """A ``countersign up``: ``state`` is its state directory; ``folder`` also holds gateway.yaml and ``log``."""

    def __init__(self, setup: Setup, folder: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.setup = setup
        self.folder = folder
        self.state = folder / "s"
        self.log = folder / "up.log"
        self.config = setup.write(folder, self.url)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def door(self) -> str:
        """The MCP endpoint of all targets."""
        return f"{self.url}/mcp"

    def endpoint(self, target: str = "orders") -> str:
        """The MCP endpoint of a target, which is also the audience of tokens for it."""
        return f"{self.url}/{target}/mcp"

    @property
    def pid(self) -> int:
        """The process id of ``up``."""
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self, ready_s: float = READY_S) -> None:
        """Start and wait for the line that begins with ``ready:``.

        Raises:
            NotReady: when it ended first, or took longer than ``ready_s``.
        """
        command = [sys.executable, "-m", "countersign.cli.main", "up", "-c", str(self.config)]
        command += ["--listen", f"127.0.0.1:{self.port}", "--state", str(self.state)]
        already = len(self.output())
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        process = self._process

        def settled() -> bool:
            return process.poll() is not None or self.says("ready:", already)

        wait_until(settled, ready_s, lambda: NotReady(self.output()[already:]))
        if process.poll() is not None:
            raise NotReady(f"ended with {process.returncode}: {self.output()[already:]}")

    def says(self, start: str, since: int = 0) -> bool:
        """Whether a line of its output (after the first ``since`` characters) begins with ``start``."""
        return any(line.startswith(start) for line in self.output()[since:].splitlines())

    def output(self) -> str:
        """What ``up`` printed so far, over all starts."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def reconfigure(self, setup: Setup) -> None:
        """Replace gateway.yaml at once, as an editor would."""
        self.setup = setup
        setup.write(self.folder, self.url)

    def part(self, name: str) -> psutil.Process:
        """The process of a part: a service, nursery, envoy or postgres (its postmaster).

        Raises:
            LookupError: when it does not run.
        """
        for process in psutil.Process(self.pid).children(recursive=True):
            try:
                if _PARTS[name](process.cmdline()):
                    return process
            except psutil.Error:  # it ended while we looked
                continue
        raise LookupError(f"{name} does not run")

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> psutil.Process:
        """Send a signal to a part; returns the process that was meant."""
        process = self.part(name)
        process.send_signal(how)
        return process

    def processes(self) -> list[psutil.Process]:
        """``up`` and everything below it, now."""
        top = psutil.Process(self.pid)
        return [top, *top.children(recursive=True)]

    def stop(self, how: signal.Signals = signal.SIGTERM, stop_s: float = STOP_S) -> int:
        """End ``up`` and wait for it and all of its parts; returns its exit code (negative: a signal).

        Raises:
            AssertionError: when something is left behind after ``stop_s``.
        """
        assert self._process is not None, "not started"
        process = self._process
        try:
            below = self.processes()
        except psutil.NoSuchProcess:
            below = []
        if process.poll() is None:
            process.send_signal(how)
        try:
            code = process.wait(stop_s)
            _, left = psutil.wait_procs(below, timeout=stop_s)
        except subprocess.TimeoutExpired:
            code, left = 1, [each for each in below if each.is_running()]
        for survivor in left:
            with suppress(psutil.NoSuchProcess):
                survivor.kill()
        process.wait(5)
        self._process = None
        assert not left, f"left behind: {[survivor.pid for survivor in left]}; {self.output()[-2000:]}"
        return code

    @property
    def running(self) -> bool:
        """Whether ``up`` was started and has not ended."""
        return self._process is not None and self._process.poll() is None


@contextmanager
def running_gateway(setup: Setup) -> Iterator[Gateway]:
    """A gateway that answers, in a folder of its own; stopped and swept away afterwards.

    Its database is empty and set up already: to begin with an empty state is for those to try who try starts.
    """
    folder = short_folder()
    gateway = Gateway(setup, folder)
    try:
        _lay_out_database(gateway.state)
        gateway.start()
        yield gateway
    finally:
        try:
            if gateway.running:
                gateway.stop()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _lay_out_database(state: Path) -> None:
    # A copy takes a tenth of what setting one up does. By `cp`, since its owner is the database's own user.
    state.mkdir(mode=0o711)
    subprocess.run(["cp", "-a", _empty_database(), StateDir(state).postgres], check=True)


@cache
def _empty_database() -> Path:
    folder = short_folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    state = open_state(folder / "s")
    with ThreadPoolExecutor(1) as other:  # whoever asks may run a loop already
        other.submit(asyncio.run, EmbeddedPostgres(state).prepare()).result()
    return state.postgres


def wait_until(
    condition: Callable[[], bool], timeout_s: float, problem: Callable[[], Exception], *, every_s: float = 0.05
) -> None:
    """Return when the condition holds; raise ``problem()`` when it does not within ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise problem()
        time.sleep(every_s)
