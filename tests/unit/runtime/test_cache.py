"""A cache that somebody else could have written to is not used."""

from __future__ import annotations

from pathlib import Path

import pytest

from countersign.runtime.cache import private_cache


def test_a_missing_directory_is_made_for_this_user_alone(tmp_path: Path) -> None:
    made = private_cache(tmp_path / "deep" / "cache")
    assert made is not None
    assert made.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_directory_that_others_can_write_to_is_not_used(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    assert private_cache(tmp_path) is None


def test_what_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert private_cache(tmp_path / "file" / "cache") is None
    assert private_cache(None) is None
