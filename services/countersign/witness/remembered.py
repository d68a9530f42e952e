"""What a witness cosigned last, by log: one file a log in a folder that one process has to itself."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from countersign.tlog import Checkpoint, TlogError, read_unverified
from countersign.tlog.notes import MAX_NOTE_BYTES
from countersign.witness.errors import StateUnusable


class Remembered:
    """The last checkpoint of each log in ``folder``; ``close`` lets another process have it.

    The files are signed notes as the logs signed them. Raises ``StateUnusable`` where the folder is missing, in use, or
    a file of ``origins`` is not what a witness wrote.
    """

    def __init__(self, folder: Path, origins: Iterable[str]) -> None:
        self._folder = folder
        self._lock = _locked(folder)
        try:
            self._last = {origin: found for origin in origins if (found := self._read(origin)) is not None}
        except BaseException:
            self.close()
            raise

    def last(self, origin: str) -> Checkpoint | None:
        """Return the last checkpoint of a log that was cosigned, if one was."""
        return self._last.get(origin)

    def remember(self, checkpoint: Checkpoint, note: str) -> None:
        """Return when it is on disk that ``checkpoint``, in ``note``, is the last one of its log.

        Raises ``StateUnusable``: then it must not be cosigned, and the one before stays the last.
        """
        self._write(self._path(checkpoint.origin, "checkpoint"), note)
        self._last[checkpoint.origin] = checkpoint

    def keep_fork(self, origin: str, note: str) -> None:
        """Keep the first checkpoint that contradicts what was cosigned: with that, it convicts the log."""
        path = self._path(origin, "fork")
        if not path.exists():
            self._write(path, note)

    def close(self) -> None:
        """Unlock the folder."""
        os.close(self._lock)

    def _path(self, origin: str, kind: str) -> Path:
        # A log's name may hold anything; the first line of the file says it.
        return self._folder / f"{sha256(origin.encode()).hexdigest()}.{kind}"

    def _read(self, origin: str) -> Checkpoint | None:
        path = self._path(origin, "checkpoint")
        try:
            with path.open("rb") as file:
                checkpoint, _ = read_unverified(file.read(MAX_NOTE_BYTES + 1))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateUnusable(f"{path} cannot be read ({error.strerror})") from None
        except TlogError:
            checkpoint = None
        if checkpoint is None or checkpoint.origin != origin:
            raise StateUnusable(f"{path} is not what a witness wrote: bring it back as it was, or begin with a new key")
        return checkpoint

    def _write(self, path: Path, note: str) -> None:
        new = path.with_suffix(".new")
        try:
            new.unlink(missing_ok=True)
            descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(note.encode())
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
            # The new name, too, is on disk only now.
            os.fsync(self._lock)
        except OSError as error:
            raise StateUnusable(f"{path} cannot be written ({error.strerror})") from None


def _locked(folder: Path) -> int:
    """Open and lock a folder for as long as the descriptor is open."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        # Never made here: a witness that forgot what it cosigned would cosign a log that was rolled back.
        raise StateUnusable(
            f"{folder} cannot be opened ({error.strerror}): for a witness with a new key, make the folder; else bring "
            "back the one that it had"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StateUnusable(f"{folder} is in use by another witness: each has a folder of its own") from None
    return descriptor
