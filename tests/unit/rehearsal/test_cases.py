"""Files of test cases: what is wrong with them is told with its place, and what they expect is what is compared."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from countersign.config import ConfigRefused, GatewayConfig, Problem
from countersign.model.call import NameKind
from countersign.model.principal import PrincipalKind
from countersign.model.situation import Situation, Usage
from countersign.rehearsal.cases import Case, CaseFile
from countersign.rehearsal.moments import read_moment
from countersign.rehearsal.reports import PolicyFile, cases_json, cases_junit
from countersign.rehearsal.ruling import Ruling
from countersign.rehearsal.testing import CaseResult, run
from tests.unit.rehearsal.policies import NO_EXPORTS, READ, Rule, config

GOOD = """\
cases:
  - name: analysts may query
    principal: {subject: alice, groups: [analysts]}
    call: {target: orders, tool: query, args: {limit: 10}}
    at: "2026-03-01T09:00:00Z"
    from: 192.0.2.7
    usage: {rows_1h: 5}
    expect: {outcome: allow, rules: [analysts read], masks: [pii]}
  - name: nobody exports
    principal: {subject: build, kind: machine, issuer: "https://other.example"}
    call: {target: orders, tool: export_table, args_json: '{"table": null}'}
    expect: {outcome: deny, rule: no exports}
"""


def edited(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


@pytest.fixture
def loaded(tmp_path: Path) -> GatewayConfig:
    return config(tmp_path)


def cases(folder: Path, loaded: GatewayConfig, text: str) -> tuple[Case, ...]:
    path = folder / "cases.yaml"
    path.write_text(text)
    return CaseFile(path).cases(loaded, Ruling(loaded))


def results(folder: Path, text: str, *rules: Rule) -> tuple[CaseResult, ...]:
    judged = config(folder, *(rules or (READ, NO_EXPORTS)))
    return run(cases(folder, judged, text), Ruling(judged))


def test_a_case_is_read_with_all_that_it_says(tmp_path: Path, loaded: GatewayConfig) -> None:
    [alice, build] = cases(tmp_path, loaded, GOOD)
    assert (alice.name, alice.line, alice.principal.groups, alice.principal.kind) == (
        *("analysts may query", 2, ("analysts",)),
        PrincipalKind.PERSON,
    )
    assert alice.situation == Situation(read_moment("2026-03-01T09:00:00Z"), "192.0.2.7", Usage(rows_1h=5))
    assert json.loads(alice.call.params_json) == {"name": "query", "arguments": {"limit": 10}}
    assert (build.principal.issuer, build.call.name_kind) == ("https://other.example", NameKind.TOOL)
    assert json.loads(build.call.params_json)["arguments"] == {"table": None}
    assert build.situation.time_us == read_moment("2026-01-01T12:00:00Z")


def test_a_case_may_say_who_acts_for_whom(tmp_path: Path, loaded: GatewayConfig) -> None:
    acted = "groups: [analysts], kind: agent, actors: [bot, planner], token_subject: 00u1}"
    who = cases(tmp_path, loaded, edited("groups: [analysts]}", acted))[0].principal
    assert (who.kind, who.actors, who.token_subject) == (PrincipalKind.AGENT, ("bot", "planner"), "00u1")
    with pytest.raises(ConfigRefused, match="whoever acts for somebody is an agent"):
        cases(tmp_path, loaded, edited("groups: [analysts]}", "actors: [bot]}"))


def test_a_bare_list_is_a_file_of_cases_and_its_problems_have_places(tmp_path: Path, loaded: GatewayConfig) -> None:
    bare = "\n".join(line[2:] for line in GOOD.splitlines()[1:])
    assert len(cases(tmp_path, loaded, bare)) == 2
    with pytest.raises(ConfigRefused) as caught:
        cases(tmp_path, loaded, bare.replace("tool: query", "tol: query"))
    assert [(one.line, one.column) for one in caught.value.problems] == [(3, 26)]


def test_the_file_may_name_the_policy_that_it_tests(tmp_path: Path) -> None:
    path = tmp_path / "cases.yaml"
    path.write_text("config: sub/gateway.yaml\n" + GOOD)
    assert CaseFile(path).config == tmp_path / "sub" / "gateway.yaml"


WRONG = [
    (("tool: query", "tol: query"), 4, 28, "unknown key `tol`", "did you mean `tool`?"),
    (("from: 192", "form: 192"), 6, 5, "unknown key `form`", "did you mean `from`?"),
    (("target: orders, tool: query", "target: order, tool: query"), 4, 20, "no target `order`", "`orders`?"),
    (("outcome: allow", "outcome: allowed"), 8, 23, "no outcome `allowed`", "`allow`?"),
    (("rule: no exports", "rule: no export"), 12, 35, "no rule or rate limit `no export`", "`no exports`?"),
    (("[analysts read]", "[analysts red]"), 8, 38, "no rule or rate limit `analysts red`", "`analysts read`?"),
    (("masks: [pii]", "masks: [pi]"), 8, 62, "no mask `pi`", "did you mean `pii`?"),
    (("rule: no exports", "rule: no exports, masks: [pii]"), 12, 54, "a denied call has no answer", "remove"),
    (("rule: no exports", "rule: no exports, rules: []"), 12, 54, "the rules are given twice", "keep one"),
    (("kind: machine", "kind: robot"), 10, 39, "no kind of principal `robot`", "use one of person"),
    (("https://other.example", "https://nobody.example"), 10, 56, "no issuer", "did you mean"),
    (("09:00:00Z", "9 o'clock"), 5, 9, "this is no date and time", "write for example"),
    (("192.0.2.7", "192.0.2.777"), 6, 11, "this is no IP address", "write for example"),
    (("rows_1h: 5", "rows_1h: -5"), 7, 22, "is too small", "at least 0"),
    (("rows_1h: 5", "rows_2h: 5"), 7, 13, "unknown key `rows_2h`", "did you mean"),
    (("tool: query", "tool: query, prompt: x"), 4, 5, "several things are called", "two cases"),
    (("tool: query, args: {limit: 10}", "method: tools/call"), 4, 5, "tools/call", "name a tool"),
    (("limit: 10", "limit: .inf"), 4, 47, "infinite numbers", "remove"),
    (('"table": null', '"table": nul'), 11, 59, "the arguments are not JSON", "write an object"),
    (("name: nobody exports", "name: analysts may query"), 9, 11, "stands on line 2 already", "of its own"),
    (("    expect: {outcome: deny, rule: no exports}\n", ""), 9, 5, "missing key `cases[1].expect`", "what should"),
]


@pytest.mark.parametrize(("edit", "line", "column", "what", "remedy"), WRONG)
def test_what_is_wrong_is_told_with_its_place_and_a_remedy(
    tmp_path: Path, loaded: GatewayConfig, edit: tuple[str, str], line: int, column: int, what: str, remedy: str
) -> None:
    with pytest.raises(ConfigRefused) as caught:
        cases(tmp_path, loaded, edited(*edit))
    [problem] = caught.value.problems
    assert (problem.file, problem.line, problem.column) == (str(tmp_path / "cases.yaml"), line, column)
    assert what in problem.what
    assert remedy in problem.remedy


@pytest.mark.parametrize("text", ["", "7", "cases: []", "cases", "cases: [{}]", "a: &x 1", "\xff", "cases: {a: b"])
def test_file_that_is_no_file_of_cases_is_refused(tmp_path: Path, loaded: GatewayConfig, text: str) -> None:
    path = tmp_path / "cases.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigRefused) as caught:
        CaseFile(path).cases(loaded, Ruling(loaded))
    assert all(isinstance(problem, Problem) and problem.remedy for problem in caught.value.problems)


def test_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused, match="cannot be read"):
        CaseFile(tmp_path / "none.yaml")


def test_cases_that_come_out_as_expected_pass(tmp_path: Path) -> None:
    assert [result.passed for result in results(tmp_path, GOOD)] == [True, True]


MISMATCHES = [
    (("outcome: allow", "outcome: approve"), "outcome", "approve", "allow"),
    (("[analysts read]", "[no exports]"), "rules", "[no exports]", "[analysts read]"),
    (("[analysts read]", "[]"), "rules", "[]", "[analysts read]"),
    (("masks: [pii]", "masks: [secrets]"), "masks", "[secrets]", "[pii]"),
    (("masks: [pii]", "masks: []"), "masks", "[]", "[pii]"),
]


@pytest.mark.parametrize(("edit", "field", "expected", "got"), MISMATCHES)
def test_each_difference_is_told_and_what_decided(
    tmp_path: Path, edit: tuple[str, str], field: str, expected: str, got: str
) -> None:
    [failed, passed] = results(tmp_path, edited(*edit))
    assert passed.passed
    assert [(one.field, one.expected, one.got) for one in failed.differences] == [(field, expected, got)]
    assert "analysts read" in [trace.name for trace in failed.why]


def test_failed_case_says_why_the_expected_rule_does_not_match(tmp_path: Path) -> None:
    [failed, _] = results(tmp_path, GOOD, {**READ, "args": {"limit": {"max": 5}}}, NO_EXPORTS)
    assert [one.field for one in failed.differences] == ["outcome", "rules"]
    [trace] = failed.why
    assert trace.name == "analysts read"
    assert "limit" in trace.failed


def test_rate_limits_are_expected_like_rules(tmp_path: Path) -> None:
    judged = config(tmp_path, rate_limits=[{"name": "five", "groups": ["analysts"], "calls": 5, "per": "1h"}])
    text = edited("{rows_1h: 5}", "{calls_1h: 5}").replace(
        "allow, rules: [analysts read], masks: [pii]", "deny, rule: five"
    )
    [limited, _] = run(cases(tmp_path, judged, text), Ruling(judged))
    assert limited.passed


HOSTILE = 'a]]></failure>&<"\u0001\u202e'


def test_junit_is_xml_with_a_result_for_each_case(tmp_path: Path) -> None:
    text = edited("masks: [pii]", "masks: []").replace("name: nobody exports", f"name: {json.dumps('b < & ]]>')}")
    found = results(tmp_path, text)
    root = Xml.fromstring(cases_junit(found, HOSTILE))
    [suite] = root.findall("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    assert [case.get("name") for case in suite.findall("testcase")] == ["analysts may query", "b < & ]]>"]
    [failure] = suite.findall("testcase/failure")
    assert failure.get("message") == "masks: expected [], got [pii]"
    assert "- masks: []\n+ masks: [pii]" in (failure.text or "")
    assert cases_junit(found, HOSTILE) == cases_junit(results(tmp_path, text), HOSTILE)


def test_json_holds_every_case_with_its_decision(tmp_path: Path) -> None:
    report = json.loads(cases_json(results(tmp_path, edited("masks: [pii]", "masks: []")), PolicyFile("g.yaml", "v")))
    assert (report["passed"], report["failed"]) == (1, 1)
    [failed, passed] = report["cases"]
    assert failed["differences"] == [{"field": "masks", "expected": "[]", "got": "[pii]"}]
    assert passed["decision"]["rules"] == ["no exports"]
