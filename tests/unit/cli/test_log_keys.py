"""Keys of the log are made, and added to, without losing or showing one."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from countersign.cli.main import app
from countersign.recorder.log.identity import log_identity
from countersign.tlog import KeyKind, parse_signer, parse_verifier


def new_key(*given: str) -> Result:
    return CliRunner().invoke(app, ["log", "new-key", *given])


def test_a_key_is_for_its_owner_alone_and_its_public_half_is_printed(tmp_path: Path) -> None:
    file = tmp_path / "log.keys"
    made = new_key("gateway.example.com", "--out", str(file))
    assert made.exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert parse_verifier(made.stdout.strip()) == log_identity(file.read_text(), file).signers[0].verifier
    assert "PRIVATE" not in made.stdout


def test_another_key_of_the_name_is_added_behind_the_first(tmp_path: Path) -> None:
    file = tmp_path / "log.keys"
    printed = [new_key("log.test", "--out", str(file)).stdout.strip() for _ in range(2)]
    assert [str(key) for key in log_identity(file.read_text(), file).verifiers] == printed


@pytest.mark.parametrize("content", ["something else\n", "another name"])
def test_a_file_that_holds_something_else_stays_as_it_was(tmp_path: Path, content: str) -> None:
    file = tmp_path / "log.keys"
    if content == "another name":
        new_key("other.test", "--out", str(file))
        content = file.read_text()
    file.write_text(content)
    refused = new_key("log.test", "--out", str(file))
    assert refused.exit_code == 1
    assert file.read_text() == content
    assert all(line not in refused.output for line in content.splitlines())


def test_a_witness_has_one_key_of_its_own_kind(tmp_path: Path) -> None:
    file = tmp_path / "witness.key"
    made = new_key("witness.test", "--witness", "--out", str(file))
    assert parse_verifier(made.stdout.strip()).kind is KeyKind.COSIGNATURE
    assert parse_signer(file.read_text().strip()).name == "witness.test"
    before = file.read_text()
    for again in (["--witness"], []):
        assert new_key("witness.test", *again, "--out", str(file)).exit_code == 1
    assert file.read_text() == before


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb", "x" * 300])
def test_a_name_that_no_log_can_have_is_refused(tmp_path: Path, name: str) -> None:
    refused = new_key(name, "--out", str(tmp_path / "log.keys"))
    assert refused.exit_code == 2
    assert not (tmp_path / "log.keys").exists()
