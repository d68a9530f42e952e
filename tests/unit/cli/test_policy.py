"""`countersign policy explain | test` over files, and over a record in memory."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from typer.testing import CliRunner

from countersign.cli.main import app
from countersign.model.event import Finding
from tests.support.events import new_id, request
from tests.unit.cli.policy_record import HEAVY, LIMITED, TOKEN, Scripted, run, traffic
from tests.unit.cli.policy_record import options as options
from tests.unit.cli.policy_record import service as service
from tests.unit.rehearsal.policies import NO_EXPORTS, READ, write

ALICE_READS = ["--as", "alice", "--groups", "analysts", "--target", "orders", "--tool", "query"]


def test_explain_shows_every_rule_and_the_first_thing_that_did_not_match(tmp_path: Path) -> None:
    file = write(tmp_path, LIMITED, NO_EXPORTS, HEAVY)
    result = run(
        "explain", "-c", file, *ALICE_READS, "--arg", "limit=500", "--at", "2026-01-01", "--usage", "rows_1h=7"
    )
    assert result.exit_code == 0
    assert "at 2026-01-01T00:00:00Z" in result.stdout
    lines = {line.split("  ")[0]: line for line in result.stdout.splitlines()}
    assert "args.limit: 500" in lines["analysts read"]
    assert "tools: " in lines["no exports"]
    assert "when: " in lines["enough"]
    assert "deny  no rule allows it" in result.stdout


def test_explain_as_json_holds_the_decision_and_the_rules(tmp_path: Path) -> None:
    file = write(tmp_path)
    result = run("explain", "-c", file, *ALICE_READS, "--from", "192.0.2.7", "--json")
    told = json.loads(result.stdout)
    assert told["decision"]["outcome"] == "allow"
    assert told["decision"]["masks"] == ["pii"]
    assert [(rule["name"], rule["matched"]) for rule in told["rules"]] == [
        ("analysts read", True),
        ("no exports", False),
    ]
    assert (told["from"], told["recorded_decision"]) == ("192.0.2.7", None)


def test_explain_takes_whoever_is_acted_for_for_an_agent(tmp_path: Path) -> None:
    asked: tuple[str | Path, ...] = ("explain", "-c", write(tmp_path), *ALICE_READS)
    asked += ("--actor", "bot", "--actor", "planner")
    told = json.loads(run(*asked, "--json").stdout)["principal"]
    assert (told["kind"], told["actors"]) == ("agent", ["bot", "planner"])
    assert "alice through bot, planner (agent" in run(*asked).stdout


def test_explain_reads_arguments_from_a_file_and_from_standard_input(tmp_path: Path) -> None:
    file, arguments = write(tmp_path, LIMITED), tmp_path / "args.json"
    arguments.write_text('{"limit": 5}')
    given = ["policy", "explain", "-c", str(file), *ALICE_READS, "--json", "--args-json"]
    for source, text in ((str(arguments), None), ("-", '{"limit": 5}')):
        result = CliRunner().invoke(app, [*given, source], input=text)
        assert json.loads(result.stdout)["decision"]["outcome"] == "allow"


@pytest.mark.parametrize(
    "wrong",
    [
        "--as alice",
        "--as alice --target nowhere --tool query",
        "--as alice --target orders",
        "--as alice --target orders --tool query --prompt x",
        "--as alice --target orders --method tools/list --tool query",
        "--as alice --target orders --tool query --arg limit",
        "--as alice --target orders --tool query --arg a=1 --args-json x",
        "--as alice --target orders --tool query --args-json /nowhere",
        "--as alice --target orders --tool query --at noon",
        "--as alice --target orders --tool query --from here",
        "--as alice --target orders --tool query --usage rows=1",
        "--as alice --target orders --tool query --usage rows_1h=-1",
        "--as alice --target orders --tool query --issuer https://nobody.example",
        "--as alice --event 7",
        "--session 7",
        "--call 7",
        "--event 7 --session 7 --call 7",
        "--event 7",
    ],
)
def test_explain_refuses_a_wrong_command_line_in_one_line(tmp_path: Path, wrong: str) -> None:
    result = run("explain", "-c", write(tmp_path), *wrong.split())
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("command", [["explain", *ALICE_READS, "-c"], ["backtest", "--token", TOKEN]])
def test_a_refused_policy_is_told_with_its_places(tmp_path: Path, command: list[str]) -> None:
    file = write(tmp_path, {**READ, "mask": ["nothing"]})
    result = run(*command, file)
    assert result.exit_code == 2
    assert "there is no mask `nothing`" in result.stderr


def test_explain_of_a_recorded_call_says_what_was_decided_and_what_is_other_now(
    tmp_path: Path, service: Scripted, options: list[str]
) -> None:
    asked = request(findings=(Finding("EMAIL", "$.arguments.mail", 2),), body=b'{"name": "query", "arguments": {}}')
    service.record(asked)
    result = run("explain", "-c", write(tmp_path), "--event", asked.event_id, *options)
    assert result.exit_code == 0
    assert "then, by version v1: allow" in result.stdout
    assert "but version v1 judged the call" in result.stdout
    assert "EMAIL (2) at $.arguments.mail" in result.stdout
    assert "from 192.0.2.7" in result.stdout
    by_call = ["--session", asked.session_id, "--call", asked.call_id]
    assert run("explain", "-c", tmp_path / "gateway.yaml", *by_call, *options).stdout == result.stdout


def test_explain_of_a_recorded_call_counts_what_was_used_before(
    tmp_path: Path, service: Scripted, options: list[str]
) -> None:
    asked = traffic(service)[3]
    result = run("explain", "-c", write(tmp_path, READ, HEAVY), "--event", asked.event_id, "--json", *options)
    told = json.loads(result.stdout)
    assert (told["usage"]["calls_1h"], told["usage"]["rows_1h"]) == (3, 120)
    assert told["decision"]["rules"] == ["enough"]
    assert told["recorded_decision"]["outcome"] == "allow"


def test_explain_of_a_batch_asks_which_of_its_calls(tmp_path: Path, service: Scripted, options: list[str]) -> None:
    first = request()
    second = request(first.session_id, call_id=first.call_id)
    service.record(first, second)
    batch = ["--session", first.session_id, "--call", first.call_id]
    result = run("explain", "-c", write(tmp_path), *batch, *options)
    assert result.exit_code == 2
    assert first.event_id in result.stderr
    assert second.event_id in result.stderr


def test_explain_of_a_call_that_is_not_there_is_exit_code_1(tmp_path: Path, options: list[str]) -> None:
    file = write(tmp_path)
    for named in (["--event", new_id()], ["--session", new_id(), "--call", new_id()]):
        result = run("explain", "-c", file, *named, *options)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert "no such call" in result.stderr


CASES = """\
config: gateway.yaml
cases:
  - name: analysts read
    principal: {subject: alice, groups: [analysts]}
    call: {target: orders, tool: query}
    expect: {outcome: allow, rule: analysts read}
  - name: nobody exports
    principal: {subject: alice, groups: [analysts]}
    call: {target: orders, tool: export_table}
    expect: {outcome: OUTCOME}
"""


@pytest.mark.parametrize(("outcome", "code"), [("deny", 0), ("allow", 1), ("alow", 2)])
def test_cases_pass_fail_or_are_wrong(tmp_path: Path, outcome: str, code: int) -> None:
    write(tmp_path)
    file, junit = tmp_path / "cases.yaml", tmp_path / "out.xml"
    file.write_text(CASES.replace("OUTCOME", outcome))
    result = run("test", file, "--junit", junit)
    assert result.exit_code == code
    assert junit.exists() == (code != 2)
    if code == 0:
        assert "2 of 2 cases pass" in result.stdout
    elif code == 1:
        assert "FAIL  nobody exports (line 7)\n        - outcome: allow\n        + outcome: deny\n" in result.stdout
        assert Xml.parse(junit).getroot().get("failures") == "1"
        assert json.loads(run("test", file, "--json").stdout)["failed"] == 1
    else:
        assert result.stderr.startswith(f"{file}:10:")


def test_cases_may_be_tried_on_another_policy_and_need_one(tmp_path: Path) -> None:
    file = tmp_path / "cases.yaml"
    file.write_text(CASES.replace("OUTCOME", "deny").replace("config: gateway.yaml\n", ""))
    other = write(tmp_path, {**READ, "allow": {"groups": ["nobody"]}}, NO_EXPORTS, name="other.yaml")
    assert run("test", file, "-c", other).exit_code == 1
    nothing = run("test", file)
    assert (nothing.exit_code, nothing.stderr.count("\n")) == (2, 1)
    assert run("test", file, "-c", other, "--junit", tmp_path).exit_code == 2
    assert run("test", tmp_path / "none.yaml").exit_code == 2
