"""Credentials come from elsewhere, are refused when unsafe, and show nowhere."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from countersign.config import ConfigRefused, GatewayConfig, Secret, SecretUse, load
from countersign.config.types_credentials import Bearer, Stated
from tests.unit.config.files import ENV, GOOD, TOKEN, edited, loaded, pointed_at, refused

SOURCE = "{env: ORDERS_TOKEN}"
FROM_FILE = edited(SOURCE, "{file: token}")
LITERAL = "sk-" + "live-" + "0123456789abcdef"
DSN = "recording: {mode: required, postgres: {env: DSN}}"


def bearer_of(config: GatewayConfig) -> Secret:
    credential = config.targets["orders"].credential
    assert credential is not None
    assert isinstance(credential.how, Bearer)
    assert isinstance(credential.how.token, Stated)
    return credential.how.token.secret


def private(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("data", [TOKEN, TOKEN + "\n", TOKEN + "\r\n"])
def test_a_file_gives_its_one_line(tmp_path: Path, data: str) -> None:
    private(tmp_path / "token", data.encode())
    assert bearer_of(loaded(tmp_path, FROM_FILE)) == Secret(TOKEN)


def test_a_relative_file_is_relative_to_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    private(tmp_path / "token", TOKEN.encode(), 0o640)
    assert bearer_of(loaded(tmp_path, FROM_FILE)) == Secret(TOKEN)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: None, "cannot be read (No such file or directory)"),
        (lambda path: path.mkdir(mode=0o700), "not a file"),
        (lambda path: os.mkfifo(path, 0o600), "not a file"),
        (lambda path: private(path, b""), "the file is empty"),
        (lambda path: private(path, b" \n"), "the file is empty"),
        (lambda path: private(path, b"one\ntwo"), "several lines"),
        (lambda path: private(path, b"one\n\n"), "no HTTP header may hold"),
        (lambda path: private(path, b"\xff\xfe"), "not UTF-8"),
        (lambda path: private(path, b"x" * 20_000), "larger than"),
        (lambda path: private(path, b"one two"), "no HTTP header may hold"),
        (lambda path: private(path, b"one\x00two"), "no HTTP header may hold"),
        (lambda path: private(path, "tökén".encode()), "no HTTP header may hold"),
        (lambda path: private(path, TOKEN.encode(), 0o644), "everyone on this machine"),
        (lambda path: private(path, TOKEN.encode(), 0o602), "everyone on this machine"),
    ],
)
def test_a_file_that_is_unsafe_or_holds_no_credential_is_refused(
    tmp_path: Path, make: Callable[[Path], object], what: str
) -> None:
    make(tmp_path / "token")
    (problem,) = refused(tmp_path, FROM_FILE)
    assert what in problem.what
    assert pointed_at(FROM_FILE, problem).startswith("token}")


@pytest.mark.parametrize(
    ("env", "what"),
    [
        ({}, "the environment variable ORDERS_TOKEN is not set"),
        ({"orders_token": TOKEN}, "is not set"),
        ({"ORDERS_TOKEN": ""}, "the environment variable ORDERS_TOKEN is empty"),
        ({"ORDERS_TOKEN": "a\r\nX-Admin: 1"}, "no HTTP header may hold"),
        ({"ORDERS_TOKEN": TOKEN + "\n"}, "no HTTP header may hold"),
        ({"ORDERS_TOKEN": "a\udcff"}, "no HTTP header may hold"),
    ],
)
def test_a_variable_that_is_unset_or_unsafe_is_refused(tmp_path: Path, env: dict[str, str], what: str) -> None:
    (problem,) = refused(tmp_path, GOOD, env)
    assert what in problem.what


@pytest.mark.parametrize(
    "source",
    [
        f"{{bearer: {LITERAL}}}",
        f"{{bearer: {{env: {LITERAL}}}}}",
        f"{{bearer: {{env: {LITERAL.replace('-', '_')}}}}}",
        f"{{bearer: {{env: {LITERAL.replace('-', '').upper()}}}}}",
        f"{{bearer: {{file: {LITERAL}}}}}",
        f"{{bearer: {{{LITERAL}: x}}}}",
        f"{{bearer: {{{LITERAL}}}}}",
        f"{{bearer: [{LITERAL}]}}",
        LITERAL,
        f"[{LITERAL}]",
    ],
)
def test_a_literal_credential_is_refused_and_not_repeated(tmp_path: Path, source: str) -> None:
    text = edited(f"{{bearer: {SOURCE}}}", source)
    shown = str([str(problem) for problem in refused(tmp_path, text)]).lower()
    assert "0123456789abcdef" not in shown


@pytest.mark.parametrize("source", [f"{{bearer: {LITERAL}}}", LITERAL, f"{{bearer: {{{LITERAL}: x}}}}", "{bearer: 5}"])
def test_a_literal_credential_is_told_where_it_belongs(tmp_path: Path, source: str) -> None:
    (problem,) = refused(tmp_path, edited(f"{{bearer: {SOURCE}}}", source))
    assert problem.remedy == "never a literal: use {env: NAME} or {file: path}"


def test_a_literal_dsn_is_refused_and_not_repeated(tmp_path: Path) -> None:
    text = edited("recording: {mode: required}", f'recording: {{postgres: "postgresql://u:{LITERAL}@h/d"}}')
    (problem,) = refused(tmp_path, text)
    assert problem.remedy == "never a literal: use {env: NAME} or {file: path}"
    assert LITERAL not in str(problem)


@pytest.mark.parametrize("source", ["{env: ORDERS_TOKEN, file: token}", "{}"])
def test_a_credential_has_one_source(tmp_path: Path, source: str) -> None:
    private(tmp_path / "token", TOKEN.encode())
    (problem,) = refused(tmp_path, edited(SOURCE, source))
    assert "one of `env` and `file`" in problem.what


@pytest.mark.parametrize("dsn", ["not a dsn", "mysql://u@h/d", "host=h\ndbname=d"])
def test_what_is_no_dsn_is_refused_and_not_repeated(tmp_path: Path, dsn: str) -> None:
    (problem,) = refused(tmp_path, edited("recording: {mode: required}", DSN), {**ENV, "DSN": dsn})
    assert dsn not in str(problem)


@pytest.mark.parametrize("dsn", ["postgresql://u@h/d", "postgres:///d", "host=h dbname=d"])
def test_every_form_of_dsn_is_taken(tmp_path: Path, dsn: str) -> None:
    config = loaded(tmp_path, edited("recording: {mode: required}", DSN), {**ENV, "DSN": dsn})
    assert config.postgres_dsn == Secret(dsn)


def test_a_secret_shows_in_no_rendering(tmp_path: Path) -> None:
    config = loaded(tmp_path, GOOD)
    secret = bearer_of(config)
    assert secret.reveal() == TOKEN
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r}", "%s" % secret, repr(config), str([secret])):  # noqa: UP031  # every way of formatting
        assert TOKEN not in shown
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_neither_pickled_nor_copied(take: Callable[[object], object]) -> None:
    with pytest.raises(TypeError) as caught:
        take(Secret(TOKEN))
    assert TOKEN not in str(caught.value)


def test_a_configuration_is_not_turned_into_plain_data_with_its_secrets(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        dataclasses.asdict(loaded(tmp_path, GOOD).targets["orders"])


def test_secrets_are_equal_by_value_and_to_nothing_else() -> None:
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert Secret("\udcff") == Secret("\udcff")


def test_a_service_reads_only_the_credentials_that_it_uses(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(
        """
version: 1
gateway: {url: "https://gateway.test"}
identity: {oidc: [{issuer: "https://idp.test"}]}
targets: {orders: {mcp: "https://orders.test/mcp", credential: {bearer: {env: ORDERS_TOKEN}}}}
rules: [{name: r, allow: {groups: [g]}}]
recording: {mode: required, postgres: {env: POSTGRES_DSN}}
"""
    )
    config = load(path, {}, reads=frozenset())
    unread = bearer_of(config)
    with pytest.raises(PermissionError):
        unread.reveal()
    with pytest.raises(ConfigRefused, match="ORDERS_TOKEN"):
        load(path, {"POSTGRES_DSN": "postgresql://u@h/d"}, reads={SecretUse.TARGETS})
