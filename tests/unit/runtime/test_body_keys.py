"""Keys of bodies: one for each month, for its owner alone, never written over, and gone when its file is."""

from __future__ import annotations

import base64
import stat
from datetime import date
from pathlib import Path

import pytest

from countersign.runtime.body_keys import (
    KEY_BYTES,
    LOOKED_AT_EVERY_S,
    BodyKeys,
    NoBodyKey,
    following,
    key_file,
    parse_month,
    write_key,
)

NOVEMBER = date(2026, 11, 1)


def test_a_key_is_its_owners_alone_and_never_written_over(tmp_path: Path) -> None:
    path = write_key(tmp_path / "keys", NOVEMBER)
    assert path == tmp_path / "keys" / "2026-11.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(base64.b64decode(path.read_bytes())) == KEY_BYTES
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        write_key(tmp_path / "keys", NOVEMBER)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_key_that_was_taken_away_is_used_no_more(tmp_path: Path) -> None:
    now = 0.0
    keys = BodyKeys(tmp_path, monotonic=lambda: now)
    path = write_key(tmp_path, NOVEMBER)
    key = keys.of(NOVEMBER)
    path.unlink()
    assert keys.of(NOVEMBER) == key
    now += LOOKED_AT_EVERY_S
    with pytest.raises(NoBodyKey, match=r"2026-11 cannot be had.*countersign keep new-key 2026-11"):
        keys.of(NOVEMBER)


BAD = {
    "too short": (base64.b64encode(bytes(31)), "is not 32 bytes"),
    "no base64": (b"\xff" * 44, "is not 32 bytes"),
    "empty": (b"", "is not 32 bytes"),
    "far too long": (b"A" * 5_000, "larger than"),
}


@pytest.mark.parametrize(("content", "what"), BAD.values(), ids=list(BAD))
def test_what_is_no_key_is_refused_without_showing_it(tmp_path: Path, content: bytes, what: str) -> None:
    path = key_file(tmp_path, NOVEMBER)
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(NoBodyKey, match=what) as caught:
        BodyKeys(tmp_path).of(NOVEMBER)
    assert caught.value.month == NOVEMBER
    assert len(str(caught.value)) < 200


def test_a_key_that_everyone_can_use_is_refused(tmp_path: Path) -> None:
    write_key(tmp_path, NOVEMBER).chmod(0o604)
    with pytest.raises(NoBodyKey, match="everyone on this machine"):
        BodyKeys(tmp_path).of(NOVEMBER)


def test_a_folder_or_a_pipe_in_its_place_holds_nobody_up(tmp_path: Path) -> None:
    key_file(tmp_path, NOVEMBER).mkdir()
    with pytest.raises(NoBodyKey, match="cannot be had"):
        BodyKeys(tmp_path).of(NOVEMBER)


def test_months_follow_each_other_over_the_year() -> None:
    assert parse_month("2026-12") == date(2026, 12, 1)
    assert following(parse_month("2026-12")) == date(2027, 1, 1)
    assert following(NOVEMBER) == date(2026, 12, 1)


@pytest.mark.parametrize("text", ["", "2026-13", "2026-1", "2026-11 ", "26-11", "0000-01", "2026-11.key", "../26-11"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no month"):
        parse_month(text)
