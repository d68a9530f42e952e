"""What was signed is remembered whole or as before, never smaller, and for nobody else to change."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from countersign.recorder.log.errors import StateUnusable
from countersign.recorder.log.identity import LogIdentity
from countersign.recorder.log.memory import Memory
from countersign.recorder.log.state import StateFile
from countersign.tlog import Checkpoint, sign_checkpoint
from tests.support.log_keys import log_key


def note(size: int, name: str = "log.test") -> str:
    return str(sign_checkpoint(Checkpoint(name, size, bytes([size % 256]) * 32), [log_key(name)]))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.state"


def size_in(path: Path, name: str = "log.test") -> int:
    last = StateFile(path).read().last(name)
    return last.size if last is not None else 0


def test_none_and_an_empty_one_are_told_apart(path: Path) -> None:
    assert StateFile(path).read().missing
    path.touch()
    assert not StateFile(path).read().missing
    assert size_in(path) == 0


def test_each_log_is_remembered_by_its_name(path: Path) -> None:
    for one in (note(5), note(7, "other.test"), note(9)):
        StateFile(path).remember(one)
    assert (size_in(path), size_in(path, "other.test")) == (9, 7)


def test_a_smaller_one_changes_nothing(path: Path) -> None:
    StateFile(path).remember(note(9))
    before = path.read_bytes()
    StateFile(path).remember(note(8))
    assert path.read_bytes() == before


def test_nobody_else_reads_or_changes_it(path: Path) -> None:
    before = os.umask(0)
    try:
        StateFile(path).remember(note(9))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_who_cannot_write_it_leaves_what_was_there(path: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    StateFile(path).remember(note(9))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync", full) if fails == "fsync" else (Path, "replace", full)))
    with pytest.raises(StateUnusable, match="No space left"):
        StateFile(path).remember(note(10))
    monkeypatch.undo()
    assert size_in(path) == 9
    StateFile(path).remember(note(11))
    assert size_in(path) == 11


def test_what_a_process_left_behind_half_written_is_no_hindrance(path: Path) -> None:
    path.with_name("log.state.new").write_text('{"countersign_lo')
    StateFile(path).remember(note(9))
    assert size_in(path) == 9


def test_many_at_once_remember_the_largest(path: Path) -> None:
    writers = [threading.Thread(target=StateFile(path).remember, args=(note(size),)) for size in range(1, 9)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert size_in(path) == 8


GARBAGE = {
    "not JSON": b"{",
    "another object": b"{}",
    "a list": b"[]",
    "a later format": b'{"countersign_log_state": 2, "notes": {}}',
    "notes of another shape": b'{"countersign_log_state": 1, "notes": []}',
    "a note that is none": b'{"countersign_log_state": 1, "notes": {"log.test": "x"}}',
    "a number": b'{"countersign_log_state": 1, "notes": {"log.test": 5}}',
    "binary": b"\xff\xfe\x00",
    "endless": b" " * 10 + b'{"countersign_log_state": 1, "notes": {' + b" " * 1_048_576,
}


@pytest.mark.parametrize("what", list(GARBAGE))
def test_what_no_recorder_wrote_is_refused_and_kept(path: Path, what: str) -> None:
    path.write_bytes(GARBAGE[what])
    with pytest.raises(StateUnusable, match="not what a recorder wrote"):
        StateFile(path).read()
    with pytest.raises(StateUnusable):
        StateFile(path).remember(note(9))
    assert path.read_bytes() == GARBAGE[what]


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_one_that_others_can_change_is_not_relied_on(path: Path, mode: int) -> None:
    StateFile(path).remember(note(9))
    StateFile(path).ready()
    path.chmod(mode)
    with pytest.raises(StateUnusable, match="chmod go-w"):
        StateFile(path).ready()


def test_a_folder_that_is_not_there_is_noticed_at_the_start(path: Path) -> None:
    StateFile(path).ready()
    with pytest.raises(StateUnusable, match="is not a folder"):
        StateFile(path / "deeper" / "log.state").ready()


def test_a_note_under_another_name_is_refused(path: Path) -> None:
    StateFile(path).remember(note(9, "other.test"))
    path.write_text(path.read_text().replace('"other.test"', '"log.test"'))
    with pytest.raises(StateUnusable):
        StateFile(path).read()


async def test_a_process_remembers_also_what_its_file_forgot(path: Path) -> None:
    memory = Memory(LogIdentity((log_key(),), path))
    await memory.keep(note(9))
    path.write_bytes(b"")
    last = memory.recall().last
    assert last is not None
    assert last.size == 9


@pytest.mark.parametrize("meanwhile", [8, 9, 10], ids=["earlier", "of the same size", "later"])
async def test_two_that_share_a_file_but_no_database_never_sign_beside_each_other(path: Path, meanwhile: int) -> None:
    one, other = (Memory(LogIdentity((log_key(),), path)) for _ in range(2))
    await one.keep_new(note(7), None)
    known = other.recall().last
    await one.keep_new(str(sign_checkpoint(Checkpoint("log.test", meanwhile, bytes(32)), [log_key()])), known)
    with pytest.raises(StateUnusable, match="meanwhile"):
        await other.keep_new(note(9), known)
    assert size_in(path) == meanwhile
    last = other.recall().last
    assert last == one.recall().last
    # What goes on from what it sees now is its own to decide.
    await other.keep_new(note(11), last)
    assert size_in(path) == 11


async def test_what_a_file_forgot_is_in_it_again_with_the_next_that_is_signed(path: Path) -> None:
    memory = Memory(LogIdentity((log_key(),), path))
    await memory.keep_new(note(9), None)
    path.write_bytes(b"")
    await memory.keep_new(note(10), memory.recall().last)
    assert size_in(path) == 10
