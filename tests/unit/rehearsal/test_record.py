"""What the gateway records is understood as what it decided: the words of one are those that the other looks for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from countersign.approver import states
from countersign.authz import deciding
from countersign.authz.approving import words
from countersign.model.call import NameKind
from countersign.model.decision import Decision, Outcome
from countersign.model.situation import Situation
from countersign.policy import NAME_LIMIT
from countersign.rehearsal.record import Aside
from tests.support.approvals import NOON, question
from tests.support.events import ALICE
from tests.unit.rehearsal.policies import ALLOWED, READ, call, decided, ruling

ASK: dict[str, object] = {
    "name": "ask",
    "approve": {"principals": ["alice"], "tools": ["query"]},
    "by": {"groups": ["owners"]},
}
NO_RULE = decided(Outcome.DENY)


def test_a_batch_that_was_kept_back_says_nothing_of_the_rules() -> None:
    kept_back = deciding._kept_back(ALLOWED, NO_RULE)
    assert call(decision=kept_back).aside is Aside.BATCH
    assert call(decision=deciding._kept_back(ALLOWED, replace(NO_RULE, rules=("no exports",)))).aside is Aside.BATCH


@pytest.mark.parametrize("reason", deciding._PENDING.values())
def test_a_tool_that_was_not_accepted_says_nothing_of_the_rules(reason: str) -> None:
    assert call(decision=decided(Outcome.DENY, reason=reason)).aside is Aside.NOT_BY_RULES


def test_what_needed_approval_is_not_taken_for_denied(tmp_path: Path) -> None:
    asking = ruling(tmp_path, READ, ASK)
    decision = asking.decide(ALICE, call().call, Situation(0))
    assert decision.outcome is Outcome.APPROVE
    approval = states.asked(question(), "a1", NOON).approval
    reasons = {
        Outcome.APPROVE: f"waits for approval by {words.whom(approval)}",
        Outcome.ALLOW: words.agreed(approval),
        Outcome.DENY: f"its approval is {approval.state.value}",
    }
    for outcome, reason in reasons.items():
        recorded = call(decision=replace(decision, outcome=outcome, reason=reason))
        assert (recorded.outcome, recorded.aside) == (Outcome.APPROVE, None)


def test_denials_for_want_of_a_rule_are_the_rules_own(tmp_path: Path) -> None:
    judge, plain = ruling(tmp_path), call("drop").call
    decisions: list[Decision] = [
        judge.decide(ALICE, plain, Situation(0)),
        judge.decide(ALICE, replace(plain, name="x" * (NAME_LIMIT + 1)), Situation(0)),
        judge.decide(ALICE, replace(plain, name_kind=NameKind.NONE), Situation(0)),
    ]
    assert {decision.rules for decision in decisions} == {()}
    assert [call(decision=decision).aside for decision in decisions] == [None] * 3
