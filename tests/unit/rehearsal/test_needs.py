"""Whoever tries a policy reads who would be asked, and may demand in a test who may break the glass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from countersign.cli.main import app
from countersign.config import load
from countersign.model.decision import Outcome
from countersign.model.situation import Situation
from countersign.rehearsal.backtest import Backtest, Effect
from countersign.rehearsal.record import Aside
from countersign.rehearsal.ruling import Ruling
from tests.support.events import ALICE, START_US
from tests.unit.rehearsal.policies import ALLOWED, READ, Rule, call, config, decided, write

CHANNEL = {"name": "night", "teams": {"url": {"env": "NOT_READ_HERE"}}}
EXPORTS: Rule = {
    "name": "exports",
    "approve": {"groups": ["analysts"], "tools": ["export_*"]},
    "by": {
        "groups": ["data-owners", "leads"],
        "count": 2,
        "within": "4h",
        "reuse": "90s",
        "window": "Mon-Fri 08:00-18:00 Europe/Berlin",
        "note_required": True,
    },
}
QUICK: Rule = {"name": "quick", "approve": {"kind": "person", "tools": ["export_all"]}, "by": {"groups": ["owners"]}}
GLASS: Rule = {"name": "glass", "break_glass": {"groups": ["analysts"], "tools": ["export_*", "wipe"]}}
NIGHT: Rule = {**GLASS, "alert": ["night"], "reuse": "1h"}
ASKED = (
    "2 of data-owners or leads within 4 h, Mon-Fri 08:00-18:00 Europe/Berlin, each with a note, "
    'then as often as asked for 90 s ("exports")'
)
ALONE = 'its caller alone, with a reason within 15 min, which alerts night, then as often as asked for 1 h ("glass")'


@pytest.fixture
def ruled(tmp_path: Path) -> Ruling:
    path = write(tmp_path, READ, EXPORTS, QUICK, NIGHT, approvals={"channels": [CHANNEL]})
    return Ruling(load(path, {}, reads=()))


def needs(ruling: Ruling, tool: str) -> tuple[str, ...]:
    return ruling.needs(ruling.decide(ALICE, call(tool).call, Situation(0)))


def test_it_says_whom_each_rule_asks_and_who_may_do_without(ruled: Ruling) -> None:
    assert needs(ruled, "export_one") == (ASKED, f"or {ALONE}")
    assert needs(ruled, "export_all") == (ASKED, '1 of owners within 15 min ("quick")', f"or {ALONE}")
    assert needs(ruled, "wipe") == (ALONE,)
    assert needs(ruled, "query") == ()


def test_a_rule_on_trial_that_asks_nobody_yet_asks_somebody(tmp_path: Path) -> None:
    bare: Rule = {"name": "bare", "approve": {"groups": ["analysts"], "tools": ["query"]}, "mode": "shadow"}
    glass: Rule = {**GLASS, "mode": "shadow"}
    trial = Ruling(config(tmp_path, READ, bare, glass), trial=True)
    assert needs(trial, "query") == ('somebody ("bare")',)
    assert needs(trial, "wipe") == ('its caller alone, with a reason within 15 min ("glass")',)


def test_a_backtest_says_who_would_be_asked_and_by_which_glass(ruled: Ruling, tmp_path: Path) -> None:
    backtest = Backtest(ruled, None, START_US)
    backtest.add(call("export_one", decision=ALLOWED))
    backtest.add(call("wipe", decision=decided(Outcome.DENY), index=1))
    findings = backtest.findings()
    assert {change.would_be.needs for change in findings.changes} == {(ASKED, f"or {ALONE}"), (ALONE,)}
    assert {change.effect for change in findings.changes} == {Effect.APPROVAL}
    assert set(findings.by_rule) == {"analysts read", "exports", "(no rule)", "glass"}


@pytest.mark.parametrize(
    "reason",
    [
        'its caller may break the glass by "glass"',
        "approval for it is given only at Mon-Fri 08:00-18:00 UTC",
        "its caller waits for as many approvals as one may",
    ],
)
def test_what_was_not_asked_or_not_granted_is_no_denial(ruled: Ruling, reason: str) -> None:
    recorded = call("wipe", decision=decided(Outcome.DENY, reason=reason))
    assert (recorded.outcome, recorded.aside) == (Outcome.APPROVE, None)
    backtest = Backtest(ruled, None, START_US)
    backtest.add(recorded)
    assert backtest.findings().changed == 0


def test_a_call_that_nobody_can_be_asked_about_in_a_batch_is_set_aside() -> None:
    reason = "nobody can be asked about a call in a batch"
    assert call(decision=decided(Outcome.DENY, "exports", reason=reason)).aside is Aside.BATCH


@pytest.fixture
def tried(tmp_path: Path, ruled: Ruling) -> Path:
    assert ruled.names
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["policy", *map(str, arguments)])


def test_cases_may_say_by_which_glass(tried: Path) -> None:
    who, what = {"subject": "alice", "groups": ["analysts"]}, {"target": "orders", "tool": "wipe"}
    expect: dict[str, object] = {"outcome": "approve", "rules": [], "break_glass": ["glass"]}
    cases = tried / "cases.yaml"

    def result() -> Result:
        document = {
            "config": "gateway.yaml",
            "cases": [{"name": "x", "principal": who, "call": what, "expect": expect}],
        }
        cases.write_text(json.dumps(document))
        return run("test", cases)

    assert result().exit_code == 0, result().output
    expect["break_glass"] = []
    failed = result()
    assert failed.exit_code == 1
    assert "+ break_glass: [glass]" in failed.output
    assert f"needs: {ALONE}" in failed.output
    expect["break_glass"] = ["glas"]
    assert "did you mean `glass`?" in result().stderr


def test_an_explanation_says_who_must_agree(tried: Path) -> None:
    asked = ("explain", "-c", tried / "gateway.yaml", "--as", "alice", "--groups", "analysts", "--target", "orders")
    told = run(*asked, "--tool", "export_one")
    assert f"needs: {ASKED}\nneeds: or {ALONE}\n" in told.output
    document = json.loads(run(*asked, "--tool", "export_one", "--json").stdout)
    assert document["decision"]["needs"] == [ASKED, f"or {ALONE}"]
    assert document["decision"]["break_glass"] == ["glass"]
