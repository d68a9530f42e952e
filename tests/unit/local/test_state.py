"""Nobody but its owner reads or changes what lies in the state directory, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from countersign.local.state import StateError, open_state


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
def test_others_can_pass_through_and_nothing_else(tmp_path: Path) -> None:
    state = open_state(tmp_path / "s")
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (state.root, *state.root.iterdir())}
    assert all(mode & 0o066 == 0 for mode in modes.values()), modes
    assert modes[state.logs] == modes[state.envoy] == 0o700


def test_a_directory_is_used_by_one_gateway_at_a_time(tmp_path: Path) -> None:
    open_state(tmp_path / "s")
    with pytest.raises(StateError, match="in use"):
        open_state(tmp_path / "s")


def test_a_directory_that_somebody_else_prepared_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(StateError, match="another user"):
        open_state(tmp_path / "s")
