"""The catalogue, begun to be loaded while a process imports the rest: loaded once, and never silently missing."""

from __future__ import annotations

from pathlib import Path
from threading import Event, get_ident

import kingfisher_sdk
import pytest

from countersign import catalogue
from countersign.catalogue import load_ahead

GIVEN_UP_S = 30.0


class Loads:
    """In place of the catalogue: where it was loaded from, and in which threads, once ``may_go_on`` is set."""

    def __init__(self) -> None:
        self.folders: list[Path | None] = []
        self.threads: list[int] = []
        self.may_go_on = Event()
        self.may_go_on.set()
        self.fails = False

    def rules(self, *, cache: bool, cache_dir: Path | None) -> object:
        assert self.may_go_on.wait(GIVEN_UP_S)
        self.folders.append(cache_dir)
        self.threads.append(get_ident())
        if self.fails:
            raise OSError("damaged")
        assert cache is (cache_dir is not None)
        return object()

    def scanner(self, rules: object, *, base64: bool) -> object:
        assert not base64
        return rules


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    made = Loads()
    monkeypatch.setattr(kingfisher_sdk, "Rules", made.rules)
    monkeypatch.setattr(kingfisher_sdk, "Scanner", made.scanner)
    return made


def test_what_was_begun_is_waited_for_and_not_loaded_again(loads: Loads, tmp_path: Path) -> None:
    loads.may_go_on.clear()
    load_ahead(tmp_path)
    load_ahead(tmp_path)
    loads.may_go_on.set()
    assert catalogue.load(tmp_path) is not None
    assert loads.folders == [tmp_path]
    assert loads.threads != [get_ident()]


def test_what_failed_ahead_fails_when_it_is_wanted(loads: Loads, tmp_path: Path) -> None:
    loads.fails = True
    load_ahead(tmp_path)
    with pytest.raises(OSError, match="damaged"):
        catalogue.load(tmp_path)


def test_what_was_begun_from_one_folder_stands_for_no_other(loads: Loads, tmp_path: Path) -> None:
    load_ahead(None)
    catalogue.load(tmp_path)
    assert sorted(map(str, loads.folders)) in ([str(tmp_path)], sorted(["None", str(tmp_path)]))
    catalogue.load(None)
    assert sorted(map(str, loads.folders)) == sorted(["None", str(tmp_path)])


def test_a_second_load_is_its_own(loads: Loads, tmp_path: Path) -> None:
    load_ahead(tmp_path)
    assert catalogue.load(tmp_path) is not catalogue.load(tmp_path)
    assert loads.folders == [tmp_path, tmp_path]
