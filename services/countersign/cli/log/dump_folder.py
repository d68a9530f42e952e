"""The folder that a dump of the log is written to: each file is whole or not there, and the checkpoint comes last."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from countersign.audit.dumps import MAX_BUNDLE_BYTES, MAX_CHECKPOINT_BYTES
from countersign.tlog import (
    TILE_WIDTH,
    Checkpoint,
    TileId,
    TilePath,
    TlogError,
    all_bundles,
    all_tiles,
    entries_path,
    parse_path,
    read_unverified,
    tile_path,
)

CHECKPOINT: Final = "checkpoint"
MARK: Final = "unfinished"
"""Holds the checkpoint that the log had when the dump began, or last went on, until the dump is whole."""
_PART: Final = ".part"
_CANNOT: Final = frozenset({errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOTSUP})
"""Of file systems over a network, where folders can be neither locked nor synced: files are whole all the same."""


class BadDump(Exception):
    """What is in the folder, or comes from the gateway, is no dump of the log; the message names what is wrong."""


class NotFree(Exception):
    """The folder is used for something else; the message says for what."""


class DumpFolder:
    """Writes and reads the files. A file that is there under its name is whole: it was on disk before it got it.

    Every method may raise ``OSError``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._name = ""

    @property
    def began(self) -> Checkpoint | None:
        """The checkpoint that an unfinished dump began with; ``None`` for a folder with nothing in it.

        Raises ``NotFree`` when something else is in it, ``BadDump`` when it cannot be told what.
        """
        mark = self._path / MARK
        if not mark.exists():
            if (self._path / CHECKPOINT).exists():
                raise NotFree(f"{self._path} is not empty: it holds a dump that is whole, so name a new folder")
            if any(entry.name != _PART for entry in self._path.iterdir()):
                raise NotFree(f"{self._path} is not empty, and holds no dump to go on with: name a new folder")
            return None
        try:
            return read_unverified(_content(mark, MAX_CHECKPOINT_BYTES))[0]
        except TlogError as problem:
            raise BadDump(f"{mark} was changed: it is no checkpoint ({problem})") from None

    def mark(self, note: str) -> None:
        """Say that a dump is unfinished, and what the log's checkpoint is now."""
        self._put(MARK, note.encode())

    def bundles(self) -> Iterator[tuple[str, bytes]]:
        """Yield path and content of the full bundles of entries, from the first on, up to the first that is missing."""
        tile = 0
        while os.path.lexists(self._path / (path := entries_path(tile, TILE_WIDTH))):
            yield path, _content(self._path / path, MAX_BUNDLE_BYTES)
            tile += 1

    def clear(self) -> None:
        """Remove what a longer log has otherwise: partial tiles and bundles. Raises ``BadDump`` for strangers.

        The checkpoint, too, which is there when only taking the mark away was prevented.
        """
        (self._path / CHECKPOINT).unlink(missing_ok=True)
        if (self._path / "tile").is_symlink():
            raise BadDump(f"{self._path / 'tile'} is a link: a dump has none")
        for folder, folders, names in os.walk(self._path / "tile"):
            for name in [*folders, *names]:
                path = Path(folder) / name
                if path.is_symlink():
                    raise BadDump(f"{path} is a link: a dump has none")
            for name in names:
                path = Path(folder) / name
                try:
                    named = parse_path(path.relative_to(self._path).as_posix())
                except TlogError:
                    raise BadDump(f"{path} does not belong to a dump") from None
                if named.width != TILE_WIDTH:
                    path.unlink()

    def write(self, name: str, content: bytes) -> None:
        """Add to a file, which ``parse_path`` has read the name of; another name ends the one before."""
        if self._file is None or name != self._name:
            self.settle()
            part = self._path / _PART
            part.unlink(missing_ok=True)
            self._file, self._name = part.open("xb"), name
        self._file.write(content)

    def settle(self) -> None:
        """Have the file that is written, if any, on disk and under its name."""
        file, self._file = self._file, None
        if file is None:
            return
        with file:
            file.flush()
            os.fsync(file.fileno())
        place = self._path / self._name
        place.parent.mkdir(parents=True, exist_ok=True)
        (self._path / _PART).replace(place)

    def drop(self) -> None:
        """Leave the file that is written just now; it is not whole."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
            with suppress(OSError):
                (self._path / _PART).unlink(missing_ok=True)

    def finish(self, note: str, size: int) -> int:
        """End the dump with its checkpoint, of ``size`` events; return how many files it has.

        Raises ``BadDump`` when one is missing.
        """
        self.settle()
        count = 1
        for tiles in (all_bundles(size), all_tiles(size)):
            for one in tiles:
                if not (self._path / _path(one)).is_file():
                    raise BadDump(f"the dump was cut: {self._path / _path(one)} is missing")
                count += 1
        for folder, _, _ in os.walk(self._path):
            _sync(Path(folder))
        self._put(CHECKPOINT, note.encode())
        (self._path / MARK).unlink()
        return count

    def _put(self, name: str, content: bytes) -> None:
        self.write(name, content)
        self.settle()
        _sync(self._path)


@contextmanager
def dump_folder(path: Path) -> Iterator[DumpFolder]:
    """Make the folder, or take the one that is there, for us alone. Raises ``NotFree``, ``OSError``."""
    path.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotFree(f"another process dumps into {path}") from None
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
        folder = DumpFolder(path)
        try:
            yield folder
        finally:
            folder.drop()
    finally:
        os.close(descriptor)


def _content(path: Path, most: int) -> bytes:
    """Return what a file holds. Raises ``BadDump`` for one that is too long, or none."""
    # Asked before it is opened: opening a pipe would wait for ever.
    if path.is_symlink() or not path.is_file():
        raise BadDump(f"{path} is no file")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise BadDump(f"{path} was changed: it has more than {most} bytes")
    return content


def _path(tile: TilePath) -> str:
    if tile.level is None:
        return entries_path(tile.tile, tile.width)
    return tile_path(TileId(tile.level, tile.tile), tile.width)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    finally:
        os.close(descriptor)
