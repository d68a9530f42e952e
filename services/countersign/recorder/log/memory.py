"""What a recorder remembers to have been signed: by its file, and by what it saw since it started."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from countersign.recorder.log.errors import LogStopped
from countersign.recorder.log.identity import LogIdentity
from countersign.recorder.log.state import StateFile
from countersign.tlog import Checkpoint, read_unverified


@dataclass(frozen=True, slots=True)
class Recalled:
    """The last checkpoint that was remembered, if there was one; ``missing`` names the file when there was none."""

    last: Checkpoint | None
    missing: str

    def beside(self, signed: Checkpoint | None) -> Checkpoint | None:
        """Return ``last``; ``signed`` is what the database says.

        Raises ``LogStopped`` when the file is gone though something was signed.
        """
        if self.missing and (signed is not None or self.last is not None):
            size = max(one.size for one in (signed, self.last) if one is not None)
            raise LogStopped(
                f"{self.missing} is missing, though a checkpoint of {size} events was signed: without it nobody can "
                "tell whether this database is an old copy. Bring the file back. If this is a further recorder, or you "
                "know that the database is the newest, make it as an empty file"
            )
        return self.last


class Memory:
    """The last checkpoint known to be signed in the name of one log."""

    def __init__(self, identity: LogIdentity) -> None:
        self._file = StateFile(identity.state)
        self._path = identity.state
        self._origin = identity.origin
        self._last: Checkpoint | None = None

    def recall(self) -> Recalled:
        """Return what is remembered now. Raises ``StateUnusable``."""
        state = self._file.read()
        known = [one for one in (state.last(self._origin), self._last) if one is not None]
        return Recalled(max(known, key=lambda one: one.size, default=None), str(self._path) if state.missing else "")

    async def keep_new(self, note: str, after: Checkpoint | None) -> None:
        """Return when it is on disk that ``note`` was signed now, knowing ``after`` as the last of before.

        Raises ``StateUnusable``, also when another recorder signed meanwhile: then nobody is to be told of ``note``.
        """
        await asyncio.to_thread(self._file.remember_new, note, after)
        self._last = read_unverified(note)[0]

    async def keep(self, note: str) -> None:
        """Return when it is on disk that ``note``, or a later one, was signed. Raises ``StateUnusable``."""
        checkpoint = read_unverified(note)[0]
        if self._last is not None and self._last.size >= checkpoint.size:
            return
        # The disk may take long, and calls do not wait for it.
        await asyncio.to_thread(self._file.remember, note)
        self._last = checkpoint
