"""What rules may say beside allow and deny, and that what one makes idle, empty or contradictory is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from countersign.config import ConfigRefused, NewTools
from countersign.model.principal import PrincipalKind
from countersign.model.rule import Approvers, ArgConstraint, Effect, Rule, Selector
from tests.unit.config.files import GOOD, loaded, pointed_at, refused

HEAD = """\
version: 1
gateway: {url: "https://mcp.example.com"}
identity: {oidc: [{issuer: "https://login.example.com"}]}
targets: {orders: {mcp: "https://orders.example/mcp"}, stock: {mcp: "https://stock.example/mcp"}}
masks: {pii: {detect: [email]}, secrets: {detect: [secrets]}}
rules:
  - {name: base, allow: {groups: [base]}}
"""


BY = "by: {groups: [owners]}"


def with_rules(*rules: str) -> str:
    return HEAD + "".join(f"  - {{{rule}}}\n" for rule in rules)


def test_a_rule_may_say_all_of_this(tmp_path: Path) -> None:
    text = HEAD + (
        "  - name: large reads\n"
        "    approve: {groups: [analysts], principals: ['alice@*'], kind: [agent, person], tools: [query]}\n"
        "    by: {groups: [owners]}\n"
        "    args: {limit: {max: 100}}\n"
        "    when: usage.rows_1h > 1000\n"
        "    mask: [pii]\n"
        "    mode: shadow\n"
    )
    assert loaded(tmp_path, text).rules[1] == Rule(
        "large reads",
        Effect.APPROVE,
        Selector(
            groups=("analysts",),
            tools=("query",),
            principals=("alice@*",),
            kinds=(PrincipalKind.PERSON, PrincipalKind.AGENT),
        ),
        ("pii",),
        args=(ArgConstraint("limit", at_most=100),),
        when="usage.rows_1h > 1000",
        shadow=True,
        by=Approvers(("owners",)),
    )


def test_one_kind_needs_no_list_and_says_whom(tmp_path: Path) -> None:
    rule = loaded(tmp_path, with_rules("name: x, allow: {kind: machine, tools: [query]}, mode: enforce")).rules[1]
    assert rule.selector.kinds == (PrincipalKind.MACHINE,)
    assert not rule.shadow


def test_new_tools_are_denied_unless_it_is_said(tmp_path: Path) -> None:
    text = HEAD.replace('orders.example/mcp"}', 'orders.example/mcp", new_tools: allow}')
    targets = loaded(tmp_path, text).targets
    assert (targets["orders"].new_tools, targets["stock"].new_tools) == (NewTools.ALLOW, NewTools.DENY)
    (problem,) = refused(tmp_path, text.replace("new_tools: allow", "new_tools: alow"))
    assert pointed_at(text.replace("new_tools: allow", "new_tools: alow"), problem).startswith("alow")
    (problem,) = refused(tmp_path, text.replace("new_tools: allow", "new_tools: true"))
    assert "true or false" in problem.what


def test_operators_are_groups_in_full(tmp_path: Path) -> None:
    assert loaded(tmp_path, HEAD).operators == ()
    assert loaded(tmp_path, HEAD + "operators: {groups: [ops, sre]}\n").operators == ("ops", "sre")
    for groups, what in (("['o*']", "a wildcard would open the tools"), ("['ops ']", "spaces around"), ("[]", "empty")):
        (problem,) = refused(tmp_path, HEAD + f"operators: {{groups: {groups}}}\n")
        assert what in problem.what


@pytest.mark.parametrize(
    ("rule", "what", "at"),
    [
        ("name: x, approve: {tools: [a]}", "lets calls be approved without saying whom", "approve"),
        ("name: x, allow: {targets: [orders]}", "allows without saying whom", "allow"),
        ("name: x, approve: {groups: [a]}, message: hello", "nobody reads its `message`", "message"),
        ("name: x, approve: {groups: [a]}, mask: [pi]", "there is no mask `pi`", "pi]"),
        ("name: x, approve: {groups: [a]}, deny: {groups: [b]}", "has both `deny` and `approve`", "approve"),
        ("name: x, aprove: {groups: [a]}", "unknown key `aprove`", "aprove"),
        ("name: x, allow: {kind: robot}", "there is no kind of principal `robot`", "robot"),
        ("name: x, allow: {kind: [person, Agent]}", "there is no kind of principal `Agent`", "Agent"),
        ("name: x, allow: {kinds: [person]}", "unknown key `kinds`", "kinds"),
        ("name: x, allow: {kind: []}", "is empty", "[]"),
        ("name: x, allow: {kind: 5}", "is a number where a list", "5"),
        ("name: x, allow: {principals: [alice, ' bob']}", "spaces around it", "' bob'"),
        ("name: x, allow: {principals: []}", "is empty", "[]"),
        ("name: x, deny: {groups: [a]}, mode: off", "a rule has no mode `off`", "off"),
        ("name: x, deny: {groups: [a]}, mode: Shadow", "a rule has no mode `Shadow`", "Shadow"),
        ("name: x, deny: {groups: [a]}, mode: false", "`rules[1].mode` is true or false", "false"),
        ("name: x, allow: {groups: [a]}, args: {}", "`rules[1].args` is empty", "{}"),
        ("name: x, allow: {groups: [a]}, args: [limit]", "is a list where a mapping is needed", "[limit]"),
        ("name: x, allow: {groups: [a]}, arg: {a: b}", "unknown key `arg`", "arg"),
        ("name: x, allow: {groups: [a]}, when: ''", "`rules[1].when` is empty", "''"),
        ("name: x, allow: {groups: [a]}, when: true", "is true or false where text is needed", "true"),
        ("name: x, allow: {groups: [a]}, when: [a]", "is a list where text is needed", "[a]"),
        (
            "name: x, approve: {groups: [a], methods: [tools/list]}",
            "only methods that connect, for which nobody is asked",
            "approve",
        ),
        (
            "name: x, allow: {groups: [a], methods: [initialize, 'notifications/*']}, args: {a: b}",
            "which have no arguments to judge",
            "args",
        ),
        ("name: x, deny: {methods: [DELETE]}, args: {a: b}", "which have no arguments to judge", "args"),
        (
            "name: x, allow: {groups: [a], methods: [ping]}, when: usage.calls_1h < 5",
            "to which conditions do not apply",
            "when",
        ),
    ],
)
def test_a_rule_that_would_not_do_what_it_says_is_refused(tmp_path: Path, rule: str, what: str, at: str) -> None:
    text = with_rules(rule)
    told = [problem for problem in refused(tmp_path, text) if what in problem.what]
    assert len(told) == 1, refused(tmp_path, text)
    assert pointed_at(text, told[0]).startswith(at)
    assert told[0].remedy


@pytest.mark.parametrize(
    "rule",
    [
        "name: x, deny: {groups: [base], methods: [tools/list]}, when: usage.calls_1h > 5",
        "name: x, allow: {groups: [a], methods: [tools/list, tools/call]}, args: {a: b}",
        "name: x, allow: {groups: [a], methods: ['*']}, args: {a: b}",
        f"name: x, approve: {{principals: ['*'], tools: [x]}}, {BY}",
        "name: x, allow: {principals: ['auth0|1[2]']}",
    ],
)
def test_a_rule_that_does_something_is_taken(tmp_path: Path, rule: str) -> None:
    assert len(loaded(tmp_path, with_rules(rule)).rules) == 2


@pytest.mark.parametrize(
    ("wide", "narrow", "what"),
    [
        ("deny: {kind: [agent, person]}", "allow: {kind: agent}", "`narrow` can never allow, for `wide` denies"),
        (
            "deny: {principals: ['*'], groups: [a]}",
            "allow: {principals: [b], groups: [a]}",
            "`narrow` can never allow, for `wide` denies",
        ),
        (
            "deny: {principals: ['a*', b]}",
            f"approve: {{principals: [b]}}, {BY}",
            "`narrow` can never approve, for `wide` den",
        ),
        (
            "deny: {groups: [a]}",
            f"approve: {{groups: [a]}}, args: {{x: y}}, {BY}",
            "`narrow` can never approve, for `wide` den",
        ),
        (
            f"approve: {{groups: [a]}}, {BY}",
            "allow: {groups: [a], tools: [x]}",
            "`narrow` can never allow, for `wide` wants",
        ),
        (
            "deny: {groups: [a]}",
            "allow: {groups: [a]}, mode: shadow",
            "`narrow` can never allow, for `wide` denies all that it selects",
        ),
    ],
)
def test_a_rule_that_another_overrules_whatever_comes_is_refused(
    tmp_path: Path, wide: str, narrow: str, what: str
) -> None:
    (problem,) = refused(tmp_path, with_rules(f"name: wide, {wide}", f"name: narrow, {narrow}"))
    assert what in problem.what


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("deny: {groups: [a]}, args: {limit: {min: 5}}", "allow: {groups: [a]}"),
        ("deny: {groups: [a]}, when: usage.rows_1h > 5", "allow: {groups: [a]}"),
        ("deny: {groups: [a]}, mode: shadow", "allow: {groups: [a]}"),
        ("deny: {groups: [a]}, mode: shadow", f"approve: {{groups: [a]}}, {BY}"),
        (f"approve: {{groups: [a]}}, when: usage.rows_1h > 5, {BY}", "allow: {groups: [a]}"),
        ("allow: {groups: [a]}", f"approve: {{groups: [a], tools: [x]}}, {BY}"),
        ("deny: {kind: agent}", "allow: {groups: [a]}"),
        ("deny: {kind: agent}", "allow: {kind: [agent, person]}"),
        ("deny: {principals: [a]}", "allow: {groups: [a]}"),
        ("deny: {groups: [a]}", "allow: {principals: [a]}"),
    ],
)
def test_what_decides_only_some_calls_or_is_on_trial_overrules_nothing(tmp_path: Path, wide: str, narrow: str) -> None:
    assert len(loaded(tmp_path, with_rules(f"name: wide, {wide}", f"name: narrow, {narrow}")).rules) == 3


def test_two_rules_that_differ_only_in_their_names_are_refused_at_the_second(tmp_path: Path) -> None:
    text = with_rules(
        "name: one, allow: {groups: [a, b], tools: [x]}, args: {n: 1}, mask: [pii, secrets]",
        "name: two, allow: {tools: [x], groups: [b, a, a]}, args: {n: 1}, mask: [secrets, pii]",
    )
    (problem,) = refused(tmp_path, text)
    assert problem.what == "the rule `two` says what `one` says already"
    assert problem.line == 9


@pytest.mark.parametrize("differs", ["args: {n: true}", "args: {n: 2}", "args: {n: 1}, mode: shadow", "mask: [pii]"])
def test_rules_that_differ_in_anything_are_taken(tmp_path: Path, differs: str) -> None:
    rules = ("name: one, allow: {groups: [a]}, args: {n: 1}", f"name: two, allow: {{groups: [a]}}, {differs}")
    assert len(loaded(tmp_path, with_rules(*rules)).rules) == 3


def test_rules_on_trial_alone_allow_nothing(tmp_path: Path) -> None:
    text = HEAD.replace("allow: {groups: [base]}}", "allow: {groups: [base]}, mode: shadow}")
    (problem,) = refused(tmp_path, text)
    assert "no rule allows anything" in problem.what


def test_approvals_alone_are_enough(tmp_path: Path) -> None:
    assert loaded(tmp_path, HEAD.replace("allow:", f"{BY}, approve:")).rules[0].effect is Effect.APPROVE


def test_ten_problems_are_shown_and_all_are_kept(tmp_path: Path) -> None:
    problems = refused(tmp_path, with_rules(*(f"name: r{n}, alow: {{groups: [a]}}" for n in range(13))))
    assert len(problems) == 13
    lines = str(ConfigRefused(problems)).split("\n")
    assert lines[:10] == [str(problem) for problem in problems[:10]]
    assert lines[10:] == ["... and 3 more"]
    assert "more" not in str(ConfigRefused(problems[:10]))


def test_the_good_file_has_no_trial(tmp_path: Path) -> None:
    config = loaded(tmp_path, GOOD)
    assert (config.rate_limits, config.operators, config.candidate) == ((), (), None)
    assert not any(rule.shadow for rule in config.rules)
