"""The benchmark of decisions measures calls that pass every condition, none that is denied early or by mistake."""

from __future__ import annotations

import pytest

from countersign.model.rule import Rule
from countersign.policy import Policy
from tests.bench import decisions


@pytest.mark.parametrize("rules", [decisions._usual(), decisions._asking()])
def test_what_is_measured_is_allowed_and_has_as_many_rules_as_it_says(rules: list[Rule]) -> None:
    assert len(rules) == decisions.RULES
    assert sum(bool(rule.when) for rule in rules) == decisions.CONDITIONS
    decision = Policy(rules, version="v").decide(decisions._ANALYST, decisions._query(1), decisions._NOW)
    assert decision.allowed, decision.reason


def test_each_figure_counts_its_decisions() -> None:
    figures = decisions.decision_figures(decisions=20)
    assert [figure.decisions for figure in figures] == [20, 20]
    assert all(0 < figure.p50_us <= figure.p99_us for figure in figures)
