"""A gateway that answers nothing, a suite that runs nothing, and a list that hides something must all be noticed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conformance.client import CLIENT
from tests.conformance.comparison import Comparison, Line, Where, compare, read_lines
from tests.conformance.run import LINES, PEERS, RESULTS
from tests.conformance.suite import ERAS, Check, Leg, Required, numbered, required, suite_version

ERA = "2026-07-28"
REQUIRED = Required(("tools-list", "ping"), ("tasks",))
GOOD: Mapping[str, tuple[Check, ...]] = {
    "tools-list": (Check("listed", "SUCCESS"), Check("named", "SUCCESS")),
    "ping": (Check("ping", "SUCCESS"), Check("note", "INFO")),
    "tasks": (Check("skipped", "SKIPPED"),),
}
NAMED = Where("python", ERA, "tools-list", "named")
FAILS = {**GOOD, "tools-list": (Check("listed", "SUCCESS"), Check("named", "FAILURE", "no names"))}


def compared(
    direct: Mapping[str, tuple[Check, ...]], gateway: Mapping[str, tuple[Check, ...]], *lines: Line
) -> Comparison:
    return compare("python", ERA, REQUIRED, direct, gateway, lines)


def test_the_same_and_good_is_good() -> None:
    comparison = compared(GOOD, GOOD)
    assert not comparison.problems
    assert len(comparison.rows) == 5
    assert all(row.same for row in comparison.rows)


@pytest.mark.parametrize("status", ["FAILURE", "WARNING", "SKIPPED", "INFO"])
def test_what_differs_is_a_problem(status: str) -> None:
    (problem,) = compared(GOOD, {**GOOD, "ping": (Check("ping", status, "why"), Check("note", "INFO"))}).problems
    assert problem == f"python {ERA} ping ping: SUCCESS directly, {status} through the gateway: why"


def test_a_dead_gateway_is_a_problem() -> None:
    assert len(compared(GOOD, {}).problems) >= len(GOOD)
    dead = {name: tuple(Check(check.key, "FAILURE") for check in checks) for name, checks in GOOD.items()}
    assert len(compared(GOOD, dead).problems) == 5


def test_a_dead_server_is_a_problem_though_nothing_differs() -> None:
    dead = {name: tuple(Check(check.key, "FAILURE") for check in checks) for name, checks in GOOD.items()}
    assert len(compared(dead, dead).problems) >= 5


def test_a_scenario_that_ran_nowhere_is_a_problem() -> None:
    missing = {name: checks for name, checks in GOOD.items() if name != "ping"}
    assert any("ping: no checks directly" in problem for problem in compared(missing, missing).problems)
    empty = {**GOOD, "tasks": ()}
    assert any("tasks: no checks through the gateway" in problem for problem in compared(GOOD, empty).problems)


def test_a_scenario_that_counts_and_succeeds_in_nothing_is_a_problem() -> None:
    skipped = {**GOOD, "ping": (Check("ping", "SKIPPED"), Check("wire-schema-valid", "SUCCESS"))}
    assert compared(skipped, skipped).problems == (f"python {ERA} ping: nothing succeeded directly",)


def test_fewer_checks_are_a_problem_and_so_are_more() -> None:
    fewer = {**GOOD, "ping": (Check("ping", "SUCCESS"),)}
    assert len(compared(GOOD, fewer).problems) == 1
    assert len(compared(fewer, GOOD).problems) == 1


def test_a_reviewed_line_makes_what_it_says_good_and_nothing_else() -> None:
    line = Line(NAMED, "SUCCESS", "FAILURE", "names are secret")
    comparison = compared(GOOD, FAILS, line)
    assert not comparison.problems
    assert [row.reason for row in comparison.rows if not row.same] == ["names are secret"]
    assert compared(GOOD, GOOD, line).problems
    assert compared(FAILS, FAILS, line).problems
    both = {**FAILS, "ping": (Check("ping", "FAILURE"), Check("note", "INFO"))}
    assert len(compared(GOOD, both, line).problems) == 1


def test_a_line_about_what_is_not_there_is_a_problem() -> None:
    gone = Line(Where("python", ERA, "tools-list", "gone"), "SUCCESS", "FAILURE", "x")
    assert compared(GOOD, GOOD, gone).problems == (f"python {ERA} tools-list gone: listed, and not there",)
    assert not compared(GOOD, GOOD, Line(Where("other", ERA, "ping", "gone"), "SUCCESS", "FAILURE", "x")).problems


def test_checks_of_one_name_are_told_apart() -> None:
    checks = numbered([{"id": "a", "status": "SUCCESS"}, {"id": "a", "status": "FAILURE", "errorMessage": "why"}])
    assert checks == (Check("a", "SUCCESS"), Check("a#2", "FAILURE", "why"))


LINE = """
[[line]]
peer = "python"
era = "2026-07-28"
scenario = "ping"
check = "ping"
direct = "SUCCESS"
gateway = "FAILURE"
reason = "because"
"""


@pytest.mark.parametrize(
    "text",
    [
        LINE.replace('reason = "because"\n', ""),
        LINE.replace("because", " "),
        LINE.replace('"FAILURE"', '"SUCCESS"'),
        LINE + 'more = "x"\n',
        LINE + LINE,
    ],
)
def test_a_line_that_says_too_little_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "differences.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"differences\.toml"):
        read_lines(file)


def test_every_reviewed_line_is_about_what_is_run() -> None:
    for line in read_lines(LINES):
        assert (line.where.peer in PEERS, line.where.era in ERAS) == (True, True)
        leg = Leg.CLIENT if line.where.peer == CLIENT else Leg.SERVER
        assert line.where.scenario in required(line.where.era, leg).all


def test_the_suite_says_what_a_revision_requires() -> None:
    for era in ERAS:
        assert {"tools-list", "tools-call-simple-text", "dns-rebinding-protection"} <= set(required(era).scored)
        assert "tools_call" in required(era, Leg.CLIENT).scored


def test_the_docs_name_the_suite_that_is_installed() -> None:
    for page in (RESULTS, RESULTS.with_name("conformance.md")):
        assert suite_version() in page.read_text("utf-8")
