"""Narrower rules: they cover what was used, never more than the file, and no name makes them say something else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countersign.config.load import parse
from countersign.model.decision import Decision, Outcome
from countersign.model.event import Finding
from countersign.model.principal import PrincipalKind
from countersign.model.situation import Situation, Usage
from countersign.rehearsal.record import RecordedCall, recorded_call
from countersign.rehearsal.ruling import Ruling
from countersign.review.grants import GrantUse
from countersign.review.narrowing import Narrowing
from countersign.review.proof import NotNarrowed, PolicyText, Proof, Proposal, Proving, propose
from tests.support.events import ALICE, START_US
from tests.unit.rehearsal.policies import MASKS, Rule, call, decided

AT = Situation(START_US, "192.0.2.7", Usage())
EVERYTHING: Rule = {"name": "all", "allow": {"groups": ["analysts", "support"], "targets": ["*"]}, "mask": ["pii"]}


def policy(*rules: Rule, **extra: object) -> PolicyText:
    """A gateway.yaml with these rules."""
    document = {
        "version": 1,
        "gateway": {"url": "https://gateway.example"},
        "identity": {"oidc": [{"issuer": ALICE.issuer}]},
        "targets": {"orders": {"mcp": "https://orders.example/mcp"}, "stock": {"mcp": "https://stock.example/mcp"}},
        "rules": list(rules),
        "masks": MASKS,
        **extra,
    }
    data, path = json.dumps(document).encode(), Path("gateway.yaml")
    return PolicyText(path, data, parse(data, path, {}))


def made(
    name: str,
    *,
    groups: tuple[str, ...] = ("analysts",),
    target: str = "orders",
    method: str = "tools/call",
    outcome: Outcome = Outcome.ALLOW,
    **arguments: object,
) -> RecordedCall:
    """A recorded call that was decided so then."""
    key = {"resources/read": "uri"}.get(method, "name")
    params = json.dumps({key: name, "arguments": arguments} if name else {})
    one = call(decision=decided(outcome))
    return replace(one, principal=replace(ALICE, groups=groups), call=recorded_call(target, method, name, params))


def narrowed(file: PolicyText, *calls: RecordedCall) -> tuple[Proposal, Proof]:
    """The narrower rules for these calls, and their proof."""
    use = GrantUse(file.config, 0)
    for one in calls:
        use.add(one)
    proposal = propose(file, Narrowing(file.config.rules, file.rules(), list(file.config.targets), use), ())
    proving = Proving(file.config, proposal.config, 0)
    for one in calls:
        proving.add(one)
    return proposal, proving.proof()


def what(proposal: Proposal) -> dict[str, str]:
    return {one.rule: one.what for one in proposal.advice}


def test_exact_names_targets_and_groups_stand_for_what_was_used() -> None:
    proposal, proof = narrowed(policy(EVERYTHING), made("query"), made("list_tables"), made("query"))
    [rule] = proposal.config.rules
    assert (rule.selector.groups, rule.selector.targets) == (("analysts",), ("orders",))
    assert rule.selector.tools == ("list_tables", "query")
    assert (rule.selector.prompts, rule.selector.resources) == (None, None)
    assert rule.masks == ("pii",)
    assert (proof.judged, proof.changed, proof.set_aside) == (3, 0, 0)


def test_what_was_denied_widens_nothing() -> None:
    poison = [made(f"made_up_{number}", outcome=Outcome.DENY) for number in range(2_000)]
    proposal, proof = narrowed(policy(EVERYTHING), made("query"), *poison)
    assert proposal.config.rules[0].selector.tools == ("query",)
    assert proof.judged == 1


def test_a_caller_who_makes_names_up_that_are_allowed_gets_no_endless_list() -> None:
    proposal, proof = narrowed(policy(EVERYTHING), *[made(f"made_up_{number}") for number in range(500)])
    assert proposal.config.rules[0].selector.tools is None
    assert proof.changed == 0


def test_rules_that_deny_stay_and_rules_that_nobody_needed_go() -> None:
    deny: Rule = {"name": "no exports", "deny": {"tools": ["export_*"]}}
    idle: Rule = {"name": "stock", "allow": {"groups": ["stock"], "targets": ["stock"], "tools": ["count"]}}
    proposal, _ = narrowed(policy(EVERYTHING, deny, idle), made("query"))
    assert what(proposal) == {"all": "narrowed", "no exports": "kept", "stock": "removed"}
    assert [rule.name for rule in proposal.config.rules] == ["all", "no exports"]


HOSTILE_NAMES = {
    "a glob": "*",
    "a glob at the end": "que*",
    "a question mark": "quer?",
    "yaml": 'x"], "deny": {}}\n  - name: owned',
    "a line break": "a\nb",
    "a comment": "a #b",
    "bidi": "a\u202eb",
    "nothing": "",
}


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES.keys())
def test_a_name_that_cannot_be_written_leaves_the_glob_that_covered_it(name: str) -> None:
    rule: Rule = {"name": "all", "allow": {"groups": ["*"], "targets": ["orders"], "tools": ["*", "query"]}}
    proposal, proof = narrowed(policy(rule), made(name), made("query"))
    assert set(proposal.config.rules[0].selector.tools or ()) == {"*"}
    assert proof.changed == 0
    assert len(proposal.config.rules) == 1


def test_names_that_look_like_yaml_are_text() -> None:
    names = ["yes", "12", "null", "1e3", "~", "a:b", "-x", "&a", "!t", "'q'", 'd"q', "naïve", "😀", "@x", "%d", "a,b"]
    proposal, proof = narrowed(policy(EVERYTHING), *map(made, names))
    assert sorted(proposal.config.rules[0].selector.tools or ()) == sorted(names)
    assert proof.changed == 0


def test_a_rule_stays_whose_masks_would_be_missed_where_another_one_allows() -> None:
    masked: Rule = {"name": "masked", "allow": {"groups": ["support"], "targets": ["orders"]}, "mask": ["pii"]}
    bare: Rule = {"name": "bare", "allow": {"groups": ["analysts"], "targets": ["orders"], "tools": ["query"]}}
    proposal, _ = narrowed(policy(masked, bare), made("query"))
    assert what(proposal)["masked"] == "kept"
    both = replace(ALICE, groups=("analysts", "support"))
    assert Ruling(proposal.config).decide(both, made("query").call, AT).masks == ("pii",)


def test_a_rule_that_asks_stays_where_another_one_allows() -> None:
    asks: Rule = {
        "name": "asks",
        "approve": {"groups": ["support"], "targets": ["orders"], "tools": ["que*"]},
        "by": {"groups": ["owners"]},
    }
    allows: Rule = {"name": "allows", "allow": {"groups": ["analysts"], "targets": ["orders"], "tools": ["query"]}}
    proposal, _ = narrowed(policy(asks, allows), made("query"))
    assert what(proposal)["asks"] == "kept"


def test_a_rule_that_asks_alone_is_narrowed_with_its_approvers() -> None:
    asks: Rule = {
        "name": "asks",
        "approve": {"groups": ["support", "analysts"], "targets": ["*"], "tools": ["export_*"]},
        "by": {"groups": ["owners"], "count": 2},
        "args": {"limit": {"max": 100}},
    }
    proposal, proof = narrowed(policy(asks), made("export_table", outcome=Outcome.APPROVE, limit=5))
    [rule] = proposal.config.rules
    assert rule.selector.tools == ("export_table",)
    assert rule.by is not None
    assert rule.by.count == 2
    assert [one.path for one in rule.args] == ["limit"]
    assert (proof.judged, proof.changed) == (1, 0)


def test_who_only_connects_is_still_let_in() -> None:
    listing = made("", groups=("support",), method="tools/list", target="stock")
    proposal, proof = narrowed(policy(EVERYTHING), made("query"), listing)
    assert proof.changed == 0
    assert set(proposal.config.rules[0].selector.groups or ()) == {"analysts", "support"}


def test_a_name_that_is_masked_on_record_leaves_its_glob() -> None:
    rule: Rule = {"name": "all", "allow": {"groups": ["*"], "targets": ["orders"], "tools": ["mail_*", "query"]}}
    hidden = replace(made("mail_[email]"), findings=(Finding("email", "$.name"),))
    proposal, proof = narrowed(policy(rule), hidden, made("query"))
    assert set(proposal.config.rules[0].selector.tools or ()) == {"mail_*", "query"}
    assert (proof.changed, proof.on_masked_arguments) == (0, 1)


def test_renamed_groups_leave_nothing_to_narrow() -> None:
    with pytest.raises(NotNarrowed, match="no rule was needed"):
        narrowed(policy(EVERYTHING), made("query", groups=("analysts-old",)))


def test_two_rules_that_come_to_the_same_become_one() -> None:
    wide: Rule = {"name": "wide", "allow": {"groups": ["analysts"], "targets": ["orders"], "tools": ["q*"]}}
    exact: Rule = {"name": "exact", "allow": {"groups": ["analysts"], "targets": ["orders"], "tools": ["query", "x"]}}
    proposal, proof = narrowed(policy(wide, exact), made("query"))
    assert what(proposal) == {"wide": "narrowed", "exact": "removed"}
    assert proof.changed == 0


GROUPS = ("analysts", "support", "owners")
TOOLS = ("query", "quote", "export_a", "export_b")
ENTRIES = {
    "groups": (*GROUPS, "*"),
    "targets": ("orders", "stock", "*"),
    "tools": (*TOOLS, "q*", "export_*", "*"),
}


def some(entries: Iterable[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(sorted(entries)), min_size=1, max_size=3, unique=True)


@st.composite
def rules(draw: st.DrawFn) -> list[Rule]:
    made_up: list[Rule] = []
    for number in range(draw(st.integers(1, 4))):
        effect = draw(st.sampled_from(("allow", "allow", "approve", "deny")))
        about: dict[str, object] = {"groups": draw(some(ENTRIES["groups"])), "targets": draw(some(ENTRIES["targets"]))}
        if draw(st.booleans()):
            about["tools"] = draw(some(ENTRIES["tools"]))
        rule: Rule = {"name": f"rule {number}", effect: about}
        if effect == "approve":
            rule["by"] = {"groups": ["owners"]}
        if effect != "deny" and draw(st.booleans()):
            rule["mask"] = draw(some(("pii", "secrets")))
        if effect != "deny" and draw(st.integers(0, 3)) == 0:
            rule["args"] = {"limit": {"max": 10}}
        made_up.append(rule)
    return made_up


CALLS = st.builds(
    lambda groups, target, named, limit: made(
        named[1], groups=tuple(groups), target=target, method=named[0], **({} if limit is None else {"limit": limit})
    ),
    some(GROUPS),
    st.sampled_from(("orders", "stock")),
    st.sampled_from([*(("tools/call", tool) for tool in TOOLS), ("tools/list", ""), ("tasks/get", "")]),
    st.sampled_from((None, 5, 50, "many")),
)
WEIGHT = {Outcome.DENY: 0, Outcome.APPROVE: 1, Outcome.ALLOW: 2}


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(rules(), st.lists(CALLS, min_size=1, max_size=6), st.lists(CALLS, max_size=12))
def test_recorded_calls_are_decided_alike_and_no_call_is_let_through(
    stated: list[Rule], recorded: list[RecordedCall], others: list[RecordedCall]
) -> None:
    try:
        file = policy(*stated)
    except ValueError:
        return  # rules that the file refuses
    was = Ruling(file.config)
    passed = [
        replace(one, decision=decided(decision.outcome, *decision.rules))
        for one in recorded
        if (decision := _decided(was, one)).outcome is not Outcome.DENY
    ]
    try:
        proposal, proof = narrowed(file, *passed)
    except NotNarrowed:
        return
    assert (proof.judged, proof.changed) == (len(passed), 0), proposal.yaml
    now = Ruling(proposal.config)
    for one in [*recorded, *others]:
        before, after = _decided(was, one), _decided(now, one)
        assert WEIGHT[after.outcome] <= WEIGHT[before.outcome], proposal.yaml
        if after.outcome is not Outcome.DENY:
            assert set(before.masks) <= set(after.masks), proposal.yaml


def _decided(ruling: Ruling, one: RecordedCall) -> Decision:
    assert one.principal.kind is PrincipalKind.PERSON
    return ruling.decide(one.principal, one.call, AT)
