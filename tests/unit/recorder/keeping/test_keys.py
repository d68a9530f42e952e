"""A missing key is said before it is needed, and not every minute."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from countersign.recorder.keeping.keys import KeyWatch
from countersign.runtime.body_keys import write_key


class Looking:
    """A watch whose time and folder a test sets."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.now = datetime(2026, 11, 20, tzinfo=UTC)
        self.watch = KeyWatch(lambda: self.folder, lambda: int(self.now.timestamp() * 1e6))

    def look(self, day: int, month: int = 11) -> str:
        self.now = datetime(2026, month, day, tzinfo=UTC)
        return self.watch.look()


@pytest.fixture
def looking(tmp_path: Path) -> Looking:
    return Looking(tmp_path)


def test_the_next_months_key_is_asked_for_a_week_ahead(looking: Looking, tmp_path: Path) -> None:
    write_key(tmp_path, date(2026, 11, 1))
    assert looking.look(23) == ""
    assert looking.look(24).startswith("from 2026-12-01 on nothing with a body can be recorded")
    assert "countersign keep new-key 2026-12" in looking.look(30)
    write_key(tmp_path, date(2026, 12, 1))
    assert looking.look(30) == ""
    assert looking.look(1, 12) == ""


def test_this_months_key_is_what_matters_first(looking: Looking, tmp_path: Path) -> None:
    write_key(tmp_path, date(2026, 12, 1))
    assert looking.look(25).startswith("nothing with a body can be recorded: the key of bodies of 2026-11")


def test_it_is_said_once_and_again_after_a_day(looking: Looking, caplog: pytest.LogCaptureFixture) -> None:
    looking.look(20)
    looking.look(20)
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.ERROR]
    looking.look(21)
    assert len(caplog.records) == 3


def test_who_does_not_encrypt_needs_no_key(looking: Looking, caplog: pytest.LogCaptureFixture) -> None:
    looking.folder = ""
    assert looking.look(30) == ""
    assert caplog.records == []


def test_turning_it_on_says_what_search_covers_no_more(
    looking: Looking, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_key(tmp_path, date(2026, 11, 1))
    looking.look(20)
    assert "full-text search does not cover" in caplog.text
