"""The file that remembers, outside of the database, the last checkpoint that was signed: by it an old copy is known."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from countersign.recorder.log.errors import StateUnusable
from countersign.tlog import Checkpoint, TlogError, read_unverified

FORMAT = 1
_MARK = "countersign_log_state"
MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class State:
    """What the file says. ``missing``: there is none; an empty one is none that was lost, but one that was not used."""

    missing: bool
    notes: Mapping[str, str]

    def last(self, origin: str) -> Checkpoint | None:
        """Return the last checkpoint that was signed in the name of ``origin``, if one was."""
        note = self.notes.get(origin)
        return None if note is None else read_unverified(note)[0]


class StateFile:
    """Signed checkpoints by the log's name, each the last one. Several processes of one machine may share a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = path.with_name(f"{path.name}.lock")

    def ready(self) -> None:
        """Look whether it can be read and written, by nobody but its owner. Raises ``StateUnusable``."""
        if not self.read().missing and self._path.stat().st_mode & 0o022:
            raise StateUnusable(f"{self._path} can be changed by others: chmod go-w {self._path}")
        if not os.access(self._path.parent, os.W_OK | os.X_OK):
            raise StateUnusable(f"{self._path.parent} is not a folder that can be written to")

    def read(self) -> State:
        """Return what was remembered. Raises ``StateUnusable``."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return State(missing=True, notes={})
        except OSError as error:
            raise StateUnusable(f"{self._path} cannot be read ({error.strerror})") from None
        return State(missing=False, notes=_notes(content, self._path) if content.strip() else {})

    def remember(self, note: str) -> None:
        """Return when it is on disk that ``note``, a signed checkpoint, was signed; smaller ones change nothing.

        Raises ``StateUnusable``: then it may or may not be remembered.
        """
        checkpoint = read_unverified(note)[0]
        with self._changing() as notes:
            last = State(missing=False, notes=notes).last(checkpoint.origin)
            if last is None or last.size < checkpoint.size:
                self._write(notes | {checkpoint.origin: note})

    def remember_new(self, note: str, after: Checkpoint | None) -> None:
        """Return when it is on disk that ``note`` was signed by who knew ``after`` as the last of its log.

        When another is remembered by now, who signed did not know of it, and nobody is to be told of ``note``.
        Raises ``StateUnusable``, for that, too: else it may or may not be remembered.
        """
        checkpoint = read_unverified(note)[0]
        with self._changing() as notes:
            last = State(missing=False, notes=notes).last(checkpoint.origin)
            if last not in (None, after) and not (last and after and last.size < after.size):
                raise StateUnusable(f"{self._path} was written by another recorder meanwhile: looking again")
            self._write(notes | {checkpoint.origin: note})

    @contextmanager
    def _changing(self) -> Iterator[dict[str, str]]:
        """Hand out what is remembered now, while nobody else changes it."""
        try:
            with self._alone():
                yield dict(self.read().notes)
        except OSError as error:
            raise StateUnusable(f"{self._path} cannot be written ({error.strerror})") from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # A file of its own, since the other one is replaced.
        descriptor = os.open(self._lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _write(self, notes: Mapping[str, str]) -> None:
        new = self._path.with_name(f"{self._path.name}.new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps({_MARK: FORMAT, "notes": dict(notes)}, indent=1).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        # The new name, too, is on disk only now.
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _notes(content: bytes, path: Path) -> Mapping[str, str]:
    bad = StateUnusable(f"{path} is not what a recorder wrote: bring it back as it was")
    try:
        found = json.loads(content) if len(content) <= MAX_BYTES else None
    except ValueError:
        raise bad from None
    if not isinstance(found, dict) or found.keys() != {_MARK, "notes"} or found[_MARK] != FORMAT:
        raise bad
    notes = found["notes"]
    if not isinstance(notes, dict):
        raise bad
    for origin, note in notes.items():
        try:
            if not isinstance(note, str) or read_unverified(note)[0].origin != origin:
                raise bad
        except TlogError:
            raise bad from None
    return notes
