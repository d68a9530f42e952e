"""An explanation names every rule in the order of the file, and the first thing of it that did not match."""

from __future__ import annotations

import pytest

from countersign.model.call import Call
from countersign.model.decision import Outcome
from countersign.model.principal import PrincipalKind
from countersign.model.rule import ArgConstraint, Rule
from countersign.model.situation import Situation, Usage
from countersign.policy import NAME_LIMIT, Policy, RuleTrace
from tests.unit.policy.calls import NOW, allow, approve, deny, person, tool

ALICE = person("analysts", "eu")
CALL = tool("query", arguments='{"limit": 500, "region": "cn", "sql": "it\'s"}')


def trace(rule: Rule, call: Call = CALL, situation: Situation = NOW) -> RuleTrace:
    (found,) = Policy([rule], version="v").explain(ALICE, call, situation).rules
    return found


@pytest.mark.parametrize(
    ("rule", "failed"),
    [
        (allow(targets=("stock", "t*")), "targets: orders is none of stock, t*"),
        (allow(groups=("admins", "ops")), "groups: needs one of admins, ops"),
        (allow(kinds=(PrincipalKind.AGENT,)), "kind: person is none of agent"),
        (allow(principals=("bob",)), "principals: alice is none of bob"),
        (allow(methods=("prompts/get",)), "methods: tools/call is none of prompts/get"),
        (allow(tools=("list_*", "x")), "tools: query is none of list_*, x"),
        (allow(prompts=("p",)), "prompts: tools/call names no prompt"),
        (allow(prompts=("p",), resources=("r",)), "prompts, resources: tools/call names no prompt or resource"),
        (allow(groups=("admins",), tools=("x",)), "groups: needs one of admins"),
        (allow(args=(ArgConstraint("limit", at_most=100),)), "args.limit: 500 is more than 100"),
        (allow(args=(ArgConstraint("limit", at_least=1_000),)), "args.limit: 500 is less than 1000"),
        (allow(args=(ArgConstraint("region", one_of=("eu", "us")),)), "args.region: 'cn' is none of 'eu', 'us'"),
        (allow(args=(ArgConstraint("region", none_of=("cn",)),)), "args.region: 'cn' is one of 'cn'"),
        (allow(args=(ArgConstraint("region", glob="e*"),)), "args.region: 'cn' does not match e*"),
        (allow(args=(ArgConstraint("region", max_length=1),)), "args.region: its length 2 is more than 1"),
        (allow(args=(ArgConstraint("other", present=True),)), "args.other: it is not there"),
        (allow(args=(ArgConstraint("region", present=False),)), "args.region: it is there"),
        (deny(when="usage.rows_1h < 100"), "when: usage.rows_1h < 100 is false"),
        (
            deny(when="call.kind == 'tool'\n  && usage.rows_1h < 100 && args.limit > 5"),
            "when: usage.rows_1h < 100 is false",
        ),
        (deny(when="args.nope > 5 && args.limit < 5"), "when: args.limit < 5 is false"),
        (deny(when="args.sql == ' && ' && true"), "when: args.sql == ' && ' is false"),
        (
            deny(when="usage.rows_1h < 100 || (args.limit < 5 && args.limit > 1)"),
            "when: usage.rows_1h < 100 || (args.limit < 5 && args.limit > 1) is false",
        ),
        (
            deny(when="(args.limit < 5 && call.kind == 'tool')"),
            "when: (args.limit < 5 && call.kind == 'tool') is false",
        ),
    ],
)
def test_the_first_thing_that_did_not_match_is_named(rule: Rule, failed: str) -> None:
    found = trace(rule, situation=Situation(0, usage=Usage(rows_1h=500)))
    assert found == RuleTrace(rule.name, rule.effect, False, False, failed, "")


def test_why_a_rule_could_not_be_evaluated_is_shown_with_its_value() -> None:
    assert trace(allow(args=(ArgConstraint("region", at_most=5),))).error == "args.region: no number: 'cn'"
    thrown = trace(allow(when="args[args.region] == 1"))
    assert not thrown.matched
    assert thrown.failed == ""
    assert thrown.error == 'it reads a key that is not there (NOT_FOUND: Key not found in map : "cn")'
    long = tool("query", arguments='{"region": "' + "x" * 5_000 + '"}')
    assert len(trace(allow(args=(ArgConstraint("region", at_most=5),)), long).error) < 200


def test_rules_come_in_the_order_of_the_file_with_those_on_trial() -> None:
    rules = [deny("z", shadow=True), allow("m"), approve("a", when="args.limit > 100"), deny("b", tools=("x",))]
    explained = Policy(rules, version="v").explain(ALICE, CALL, NOW)
    assert [(rule.name, rule.matched, rule.shadow) for rule in explained.rules] == [
        ("z", True, True),
        ("m", True, False),
        ("a", True, False),
        ("b", False, False),
    ]
    assert (explained.decision.outcome, explained.decision.rules) == (Outcome.APPROVE, ("a",))


def test_admission_is_explained_without_names_and_conditions() -> None:
    assert trace(allow(tools=("x",), when="args.x > 1"), Call("orders", "initialize")).matched
    assert trace(deny(tools=("x",)), Call("orders", "initialize")).failed == "tools: initialize names no tool"


def test_a_call_that_cannot_be_judged_is_explained() -> None:
    found = trace(allow(), tool("n" * (NAME_LIMIT + 1)))
    assert not found.matched
    assert found.failed.startswith("call: its method, name or target is longer")
