"""Nobody but its owner reads or changes what lies in the state directory, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from countersign.local.state import StateError, make_log_key, open_state
from countersign.recorder.log.identity import log_identity


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


@pytest.mark.usefixtures("no_umask")
def test_the_log_s_key_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    state = open_state(tmp_path / "s")
    make_log_key(state, "gateway.test")
    made = state.log_keys.read_text()
    assert stat.S_IMODE(state.log_keys.stat().st_mode) == 0o600
    make_log_key(state, "moved.test")
    assert state.log_keys.read_text() == made
    assert log_identity(made, state.log_state).origin == "gateway.test"


def test_a_host_that_no_log_can_be_named_by_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"gateway\.url"):
        make_log_key(open_state(tmp_path / "s"), "")
