"""What takes seconds is compiled by one of those who start together; and nobody waits for ever, or for nothing."""

from __future__ import annotations

import fcntl
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Event, Lock
from typing import BinaryIO

import pytest

from countersign.catalogue import compiling
from countersign.catalogue.compiling import one_at_a_time

PACKAGE = "kingfisher-secret-scanner"
GIVEN_UP_S = 30.0


def held(folder: Path) -> BinaryIO:
    """The lock, as another process holds it."""
    lock = (folder / "compiling").open("wb")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def test_one_compiles_and_the_others_come_after_it(tmp_path: Path) -> None:
    inside, together, another = Lock(), Barrier(4), Event()
    alone: list[bool] = []

    def start() -> None:
        together.wait(GIVEN_UP_S)
        with one_at_a_time(tmp_path, PACKAGE):
            first = not any(tmp_path.glob("compiled-*"))
            if first:
                alone.append(inside.acquire(blocking=False))
                if not alone[-1]:
                    another.set()
                # Long enough for one that is let in to be seen.
                another.wait(0.2)

    with ThreadPoolExecutor(4) as threads:
        for started in [threads.submit(start) for _ in range(4)]:
            started.result(GIVEN_UP_S)
    assert alone == [True]


def test_what_is_compiled_already_is_loaded_by_all_at_once(tmp_path: Path) -> None:
    with one_at_a_time(tmp_path, PACKAGE):
        pass
    with held(tmp_path), one_at_a_time(tmp_path, PACKAGE):
        entered = True
    assert entered


def test_a_process_that_stands_still_keeps_nobody_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "LONGEST_WAIT_S", 0.1)
    with held(tmp_path), one_at_a_time(tmp_path, PACKAGE):
        entered = True
    assert entered


def test_one_that_fails_leaves_the_others_their_turn(tmp_path: Path) -> None:
    with suppress(OSError), one_at_a_time(tmp_path, PACKAGE):
        raise OSError("damaged")
    assert not any(tmp_path.glob("compiled-*"))
    with one_at_a_time(tmp_path, PACKAGE):
        pass
    assert any(tmp_path.glob("compiled-*"))


@pytest.mark.parametrize("folder", [None, "missing"])
def test_without_a_folder_to_write_to_it_runs_all_the_same(tmp_path: Path, folder: str | None) -> None:
    ran = Event()
    with one_at_a_time(None if folder is None else tmp_path / folder, PACKAGE):
        ran.set()
    assert ran.is_set()
