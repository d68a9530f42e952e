"""``countersign check``: ten problems for people, all of them for programs, and what a good file holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from countersign.cli.main import app

GOOD = """\
version: 1
gateway: {url: "https://mcp.example.com"}
identity: {oidc: [{issuer: "https://login.example.com"}]}
targets: {orders: {mcp: "https://orders.example/mcp"}}
rules:
  - {name: all, allow: {groups: ["*"]}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gateway.yaml"


def test_people_are_shown_ten_problems_and_programs_all(file: Path) -> None:
    file.write_text(GOOD + "".join(f"  - {{name: r{n}, alow: {{groups: [a]}}}}\n" for n in range(13)))
    shown = CliRunner().invoke(app, ["check", "-c", str(file)])
    assert shown.exit_code == 1
    lines = shown.stderr.splitlines()
    assert len(lines) == 11
    assert lines[0] == f"{file}:7:16: unknown key `alow`: did you mean `allow`?"
    assert lines[10] == "... and 3 more"
    told = CliRunner().invoke(app, ["check", "-c", str(file), "--json"])
    assert told.exit_code == 1
    assert [problem["line"] for problem in json.loads(told.stdout)["problems"]] == list(range(7, 20))


def test_a_good_file_is_counted(file: Path) -> None:
    file.write_text(
        GOOD
        + "  - {name: x, deny: {kind: agent}, mode: shadow}\n"
        + "rate_limits: [{name: fair, calls: 60, per: 1m}]\n"
    )
    shown = CliRunner().invoke(app, ["check", "-c", str(file)])
    assert shown.exit_code == 0
    assert "1 targets, 2 rules, 0 masks, 1 rate limits, 1 rules on trial)" in shown.stdout


def test_a_candidate_is_named_by_its_version(file: Path) -> None:
    file.write_text(GOOD + "shadow: candidate.yaml\n")
    file.with_name("candidate.yaml").write_text(GOOD)
    told = json.loads(CliRunner().invoke(app, ["check", "-c", str(file), "--json"]).stdout)
    assert told["valid"]
    assert told["candidate_version"] != told["policy_version"]
    shown = CliRunner().invoke(app, ["check", "-c", str(file)])
    assert f"candidate {told['candidate_version']} on trial" in shown.stdout
