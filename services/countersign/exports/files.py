"""Lines appended to a file: on disk before they count, and never half of one before another."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from countersign.exports.facts import Fact
from countersign.exports.ports import NotTaken
from countersign.exports.threads import OwnThread

# More than the longest line that we write.
MOST_HALF_LINE_BYTES = 16 * 1024 * 1024
_LOOK_BYTES = 64 * 1024


class FileDestination:
    """Appends a line for each event; ``header``, if any, begins a file. Made with mode 0600; see ``Destination``.

    What a crash left of a line is cut off before anything is appended. A file that was renamed is left as it is, and
    another begun in its place. The file is locked (flock), so that two processes never write to it.
    """

    def __init__(self, name: str, path: Path, line: Callable[[Fact], bytes], header: bytes = b"") -> None:
        self._path = path
        self._line = line
        self._header = header
        self._thread = OwnThread(name)
        self._fd = -1

    async def take(self, facts: Sequence[Fact]) -> None:
        """See ``Destination.take``: when this returns, the lines are on disk."""
        await self._thread.run(lambda: self._append(b"".join([self._line(fact) for fact in facts])))

    async def close(self) -> None:
        """See ``Destination.close``."""
        await self._thread.run(self._let_go)

    def _append(self, lines: bytes) -> None:
        try:
            if self._fd < 0 or self._was_renamed():
                self._let_go()
                self._open()
            size = os.fstat(self._fd).st_size
            try:
                _write(self._fd, lines if size else self._header + lines)
                os.fsync(self._fd)
            except OSError:
                # Else each try would leave some lines behind on a disk that is full.
                with suppress(OSError):
                    os.ftruncate(self._fd, size)
                raise
        except (OSError, NotTaken) as error:
            self._let_go()
            if isinstance(error, NotTaken):
                raise
            raise NotTaken(f"the file cannot be written ({_word(error)})") from None

    def _open(self) -> None:
        # Not to hang on what is a pipe and no file.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        self._fd = os.open(self._path, flags, 0o600)
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            raise NotTaken("what stands in the place of the file is no file")
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotTaken("another process writes to the file") from None
        _cut_half_line(self._fd)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _was_renamed(self) -> bool:
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return True
        ours = os.fstat(self._fd)
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)

    def _let_go(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _cut_half_line(fd: int) -> None:
    """Cut off what stands behind the last newline. Raises ``NotTaken`` when that cannot be the rest of a line."""
    size = end = os.fstat(fd).st_size
    while end > 0:
        start = max(0, end - _LOOK_BYTES)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
        if size - end > MOST_HALF_LINE_BYTES:
            raise NotTaken("the file does not hold lines: it is not one of ours")
    if end < size:
        os.ftruncate(fd, end)


def _write(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


def _word(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "unknown error")
