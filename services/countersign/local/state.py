"""The state directory: sockets, logs, keys and the embedded database of one running gateway."""

from __future__ import annotations

import base64
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from countersign.tlog import SEED_BYTES, BadKey, KeyKind, SignerKey

# sun_path holds 108 bytes with its end, and Postgres appends ".s.PGSQL.5432" to a directory.
_MAX_SOCKET_BYTES = 100


class StateError(RuntimeError):
    """The state directory cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class StateDir:
    """Where things are below ``root``."""

    root: Path

    @property
    def sockets(self) -> Path:
        """Unix sockets of the parts."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        """One log a part, and Envoy's access log."""
        return self.root / "logs"

    @property
    def envoy(self) -> Path:
        """Envoy's configuration."""
        return self.root / "envoy"

    @property
    def postgres(self) -> Path:
        """The embedded database."""
        return self.root / "postgres"

    @property
    def sealing_key(self) -> Path:
        """The deployment's sealing key."""
        return self.root / "sealing.key"

    @property
    def log_keys(self) -> Path:
        """The keys that sign the log."""
        return self.root / "log.keys"

    @property
    def log_state(self) -> Path:
        """What was signed of the log."""
        return self.root / "log.state"

    def socket(self, name: str) -> str:
        """Return the gRPC address of a part."""
        return f"unix:{self.sockets / name}.sock"

    def forget_socket(self, name: str) -> None:
        """Remove what a killed part left behind: of one that is not started, it looks like one that does not answer."""
        (self.sockets / f"{name}.sock").unlink(missing_ok=True)


def open_state(root: Path) -> StateDir:
    """Make and lock the state directory for this process's life. Raises ``StateError``."""
    state = StateDir(root.resolve())
    longest = state.sockets / ".s.PGSQL.5432"
    if len(os.fsencode(longest)) > _MAX_SOCKET_BYTES:
        raise StateError(f"{state.root} is too long a path for Unix sockets: choose a shorter --state")
    try:
        # Others may pass through (the database's own user must), but neither list nor read.
        modes = ((state.root, 0o711), (state.sockets, 0o711), (state.logs, 0o700), (state.envoy, 0o700))
        for directory, mode in modes:
            directory.mkdir(parents=True, exist_ok=True)
            if directory.stat().st_uid != os.geteuid():
                # Whoever made it may have put a sealing key there that they know.
                raise StateError(f"{directory} belongs to another user: choose another --state")
            directory.chmod(mode)
        _lock(state.root)
        _make_key(state.sealing_key)
    except OSError as error:
        raise StateError(f"{state.root} cannot be used ({error.strerror}): choose another --state") from error
    return state


def _lock(root: Path) -> None:
    descriptor = os.open(root / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StateError(f"{root} is in use by another `countersign up`: stop it, or choose another --state") from None
    # The descriptor stays open on purpose: the lock ends with the process.


def make_log_key(state: StateDir, name: str) -> None:
    """Make a key that signs the log in the name of ``name``, unless there is one. Raises ``StateError``."""
    try:
        _write_once(
            state.log_keys, (SignerKey(name, KeyKind.NOTE, os.urandom(SEED_BYTES)).secret_text() + "\n").encode()
        )
    except OSError as error:
        raise StateError(f"{state.log_keys} cannot be made ({error.strerror}): choose another --state") from error
    except BadKey as error:
        raise StateError(f"{name!r} cannot be a log's name ({error}): give gateway.url another host") from None


def _make_key(path: Path) -> None:
    _write_once(path, base64.b64encode(os.urandom(32)) + b"\n")


def _write_once(path: Path, content: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
