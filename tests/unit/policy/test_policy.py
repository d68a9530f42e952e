"""What rules allow, deny, mask and say."""

from __future__ import annotations

import pytest

from countersign.model.call import Call, NameKind
from countersign.model.decision import Outcome
from countersign.model.methods import CONNECTION_METHODS, NAMED_METHODS
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.rule import Rule
from countersign.policy import NAME_LIMIT, Policy
from countersign.policy.index import Index
from countersign.policy.matcher import Matcher
from tests.unit.policy.calls import NOW, allow, approve, break_glass, deny, person, prompt, resource, tool

ALICE = person("analysts")
CONNECTIONS = [*(m for m in CONNECTION_METHODS if "*" not in m), "notifications/initialized", "notifications/x/y"]


def allowed(rules: list[Rule], call: Call, principal: Principal = ALICE) -> bool:
    return Policy(rules, version="v1").decide(principal, call, NOW).allowed


def test_what_no_rule_matches_is_denied() -> None:
    decision = Policy([allow(tools=("query",))], version="v1").decide(ALICE, tool("drop"), NOW)
    assert decision.outcome is Outcome.DENY
    assert (decision.rules, decision.masks, decision.policy_version) == ((), (), "v1")


def test_no_rules_allow_nothing() -> None:
    assert not any(allowed([], call) for call in (tool("query"), Call("orders", "initialize"), Call("orders", "GET")))


def test_any_deny_beats_any_allow_in_either_order() -> None:
    rules = [allow(tools=("*",)), deny(tools=("export_*",))]
    for order in (rules, rules[::-1]):
        assert not allowed(order, tool("export_orders"))
        assert allowed(order, tool("query"))


@pytest.mark.parametrize(
    ("rule", "call", "expected"),
    [
        (allow(groups=("analysts",)), tool("query"), True),
        (allow(groups=("Analysts",)), tool("query"), False),
        (allow(groups=("support", "ana*")), tool("query"), True),
        (allow(groups=("?nalysts",)), tool("query"), True),
        (allow(groups=("analyst",)), tool("query"), False),
        (allow(targets=("orders",)), tool("query"), True),
        (allow(targets=("ord?rs",)), tool("query"), True),
        (allow(targets=("stock",)), tool("query"), False),
        (allow(tools=("list_*",)), tool("list_tables"), True),
        (allow(tools=("list_*",)), tool("LIST_tables"), False),
        (allow(tools=("list_*",)), tool("x_list_tables"), False),
        (allow(tools=("*",)), prompt("query"), False),
        (allow(prompts=("*",)), tool("query"), False),
        (allow(tools=("a",), prompts=("b",)), prompt("b"), True),
        (allow(tools=("a",), prompts=("b",)), prompt("a"), False),
        (allow(tools=("a",), prompts=("b",)), resource("a"), False),
        (allow(resources=("file:///pub/*",)), resource("file:///pub/x"), True),
        (allow(resources=("file:///pub/*",)), resource("file:///etc/x"), False),
        (allow(resources=("*",)), resource("u", "resources/subscribe"), True),
        (allow(resources=("*",)), resource("u", "resources/unsubscribe"), True),
        (allow(methods=("tools/call",)), tool("query"), True),
        (allow(methods=("tools/call",)), prompt("p"), False),
        (allow(methods=("resources/*",), resources=("u",)), resource("u"), True),
        (allow(methods=("resources/read",), resources=("u",)), resource("u", "resources/subscribe"), False),
        (allow(), Call("orders", "vendor/anything"), True),
        (allow(methods=("vendor/*",)), Call("orders", "vendor/anything"), True),
        (allow(tools=("*",), prompts=("*",), resources=("*",)), Call("orders", "vendor/anything"), False),
        (allow(prompts=("p",)), Call("orders", "completion/complete", "p", NameKind.PROMPT), True),
        (allow(resources=("u",)), Call("orders", "completion/complete", "u", NameKind.RESOURCE), True),
        (allow(tools=("p",)), Call("orders", "completion/complete", "p", NameKind.PROMPT), False),
    ],
)
def test_a_rule_selects_when_every_field_matches(rule: Rule, call: Call, expected: bool) -> None:
    assert allowed([rule], call) is expected
    assert allowed([allow("everything"), deny(
        groups=rule.selector.groups, targets=rule.selector.targets, methods=rule.selector.methods,
        tools=rule.selector.tools, prompts=rule.selector.prompts, resources=rule.selector.resources,
    )], call) is not expected  # fmt: skip


def test_a_star_as_group_means_also_those_in_no_group() -> None:
    nobody = person()
    assert allowed([allow(groups=("*",))], tool("query"), nobody)
    assert not allowed([allow(groups=("?*",))], tool("query"), nobody)
    assert not allowed([allow("all"), deny(groups=("*",))], tool("query"), nobody)


@pytest.mark.parametrize("method", CONNECTIONS)
def test_connection_methods_are_open_to_whom_some_rule_admits(method: str) -> None:
    call = Call("orders", method)
    assert allowed([allow(groups=("analysts",), targets=("orders",), tools=("query",))], call)
    assert allowed([allow(methods=("prompts/get",))], call)
    assert not allowed([allow(targets=("stock",))], call)
    assert not allowed([allow(groups=("support",))], call)


@pytest.mark.parametrize("method", CONNECTIONS)
def test_connection_methods_are_closed_by_denials_that_name_no_things(method: str) -> None:
    call, admitted = Call("orders", method), allow(tools=("query",))
    assert not allowed([admitted, deny(groups=("analysts",))], call)
    assert not allowed([admitted, deny(methods=(method,))], call)
    assert allowed([admitted, deny(methods=("tools/call",))], call)
    assert allowed([admitted, deny(tools=("*",))], call)
    assert allowed([admitted, deny(resources=("*",), methods=("*",))], call)
    assert allowed([admitted, deny(groups=("support",))], call)


@pytest.mark.parametrize("method", CONNECTIONS)
def test_what_a_stream_shows_again_is_masked_as_a_call_behind_glass_was(method: str) -> None:
    call = Call("orders", method)
    rules = [allow("a", tools=("status",), masks=("cards",)), break_glass("g", tools=("dump",), masks=("pii",))]
    decision = Policy(rules, version="v").decide(ALICE, call, NOW)
    assert (decision.outcome, decision.rules, decision.glass) == (Outcome.ALLOW, ("a",), ())
    assert decision.masks == ("cards", "pii")
    others = [break_glass("o", groups=("support",), masks=("pii",)), break_glass("p", targets=("x",), masks=("pii",))]
    assert Policy([rules[0], *others], version="v").decide(ALICE, call, NOW).masks == ("cards",)
    assert not allowed(rules[1:], call), "it admits nobody"


def test_masks_are_the_union_of_all_allows_that_matched() -> None:
    rules = [
        allow("c", tools=("query",), masks=("pii", "secrets")),
        allow("a", tools=("q*",), masks=("cards", "pii")),
        allow("b", tools=("other",), masks=("never",)),
    ]
    decision = Policy(rules, version="v1").decide(ALICE, tool("query"), NOW)
    assert decision.masks == ("cards", "pii", "secrets")
    assert decision.rules == ("a", "c")
    assert Policy(rules, version="v1").decide(ALICE, Call("orders", "tools/list"), NOW).masks == (
        "cards", "never", "pii", "secrets",
    )  # fmt: skip


def test_a_denial_names_the_denying_rules_and_says_their_messages() -> None:
    rules = [
        allow("read", tools=("*",), masks=("pii",)),
        deny("z", tools=("export_*",), message="Exports go through the data team."),
        deny("a", tools=("*_all",), message="Ask for less."),
        deny("m", tools=("export_all",)),
    ]
    decision = Policy(rules, version="v1").decide(ALICE, tool("export_all"), NOW)
    assert decision.rules == ("a", "m", "z")
    assert decision.masks == ()
    assert decision.message == "Ask for less. Exports go through the data team."
    assert decision.reason == 'denied by "a", "m", "z"'


def test_a_general_message_names_the_call() -> None:
    decision = Policy([], version="v1").decide(ALICE, tool("export_orders"), NOW)
    assert decision.message == "No rule allows alice to call tools/call export_orders on orders."
    silent = Policy([deny(tools=("*",))], version="v1").decide(ALICE, tool("export_orders"), NOW)
    assert silent.message == "The rules do not let alice call tools/call export_orders on orders."


def test_messages_repeat_neither_arguments_nor_uris_nor_what_breaks_a_line() -> None:
    policy = Policy([], version="v1")
    argued = Call("orders", "tools/call", "query", NameKind.TOOL, params_json='{"arguments":{"q":"hunter2"}}')
    for call in (argued, resource("https://u:hunter2@host/?key=hunter2")):
        decision = policy.decide(ALICE, call, NOW)
        assert "hunter2" not in decision.message + decision.reason
    hostile = policy.decide(person(subject="a\x1b[31m\n" * 100), tool("x\r\ny\u202e" * 2_000), NOW)
    assert hostile.message.isprintable()
    assert len(hostile.message) < 500


@pytest.mark.parametrize("method", [*NAMED_METHODS, "tools/list", "vendor/x"])
def test_a_call_whose_name_is_not_of_its_methods_kind_is_denied(method: str) -> None:
    for kind in NameKind:
        fits = kind in NAMED_METHODS.get(method, {NameKind.NONE})
        assert allowed([allow()], Call("orders", method, "n", kind)) is fits


def test_a_call_too_long_to_judge_is_denied() -> None:
    fits, long = "n" * NAME_LIMIT, "n" * (NAME_LIMIT + 1)
    assert all(allowed([allow()], call) for call in (Call(fits, "vendor/x"), Call("orders", fits), tool(fits)))
    assert not any(allowed([allow()], call) for call in (Call(long, "vendor/x"), Call("orders", long), tool(long)))
    assert not Policy([allow()], version="v").offers(ALICE, "orders", NameKind.TOOL, long)


def test_an_offer_is_made_exactly_when_the_call_would_be_allowed() -> None:
    policy = Policy([allow(tools=("query", "export_*"), prompts=("p",)), deny(tools=("export_*",))], version="v1")
    assert policy.offers(ALICE, "orders", NameKind.TOOL, "query")
    assert policy.offers(ALICE, "orders", NameKind.PROMPT, "p")
    assert not policy.offers(ALICE, "orders", NameKind.TOOL, "export_all")
    assert not policy.offers(ALICE, "orders", NameKind.TOOL, "p")
    assert not policy.offers(ALICE, "orders", NameKind.RESOURCE, "query")
    assert not policy.offers(ALICE, "orders", NameKind.NONE, "query")


@pytest.mark.parametrize(
    ("rules", "target", "admitted"),
    [
        ([allow(groups=("analysts",), targets=("orders",), tools=("query",))], "orders", True),
        ([allow(groups=("analysts",), targets=("orders",), tools=("query",))], "stock", False),
        ([allow(groups=("support",))], "orders", False),
        ([approve(groups=("analysts",), prompts=("p",))], "orders", True),
        ([allow(groups=("analysts",), tools=("query",), when="args.x == 1")], "orders", True),
        ([allow(groups=("analysts",)), deny(tools=("*",))], "orders", True),
        ([break_glass(groups=("analysts",))], "orders", False),
        ([deny(tools=("*",))], "orders", False),
        ([allow(groups=("analysts",), shadow=True)], "orders", False),
    ],
)
def test_whoever_may_do_anything_at_a_target_is_admitted_there(rules: list[Rule], target: str, admitted: bool) -> None:
    policy = Policy(rules, version="v1")
    assert policy.admits(ALICE, target) is admitted
    # Only so a session there can begin.
    if not any(rule.name == "denied" for rule in rules):
        assert policy.decide(ALICE, Call(target, "initialize"), NOW).allowed is admitted


def test_of_many_rules_only_those_that_could_be_about_the_call_are_asked() -> None:
    rules = [
        *(allow(f"a{i}", groups=(f"g{i}",), targets=("orders",), tools=(f"tool{i}",)) for i in range(100)),
        *(deny(f"d{i}", targets=(f"target{i}",), tools=("*",)) for i in range(100)),
        deny("all", targets=("*",), tools=("export_*",)),
        allow("this", groups=("analysts",), targets=("orders",), tools=("tool7",)),
    ]
    index = Index([Matcher(rule) for rule in rules])
    asked = index.about(person("b", "analysts"), tool("tool7"), connects=False)
    assert [matcher.rule.name for matcher in asked] == ["all", "this"]


@pytest.mark.parametrize(
    ("rules", "call", "unmasks"),
    [
        ([allow(unmask_for=("pay", "refund_*"))], tool("pay"), True),
        ([allow(unmask_for=("pay", "refund_*"))], tool("refund_one"), True),
        ([allow(unmask_for=("pay",))], tool("payment"), False),
        ([allow(unmask_for=("pay",)), allow("b")], tool("pay"), True),
        ([allow(unmask_for=("pay",), groups=("others",)), allow("b")], tool("pay"), False),
        (
            [allow(unmask_for=("pay",), when="false || args.a == 1"), allow("b")],
            tool("pay", arguments='{"a": 2}'),
            False,
        ),
        ([allow(unmask_for=("pay",), shadow=True), allow("b")], tool("pay"), False),
        ([allow(unmask_for=("*",))], prompt("pay"), False),
        ([approve(unmask_for=("pay",))], tool("pay"), True),
        ([allow(unmask_for=("pay",)), deny("d", tools=("pay",))], tool("pay"), False),
    ],
)
def test_real_values_go_only_where_a_rule_that_lets_the_call_pass_says(
    rules: list[Rule], call: Call, unmasks: bool
) -> None:
    assert Policy(rules, version="v").decide(ALICE, call, NOW).unmask is unmasks


@pytest.mark.parametrize(
    ("rules", "outcome", "named", "glass"),
    [
        ([break_glass("g")], Outcome.APPROVE, (), ("g",)),
        ([break_glass("g"), break_glass("h"), break_glass("i", groups=("x",))], Outcome.APPROVE, (), ("g", "h")),
        ([break_glass("g"), approve("a")], Outcome.APPROVE, ("a",), ("g",)),
        ([break_glass("g"), approve("a"), allow("w")], Outcome.APPROVE, ("a",), ("g",)),
        ([break_glass("g"), allow("w")], Outcome.ALLOW, ("w",), ()),
        ([break_glass("g"), deny("d")], Outcome.DENY, ("d",), ()),
        ([break_glass("g"), approve("a"), deny("d")], Outcome.DENY, ("d",), ()),
        ([break_glass("g", tools=("other",))], Outcome.DENY, (), ()),
        ([break_glass("g", when="args.n > 1")], Outcome.DENY, ("g",), ()),
        ([break_glass("g", shadow=True)], Outcome.DENY, (), ()),
    ],
)
def test_glass_is_broken_only_where_nothing_denies_and_nothing_allows(
    rules: list[Rule], outcome: Outcome, named: tuple[str, ...], glass: tuple[str, ...]
) -> None:
    for order in (rules, rules[::-1]):
        decision = Policy(order, version="v").decide(ALICE, tool("query"), NOW)
        assert (decision.outcome, decision.rules, decision.glass) == (outcome, named, glass)


def test_every_approve_rule_that_selects_a_call_is_named() -> None:
    rules = [approve("b", tools=("q*",)), approve("a"), approve("other", tools=("x",)), allow("w")]
    decision = Policy(rules, version="v").decide(ALICE, tool("query"), NOW)
    assert (decision.outcome, decision.rules) == (Outcome.APPROVE, ("a", "b"))


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (PrincipalKind.PERSON, Outcome.APPROVE),
        (PrincipalKind.AGENT, Outcome.APPROVE),
        (PrincipalKind.MACHINE, Outcome.DENY),
    ],
)
@pytest.mark.parametrize("kinds", [None, (PrincipalKind.PERSON, PrincipalKind.AGENT, PrincipalKind.MACHINE)])
def test_no_machine_breaks_the_glass(
    kind: PrincipalKind, outcome: Outcome, kinds: tuple[PrincipalKind, ...] | None
) -> None:
    policy = Policy([break_glass(kinds=kinds)], version="v")
    principal = person("analysts", kind=kind)
    assert policy.decide(principal, tool("query"), NOW).outcome is outcome
    assert policy.offers(principal, "orders", NameKind.TOOL, "query") is (outcome is Outcome.APPROVE)


@pytest.mark.parametrize("method", CONNECTIONS)
def test_break_glass_admits_nobody(method: str) -> None:
    for rule in (break_glass(), break_glass(methods=("*",)), break_glass(tools=("query",))):
        assert Policy([rule], version="v").decide(ALICE, Call("orders", method), NOW).outcome is Outcome.DENY
    told = Policy([break_glass()], version="v").explain(ALICE, Call("orders", method), NOW)
    assert told.rules[0].failed.startswith("methods: nobody breaks the glass")


def test_answers_got_by_breaking_the_glass_are_masked_and_uncover_nothing() -> None:
    rules = [break_glass(masks=("pii",), unmask_for=("*",)), approve(masks=("cards",), tools=("export",))]
    policy = Policy(rules, version="v")
    assert policy.decide(ALICE, tool("query"), NOW).masks == ("pii",)
    assert policy.decide(ALICE, tool("export"), NOW).masks == ("cards", "pii")
    assert not policy.decide(ALICE, tool("query"), NOW).unmask


def test_a_call_that_needs_somebody_says_who_decides_it() -> None:
    policy = Policy([approve("exports", tools=("export",)), break_glass("night")], version="v")
    both = policy.decide(ALICE, tool("export"), NOW)
    assert both.reason == 'needs approval by "exports"; its caller may break the glass by "night"'
    assert both.message == "alice needs an approval to call tools/call export on orders."
    alone = policy.decide(ALICE, tool("query"), NOW)
    assert alone.reason == 'its caller may break the glass by "night"'
    assert alone.message == ("No rule allows alice to call tools/call query on orders, except by breaking the glass.")
