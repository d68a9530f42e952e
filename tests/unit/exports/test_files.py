"""Files that sinks append to: whole lines only, on disk, in the file that is there."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from countersign.exports import files, table
from countersign.exports.facts import Fact
from countersign.exports.files import FileDestination
from countersign.exports.ports import NotTaken
from tests.support.exporting import facts

HEADER = b"index\n"


def _line(fact: Fact) -> bytes:
    return b"%d\n" % fact.index


@asynccontextmanager
async def _opened(path: Path, header: bytes = b"") -> AsyncIterator[FileDestination]:
    destination = FileDestination("table", path, _line, header)
    try:
        yield destination
    finally:
        await destination.close()


async def test_lines_are_appended_and_on_disk_when_they_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    path, fsync = tmp_path / "out", os.fsync

    def watched(fd: int) -> None:
        fsync(fd)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            synced.append(path.read_bytes())

    monkeypatch.setattr(os, "fsync", watched)
    async with _opened(path, HEADER) as destination:
        await destination.take(facts(2))
        assert synced == [b"index\n0\n1\n"]
        await destination.take(facts(1, 2))
    assert synced[-1] == path.read_bytes() == b"index\n0\n1\n2\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "half", [b"0\n1\n2", b"0\n1\n" + b"x" * 200_000, b"0\n1\n\xff\x00"], ids=["short", "long", "odd"]
)
async def test_what_a_crash_left_of_a_line_is_cut_off(tmp_path: Path, half: bytes) -> None:
    path = tmp_path / "out"
    path.write_bytes(half)
    async with _opened(path, HEADER) as destination:
        await destination.take(facts(1, 2))
    assert path.read_bytes() == b"0\n1\n2\n"


async def test_half_a_header_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"ind")
    async with _opened(path, HEADER) as destination:
        await destination.take(facts(1))
    assert path.read_bytes() == b"index\n0\n"


async def test_a_file_that_holds_no_lines_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_HALF_LINE_BYTES", 100_000)
    path = tmp_path / "out"
    path.write_bytes(b"x" * 300_000)
    async with _opened(path) as destination:
        with pytest.raises(NotTaken, match="not one of ours"):
            await destination.take(facts(1))
    assert path.stat().st_size == 300_000


async def test_a_renamed_file_is_left_and_another_begun(tmp_path: Path) -> None:
    path, old = tmp_path / "out", tmp_path / "out.1"
    async with _opened(path, HEADER) as destination:
        await destination.take(facts(1))
        path.rename(old)
        await destination.take(facts(1, 1))
    assert old.read_bytes() == b"index\n0\n"
    assert path.read_bytes() == b"index\n1\n"


async def test_a_file_that_was_emptied_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "out"
    async with _opened(path, HEADER) as destination:
        await destination.take(facts(1))
        os.truncate(path, 0)
        await destination.take(facts(1, 1))
    assert path.read_bytes() == b"index\n1\n"


async def test_a_full_disk_leaves_nothing_of_a_batch_and_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, write, room = tmp_path / "out", os.write, [3]

    def scarce(fd: int, data: bytes) -> int:
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "secret path")
        taken = write(fd, bytes(data)[: room[0]])
        room[0] -= taken
        return taken

    async with _opened(path) as destination:
        await destination.take(facts(1))
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", scarce)
            with pytest.raises(NotTaken) as refused:
                await destination.take(facts(5, 1))
        assert str(refused.value) == "the file cannot be written (ENOSPC)"
        assert path.read_bytes() == b"0\n"
        await destination.take(facts(1, 1))
    assert path.read_bytes() == b"0\n1\n"


async def test_a_sync_that_fails_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_fd: int) -> None:
        raise OSError(errno.EIO, "broken")

    async with _opened(tmp_path / "out") as destination:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", failing)
            with pytest.raises(NotTaken, match="EIO"):
                await destination.take(facts(1))
        await destination.take(facts(1))
    assert (tmp_path / "out").read_bytes() == b"0\n"


async def test_two_never_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "out"
    async with _opened(path) as first, _opened(path) as second:
        await first.take(facts(1))
        with pytest.raises(NotTaken, match="another process"):
            await second.take(facts(1))
    fd = os.open(path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _dangling(path: Path) -> None:
    path.symlink_to(path.parent / "missing" / "there")


@pytest.mark.parametrize("make", [_pipe, _folder, _dangling], ids=["pipe", "folder", "dangling link"])
async def test_what_is_no_file_is_refused_and_does_not_hang(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "out")
    async with _opened(tmp_path / "out") as destination:
        with pytest.raises(NotTaken):
            async with asyncio.timeout(10):
                await destination.take(facts(1))


async def test_a_table_begins_with_its_columns(tmp_path: Path) -> None:
    destination = FileDestination("table", tmp_path / "out.csv", table.line, table.header())
    await destination.take(facts(1))
    await destination.close()
    assert (tmp_path / "out.csv").read_bytes().startswith(b"index,event_id,time,")
