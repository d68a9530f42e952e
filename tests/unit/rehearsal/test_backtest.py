"""What a backtest says of recorded calls: every change and nothing else, and the same each time."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.model.decision import Decision, Outcome
from countersign.model.event import Finding
from countersign.model.principal import PrincipalKind
from countersign.rehearsal import backtest as backtest_module
from countersign.rehearsal.backtest import NO_RULE, OTHERS, Backtest, Effect, Findings
from countersign.rehearsal.record import Aside, RecordedAnswer, RecordedCall, recorded_call
from countersign.rehearsal.reports import Asked, PolicyFile, backtest_json
from countersign.rehearsal.ruling import Ruling
from tests.support.events import START_US
from tests.unit.rehearsal.policies import ALLOWED, NO_EXPORTS, READ, Rule, answer, call, decided, ruling

Fact = RecordedCall | RecordedAnswer
DENIED = decided(Outcome.DENY, "no exports", reason='denied by "no exports"')
UNALLOWED = decided(Outcome.DENY)
LIMITED: Rule = {**READ, "args": {"limit": {"max": 100}}}
MAIL = Finding("EMAIL", "$.arguments.mail")


def found(candidate: Ruling, *facts: Fact, baseline: Ruling | None = None, since_us: int = 0) -> Findings:
    run = Backtest(candidate, baseline, since_us)
    for fact in facts:
        run.add(fact)
    return run.findings()


def effects(findings: Findings) -> list[Effect]:
    return [change.effect for change in findings.changes]


def test_same_rules_change_nothing(tmp_path: Path) -> None:
    findings = found(ruling(tmp_path), call(), call("export_table", decision=DENIED), call("drop", decision=UNALLOWED))
    assert (findings.judged, findings.changed, findings.changes) == (3, 0, [])


APPROVE: Rule = {
    "name": "approve reads",
    "approve": {"groups": ["analysts"], "tools": ["query"]},
    "by": {"groups": ["owners"]},
}
SECRETS: Rule = {**READ, "mask": ["pii", "secrets"]}
SILENT: Rule = {"name": "silence", "deny": {"principals": ["alice"], "tools": ["query"]}}
NEEDED = decided(Outcome.DENY, "approve reads", reason='needs approval by "approve reads"')


@pytest.mark.parametrize(
    ("rules", "decision", "effect", "deciding"),
    [
        ((READ, SILENT), ALLOWED, Effect.DENIED, ("silence",)),
        ((READ, APPROVE), ALLOWED, Effect.APPROVAL, ("approve reads",)),
        ((SECRETS,), ALLOWED, Effect.MASKS, ("analysts read",)),
        ((READ,), decided(Outcome.DENY, "silence", reason="denied"), Effect.ALLOWED, ("analysts read",)),
        ((READ,), NEEDED, Effect.ALLOWED, ("analysts read",)),
        ((READ, APPROVE), NEEDED, None, ()),
        ((NO_EXPORTS, APPROVE), UNALLOWED, Effect.APPROVAL, ("approve reads",)),
    ],
)
def test_each_kind_of_change_is_told_with_the_rules_that_make_it(
    tmp_path: Path,
    rules: tuple[Rule, ...],
    decision: Decision,
    effect: Effect | None,
    deciding: tuple[str, ...],
) -> None:
    findings = found(ruling(tmp_path, *rules), call(decision=decision, index=7))
    assert effects(findings) == ([effect] if effect else [])
    for change in findings.changes:
        assert change.would_be.rules == deciding
        assert change.examples == ["event-7"]
        assert all(findings.by_rule[rule].would_be == 1 for rule in deciding)
        assert all(findings.by_rule[rule].was == 1 for rule in decision.rules or (NO_RULE,))


def test_same_outcome_by_another_rule_is_no_change_but_is_counted(tmp_path: Path) -> None:
    findings = found(ruling(tmp_path, {**READ, "name": "others read"}), call())
    assert (findings.changed, findings.by_other_rules) == (0, 1)


def test_like_changes_are_one_with_the_first_as_examples(tmp_path: Path) -> None:
    facts = [call(index=index) for index in range(9)] + [call(index=9, subject="bob")]
    findings = found(ruling(tmp_path, NO_EXPORTS, {**READ, "allow": {"groups": ["nobody"]}}), *facts)
    [of_alice, of_bob] = findings.changes
    assert (of_alice.calls, of_alice.examples) == (9, [f"event-{index}" for index in range(5)])
    assert (of_bob.calls, of_bob.of.subject) == (1, "bob")
    assert {who[0]: one.counts[Effect.DENIED] for who, one in findings.by_principal.items()} == {"alice": 9, "bob": 1}
    assert findings.by_tool[("orders", "tools/call", "query")].calls == 10


ASIDE = [
    (decided(Outcome.REFUSED, reason="not JSON"), Aside.UNREAD),
    (decided(Outcome.DENY, "x", reason="another message of the same batch was denied, so none was sent"), Aside.BATCH),
    (decided(Outcome.DENY, reason="the tool is new at its target"), Aside.NOT_BY_RULES),
]


@pytest.mark.parametrize(("decision", "aside"), ASIDE)
def test_what_the_rules_did_not_decide_is_not_compared(tmp_path: Path, decision: Decision, aside: Aside) -> None:
    findings = found(ruling(tmp_path), call(decision=decision))
    assert (findings.judged, findings.changed, findings.set_aside) == (0, 0, {aside: 1})


@pytest.mark.parametrize(("decision", "aside"), ASIDE)
def test_against_another_file_only_what_was_never_read_is_set_aside(
    tmp_path: Path, decision: Decision, aside: Aside
) -> None:
    old = ruling(tmp_path, {**READ, "allow": {"groups": ["nobody"]}}, name="old.yaml")
    findings = found(ruling(tmp_path), call(decision=decision), baseline=old)
    assert findings.changed == (0 if aside is Aside.UNREAD else 1)


def test_two_files_are_compared_with_each_other_and_not_with_the_record(tmp_path: Path) -> None:
    old = ruling(tmp_path, SECRETS, name="old.yaml")
    findings = found(ruling(tmp_path, READ), call(decision=UNALLOWED), baseline=old)
    [change] = findings.changes
    assert (change.was.masks, change.would_be.masks) == (("pii", "secrets"), ("pii",))


@pytest.mark.parametrize(
    ("rules", "finding", "marked"),
    [
        ((LIMITED,), MAIL, 1),
        ((READ,), MAIL, 0),
        ((READ, {"name": "x", "deny": {"tools": ["other"]}, "args": {"limit": {"max": 1}}}), MAIL, 0),
        ((READ, {"name": "x", "deny": {"tools": ["query"]}, "when": "args.mail == 'a'"}), MAIL, 1),
        ((READ,), Finding("EMAIL", "$.name"), 1),
    ],
)
def test_calls_judged_on_what_was_masked_are_marked(
    tmp_path: Path, rules: tuple[Rule, ...], finding: Finding, marked: int
) -> None:
    facts = call(arguments={"limit": 5, "mail": "[EMAIL]"}, findings=(finding,))
    assert found(ruling(tmp_path, *rules), facts).on_masked_arguments == marked


def test_calls_whose_arguments_are_not_on_record_are_judged_only_where_those_have_no_say(tmp_path: Path) -> None:
    gone = call(complete=False)
    assert found(ruling(tmp_path, LIMITED), gone).set_aside == {Aside.NO_ARGUMENTS: 1}
    assert found(ruling(tmp_path, READ), gone).judged == 1


def test_target_that_the_file_does_not_have_is_denied_whatever_its_globs_say(tmp_path: Path) -> None:
    everything = ruling(
        tmp_path,
        {"name": "all", "allow": {"groups": ["*"], "targets": ["*"]}},
        targets={"stock": {"mcp": "https://s.example"}},
    )
    [change] = found(everything, call()).changes
    assert (change.would_be.outcome, change.would_be.reason) == ("deny", "the file has no such target")


HEAVY: Rule = {"name": "enough", "deny": {"tools": ["query"]}, "when": "usage.rows_1h > 100"}


def test_use_is_counted_again_from_the_record_before_each_call(tmp_path: Path) -> None:
    minute = 60_000_000
    facts = (
        answer(60, after_us=-minute),
        call(index=1),
        answer(60, after_us=1),
        call(index=2, after_us=minute),
        call(index=3, after_us=minute, subject="bob"),
        call(index=4, after_us=70 * minute),
    )
    findings = found(ruling(tmp_path, READ, HEAVY), *facts, since_us=START_US)
    assert [change.examples for change in findings.changes] == [["event-2"]]


def test_calls_before_the_time_asked_for_count_but_are_not_judged(tmp_path: Path) -> None:
    limit = [{"name": "two", "groups": ["analysts"], "calls": 2, "per": "1m"}]
    facts = [call(index=index, after_us=index) for index in range(4)]
    findings = found(ruling(tmp_path, rate_limits=limit), *facts, since_us=START_US + 1)
    assert findings.judged == 3
    assert [(change.would_be.rules, change.examples) for change in findings.changes] == [
        (("two",), ["event-2", "event-3"])
    ]


@pytest.mark.parametrize("trial", [False, True])
def test_rules_on_trial_count_when_asked_for(tmp_path: Path, trial: bool) -> None:
    shadow = {**SILENT, "mode": "shadow"}
    assert found(ruling(tmp_path, READ, shadow, trial=trial), call()).changed == trial


def test_ways_to_change_are_bounded_and_none_is_lost_from_the_sums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtest_module, "MAX_CHANGES", 3)
    monkeypatch.setattr(backtest_module, "MAX_ROWS", 2)
    facts = [call(index=index, subject=f"s{index}") for index in range(9)]
    findings = found(ruling(tmp_path, NO_EXPORTS, {**READ, "allow": {"groups": ["nobody"]}}), *facts)
    assert (findings.changed, len(findings.changes), findings.changes_beyond) == (9, 3, 6)
    assert findings.by_principal[(OTHERS, "")].calls == 7


calls_of_many = st.lists(
    st.builds(
        call,
        st.sampled_from(["query", "export_table", "drop"]),
        st.dictionaries(st.just("limit"), st.integers(0, 200), max_size=1),
        index=st.integers(0, 10**6),
        after_us=st.integers(0, 10**9),
        decision=st.sampled_from([ALLOWED, DENIED, UNALLOWED, NEEDED]),
        subject=st.sampled_from(["alice", "bob"]),
    ),
    max_size=12,
)


@given(facts=calls_of_many)
def test_same_record_gives_the_same_bytes_and_every_call_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, facts: list[RecordedCall]
) -> None:
    candidate = ruling(tmp_path_factory.mktemp("policy"), LIMITED, APPROVE, HEAVY)
    asked = Asked(PolicyFile("new.yaml", candidate.version), None, 0, START_US)
    one, other = found(candidate, *facts), found(candidate, *facts)
    assert backtest_json(asked, one) == backtest_json(asked, other)
    assert one.judged + sum(one.set_aside.values()) == len(facts)
    assert sum(change.calls for change in one.changes) == one.changed
    assert sum(effects.calls for effects in one.by_tool.values()) == one.changed


def test_kind_of_principal_is_that_of_the_record(tmp_path: Path) -> None:
    people = {**READ, "allow": {"kind": "person", "tools": ["query"]}}
    assert call().principal.kind is PrincipalKind.PERSON
    assert found(ruling(tmp_path, people), call()).changed == 0


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ('{"ref": {"type": "ref/prompt", "name": "x"}}', "prompt"),
        ('{"ref": {"type": "ref/resource", "uri": "x"}}', "resource"),
        ('{"ref": {"type": "odd"}}', "none"),
        ('{"ref": 7}', "none"),
        ('"[withheld]"', "none"),
        ("", "none"),
        ('{"ref": {}, "ref": {}}', "none"),
    ],
)
def test_completions_are_of_the_kind_that_their_reference_says(params: str, kind: str) -> None:
    assert recorded_call("orders", "completion/complete", "x", params).name_kind == kind
