"""A body goes onto its shelf encrypted or not at all, and comes back only with the key of its month."""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from countersign.recorder.bodies import BodyKeeper, BodyUnreadable, NotShut, Shelved
from countersign.recorder.body_cipher import cipher_of
from countersign.runtime.body_keys import key_file, write_key
from countersign.runtime.postgres import DatabaseError

EVENT = uuid.UUID(int=7)
SALT = bytes(range(32))
BODIES = {"short": b"canary", "long": b"canary " * 1_000, "random": bytes(range(256)) * 3}


def this_month() -> date:
    return datetime.now(UTC).date().replace(day=1)


class Folder:
    """What gateway.yaml says of keys; changes by an edit."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.keeper = BodyKeeper(cipher_of(lambda: self.name))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    write_key(tmp_path, this_month())
    return Folder(tmp_path)


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_neither_body_nor_salt_is_seen_on_the_shelf(folder: Folder, body: bytes) -> None:
    kept = folder.keeper.shut(EVENT, SALT, body)
    assert body[:6] not in kept.content
    assert SALT not in kept.content
    opened = folder.keeper.open(EVENT, kept)
    assert (opened.body, opened.salt) == (body, SALT)


def test_without_the_key_nothing_is_shut_away_and_nothing_acknowledged(folder: Folder, tmp_path: Path) -> None:
    key_file(tmp_path, this_month()).unlink()
    with pytest.raises(NotShut, match="countersign keep new-key") as caught:
        folder.keeper.shut(EVENT, SALT, b"canary")
    # What the committer waits by, while senders time out.
    assert isinstance(caught.value, DatabaseError)


def test_a_body_without_its_key_is_unreadable_and_the_log_says_which_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_key(tmp_path, this_month())
    kept = Folder(tmp_path).keeper.shut(EVENT, SALT, b"canary")
    key_file(tmp_path, this_month()).unlink()
    reader = Folder(tmp_path).keeper
    for _ in range(3):
        with pytest.raises(BodyUnreadable, match=f"{this_month():%Y-%m}"):
            reader.open(EVENT, kept)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_what_was_recorded_before_encryption_is_read_after_it_and_an_edit_turns_it_on(folder: Folder) -> None:
    name, folder.name = folder.name, ""
    plain = folder.keeper.shut(EVENT, SALT, b"canary")
    assert b"canary" in plain.content
    folder.name = name
    assert folder.keeper.open(EVENT, plain).body == b"canary"
    kept = folder.keeper.shut(EVENT, SALT, b"canary")
    folder.name = ""
    with pytest.raises(BodyUnreadable, match="name the folder"):
        folder.keeper.open(EVENT, kept)


def test_an_encrypted_body_passes_for_no_other_events_and_in_no_other_form(folder: Folder) -> None:
    kept = folder.keeper.shut(EVENT, SALT, BODIES["long"])
    with pytest.raises(BodyUnreadable):
        folder.keeper.open(uuid.UUID(int=8), kept)
    for form in (0, 1, 2, 4, 6, 7):
        with pytest.raises(BodyUnreadable):
            folder.keeper.open(EVENT, Shelved(kept.size_bytes, form, kept.content))


def test_what_is_encrypted_has_no_words(folder: Folder) -> None:
    assert folder.keeper.beginning(folder.keeper.shut(EVENT, SALT, BODIES["long"]), 100) is None
