"""A service that is told too little says which variable is missing, and never shows the key."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from countersign.runtime.settings import ServiceSettings, SettingsError, load_settings

KEY_TEXT = base64.b64encode(bytes(range(32))).decode()


def settings(**changed: str | None) -> ServiceSettings:
    env = {
        "COUNTERSIGN_CONFIG": "/etc/gateway.yaml",
        "COUNTERSIGN_RECORDER": "recorder:9000",
        "COUNTERSIGN_KEY": KEY_TEXT,
    }
    env.update({f"COUNTERSIGN_{name}": value for name, value in changed.items() if value is not None})
    for name, value in changed.items():
        if value is None:
            del env[f"COUNTERSIGN_{name}"]
    return load_settings("authz", env)


def test_where_nobody_can_be_asked_there_is_no_approver() -> None:
    assert settings().approver == settings(APPROVER="").approver == ""
    assert settings(APPROVER="approver:9000").approver == "approver:9000"


def test_by_default_nobody_but_this_machine_can_connect() -> None:
    loaded = settings()
    assert loaded.listen == "127.0.0.1:9000"
    assert loaded.listen_http == "127.0.0.1:9001"
    assert loaded.sealing_key == bytes(range(32))
    assert loaded.parent is None


@pytest.mark.parametrize("name", ["CONFIG", "RECORDER", "KEY"])
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=f"COUNTERSIGN_{name}"):
        settings(**{name: None})


@pytest.mark.parametrize("key", ["c2hvcnQ=", "not base64!"])
def test_a_bad_key_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(KEY=key)
    assert key not in str(refused.value)


def test_the_key_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY_TEXT + "\n")
    assert settings(KEY=None, KEY_FILE=str(file)).sealing_key == bytes(range(32))


def test_settings_do_not_show_the_key() -> None:
    assert KEY_TEXT not in repr(settings())
    assert repr(bytes(range(32))) not in repr(settings())


def test_a_wrong_number_of_seconds_is_refused() -> None:
    with pytest.raises(SettingsError, match="DRAIN_S"):
        settings(DRAIN_S="soon")
