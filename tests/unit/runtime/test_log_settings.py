"""The recorder does not start without a log that can be trusted; nobody else is asked for it, or told of it."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from countersign.runtime.settings import ServiceSettings, SettingsError, load_settings
from tests.support.log_keys import log_key

KEY = log_key().secret_text()


def settings(service: str = "recorder", **log: str) -> ServiceSettings:
    env = {
        "COUNTERSIGN_CONFIG": "/etc/gateway.yaml",
        "COUNTERSIGN_RECORDER": "recorder:9000",
        "COUNTERSIGN_KEY": base64.b64encode(bytes(32)).decode(),
    }
    return load_settings(service, env | {f"COUNTERSIGN_LOG_{name}": value for name, value in log.items()})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "log.keys"
    path.write_text(KEY)
    path.chmod(0o600)
    return path


def test_keys_come_from_a_file_or_from_the_environment(file: Path) -> None:
    for given in ({"KEYS_FILE": str(file)}, {"KEYS": KEY}):
        log = settings(STATE="/state/log", **given).log
        assert log is not None
        assert (log.keys, log.state) == (KEY, Path("/state/log"))


def test_what_is_missing_is_named_with_its_remedy() -> None:
    with pytest.raises(SettingsError, match=r"countersign log new-key.*COUNTERSIGN_LOG_KEYS_FILE"):
        settings(STATE="/state/log")
    with pytest.raises(SettingsError, match=r"COUNTERSIGN_LOG_STATE.*outside of the database"):
        settings(KEYS=KEY)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644, 0o666])
def test_a_file_that_everybody_reads_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(SettingsError, match="chmod o-rwx"):
        settings(KEYS_FILE=str(file), STATE="/state/log")


def test_a_file_that_cannot_be_read_is_refused(file: Path) -> None:
    file.write_bytes(b"\xff")
    for path in (file, file.with_name("none")):
        with pytest.raises(SettingsError, match="cannot be read"):
            settings(KEYS_FILE=str(path), STATE="/state/log")


@pytest.mark.parametrize("service", ["authz", "masker", "approver"])
def test_no_other_service_reads_it(service: str) -> None:
    assert settings(service, KEYS=KEY, STATE="/state/log").log is None


def test_it_is_not_shown(file: Path) -> None:
    shown = settings(KEYS=KEY, STATE="/state/log")
    assert KEY not in f"{shown!r}{shown.log!r}"
