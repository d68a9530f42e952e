"""Edits take force when they are sound, and only then."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from itertools import chain, repeat
from pathlib import Path

import pytest

from countersign.config import ConfigRefused, ConfigWatcher, SecretUse
from countersign.config.candidates import Reader
from countersign.config.load import Loaded, load_files, read
from tests.unit.config.files import ENV, GOOD, TOKEN, edited

OTHER = edited("Exports go", "All exports go")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(GOOD)
    return path


def message(watcher: ConfigWatcher) -> str:
    return watcher.current.rules[1].message


def test_a_file_that_is_refused_at_first_starts_nothing(file: Path) -> None:
    file.write_text("version: 1\n")
    with pytest.raises(ConfigRefused):
        ConfigWatcher(file, ENV)


def test_nothing_happens_while_nothing_changes(file: Path) -> None:
    watcher = ConfigWatcher(file, ENV)
    first = watcher.current
    file.touch()
    assert watcher.poll() is None
    file.write_text(GOOD)
    assert watcher.poll() is None
    assert watcher.current is first


def test_a_sound_edit_takes_force(file: Path) -> None:
    watcher = ConfigWatcher(file, ENV)
    file.write_text(OTHER)
    new = watcher.poll()
    assert new is watcher.current
    assert message(watcher).startswith("All exports")
    assert watcher.poll() is None


def test_an_edit_of_the_same_size_and_time_is_seen(file: Path) -> None:
    watcher = ConfigWatcher(file, ENV)
    status = file.stat()
    file.write_text(edited("Exports go", "Exports GO"))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert watcher.poll() is not None


def test_a_rename_into_place_is_seen(file: Path, tmp_path: Path) -> None:
    watcher = ConfigWatcher(file, ENV)
    (tmp_path / "new").write_text(OTHER)
    (tmp_path / "new").replace(file)
    assert watcher.poll() is not None


def test_a_swapped_link_is_seen(tmp_path: Path) -> None:
    """As Kubernetes does it: the file is a link into a linked folder, and the folder's link is replaced."""
    for name, text in (("one", GOOD), ("two", OTHER)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "gateway.yaml").write_text(text)
    (tmp_path / "data").symlink_to("one")
    (tmp_path / "gateway.yaml").symlink_to("data/gateway.yaml")
    watcher = ConfigWatcher(tmp_path / "gateway.yaml", ENV)
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").replace(tmp_path / "data")
    assert watcher.poll() is not None


@pytest.mark.parametrize("broken", ["version: 1\n", "", "{", GOOD + "unknown: 1\n", GOOD.replace("pii]", "pi]")])
def test_a_broken_edit_leaves_the_version_in_force_until_mended(file: Path, broken: str) -> None:
    watcher = ConfigWatcher(file, ENV)
    first = watcher.current
    file.write_text(broken)
    assert watcher.poll() is None
    problem = watcher.problem
    assert problem is not None
    assert watcher.poll() is None
    assert watcher.problem is problem  # the same one, so that it is reported once
    assert watcher.current is first
    file.write_text(OTHER)
    assert watcher.poll() is not None
    assert watcher.problem is None


def test_a_broken_edit_that_is_taken_back_is_no_problem_any_more(file: Path) -> None:
    watcher = ConfigWatcher(file, ENV)
    file.write_text("{")
    watcher.poll()
    file.write_text(GOOD)
    assert watcher.poll() is None
    assert watcher.problem is None


def test_a_missing_file_is_a_problem_and_no_crash(file: Path) -> None:
    watcher = ConfigWatcher(file, ENV)
    file.unlink()
    assert watcher.poll() is None
    assert watcher.problem is not None
    file.write_text(GOOD)
    watcher.poll()
    assert watcher.problem is None


def test_what_is_refused_is_not_tried_again_until_it_is_edited(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = ConfigWatcher(file, ENV)
    loads = list[Path]()

    def counted(path: Path, env: Mapping[str, str], reads: Collection[SecretUse], reader: Reader) -> Loaded:
        loads.append(path)
        return load_files(path, env, reads, reader)

    monkeypatch.setattr("countersign.config.watch.load_files", counted)
    for broken in ("version: 1\n", "version: 2\n"):
        file.write_text(broken)
        for _ in range(5):
            assert watcher.poll() is None
        assert watcher.problem is not None
    assert len(loads) == 2
    file.unlink()
    for _ in range(5):
        assert watcher.poll() is None
    assert len(loads) == 3
    file.write_text(OTHER)
    assert watcher.poll() is not None
    assert len(loads) == 4


def test_an_edit_takes_force_once_the_credential_that_it_lacked_is_there(file: Path, tmp_path: Path) -> None:
    watcher = ConfigWatcher(file, ENV)
    file.write_text(edited("{env: ORDERS_TOKEN}", "{file: token}"))
    watcher.poll()
    assert watcher.problem is not None
    (tmp_path / "token").touch(0o600)
    (tmp_path / "token").write_text(TOKEN)
    assert watcher.poll() is not None
    assert watcher.problem is None


def test_half_a_file_never_takes_force(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there while an editor writes may be sound and lack the denials that follow."""
    whole, half = OTHER, OTHER[: OTHER.index("  - name: no exports")] + OTHER[OTHER.index("masks:") :]
    watcher = ConfigWatcher(file, ENV)
    first = watcher.current
    file.write_text(half)
    written_meanwhile = chain([half], repeat(whole))

    def read_while_written(path: Path) -> bytes:
        data = read(path)
        file.write_text(next(written_meanwhile))
        return data

    monkeypatch.setattr("countersign.config.watch.read", read_while_written)
    assert watcher.poll() is None
    assert watcher.current is first
    assert watcher.problem is None
    assert watcher.poll() is not None
    assert len(watcher.current.rules) == 2
