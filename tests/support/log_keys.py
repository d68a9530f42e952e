"""A log for recorders under test: a key that is always the same, and a state file of the process's own."""

from __future__ import annotations

import atexit
import hashlib
import tempfile
from pathlib import Path

from countersign.recorder.log.identity import LogIdentity
from countersign.tlog import SEED_BYTES, KeyKind, SignerKey

ORIGIN = "log.test"
_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []


def log_key(name: str = ORIGIN, number: int = 0) -> SignerKey:
    """The key of a number, of as many as a test needs."""
    return SignerKey(name, KeyKind.NOTE, hashlib.sha256(f"{name} {number}".encode()).digest()[:SEED_BYTES])


def log_of(dsn: str) -> LogIdentity:
    """The log over a database: whoever asks in this process shares its state, others believe the database at first."""
    if not _FOLDERS:
        _FOLDERS.append(tempfile.TemporaryDirectory(prefix="cs-log-"))
        atexit.register(_FOLDERS[0].cleanup)
    state = Path(_FOLDERS[0].name) / hashlib.sha256(dsn.encode()).hexdigest()
    state.touch()
    return LogIdentity((log_key(),), state)
