"""docs/policy.md and docs/examples say what is so: their commands run, their cases pass."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from countersign.cli.main import app
from countersign.demo.places import Places

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "policy.md").read_text("utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
LOCAL = [line for line in COMMANDS if "token-file" not in line]


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(DOCS / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path / "examples")
    return tmp_path / "examples"


def run(line: str) -> Result:
    program, *arguments = shlex.split(line)
    assert program == "countersign"
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize("line", LOCAL)
def test_each_command_that_needs_no_gateway_does_what_is_said(examples: Path, line: str) -> None:
    result = run(line)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("line", [line for line in COMMANDS if line not in LOCAL])
def test_each_other_command_is_one_that_there_is(examples: Path, line: str) -> None:
    (examples / "new.yaml").write_text((examples / "gateway.yaml").read_text())
    result = run(line)
    # It gets as far as the token, which is not there.
    assert (result.exit_code, "carol.token" in result.stderr) == (2, True)


def test_the_explanation_shown_is_the_one_that_is_printed(examples: Path) -> None:
    [shown] = re.findall(r"```\n(RULE.*?)```", TEXT, re.DOTALL)
    printed = [line.rstrip() for line in run(LOCAL[0]).stdout.splitlines()]
    assert [line for line in shown.splitlines() if line not in printed] == []


def test_the_cases_shown_pass(examples: Path) -> None:
    [shown] = re.findall(r"```yaml\n(config: .*?)```", TEXT, re.DOTALL)
    (examples / "shown.yaml").write_text(shown)
    assert run("countersign policy test shown.yaml").exit_code == 0


def test_the_demo_passes_the_cases_of_its_example(examples: Path, tmp_path: Path) -> None:
    places = Places(tmp_path, gateway_port=8080, issuer_port=8090, orders_port=9000)
    places.write_config()
    result = run(f"countersign policy test demo-policy-tests.yaml -c {places.config}")
    assert result.exit_code == 0, result.output


def test_every_option_is_in_the_documentation() -> None:
    group = typer.main.get_command(app)
    assert hasattr(group, "commands")
    common = {"--help", "--gateway", "--token", "--token-file", "--config"}
    for command in group.commands["policy"].commands.values():
        options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        assert [option for option in sorted(options - common) if option not in TEXT] == []
