"""Promises of policy over arbitrary rules and calls, and against an evaluator too plain to be wrong."""

from __future__ import annotations

from fnmatch import fnmatchcase

from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.model.call import Call, NameKind
from countersign.model.decision import Decision
from countersign.model.principal import Principal
from countersign.model.rule import Effect, Rule, Selector
from countersign.policy import Policy
from tests.unit.policy.calls import NOW, person

NAMES = ("a", "b", "ab", "ba")
GLOBS = st.lists(st.sampled_from((*NAMES, "*", "a*", "*b", "?", "a?")), min_size=1, max_size=2).map(tuple)
METHODS = ("tools/call", "prompts/get", "resources/read", "completion/complete", "tools/list", "GET", "vendor/a")
METHOD_GLOBS = st.lists(st.sampled_from((*METHODS, "*", "tools/*", "*/a")), min_size=1, max_size=2).map(tuple)
CONNECTING = ("tools/list", "GET")


def maybe(globs: st.SearchStrategy[tuple[str, ...]]) -> st.SearchStrategy[tuple[str, ...] | None]:
    return st.none() | globs


SELECTORS = st.builds(
    Selector, maybe(GLOBS), maybe(GLOBS), maybe(METHOD_GLOBS), maybe(GLOBS), maybe(GLOBS), maybe(GLOBS)
)
MASKS = st.lists(st.sampled_from(("m1", "m2", "m3")), max_size=2, unique=True).map(tuple)
ALLOWS = st.builds(Rule, st.uuids().map(str), st.just(Effect.ALLOW), SELECTORS, MASKS)
DENIES = st.builds(Rule, st.uuids().map(str), st.just(Effect.DENY), SELECTORS)
RULES = st.lists(ALLOWS | ALLOWS | DENIES, max_size=6)
PRINCIPALS = st.lists(st.sampled_from(NAMES), max_size=2).map(lambda groups: person(*groups))


@st.composite
def calls(draw: st.DrawFn) -> Call:
    method, name, target = draw(st.sampled_from(METHODS)), draw(st.sampled_from(NAMES)), draw(st.sampled_from(NAMES))
    kinds = {"tools/call": NameKind.TOOL, "prompts/get": NameKind.PROMPT, "resources/read": NameKind.RESOURCE}
    if method == "completion/complete":
        return Call(target, method, name, draw(st.sampled_from((NameKind.PROMPT, NameKind.RESOURCE))))
    return Call(target, method, name, kinds[method]) if method in kinds else Call(target, method)


def judged(rules: list[Rule], principal: Principal, call: Call) -> Decision:
    return Policy(rules, version="v").decide(principal, call, NOW)


@given(RULES, ALLOWS, PRINCIPALS, calls())
def test_to_add_an_allow_never_takes_a_mask_from_an_allowed_call(
    rules: list[Rule], more: Rule, principal: Principal, call: Call
) -> None:
    before, after = judged(rules, principal, call), judged([*rules, more], principal, call)
    if before.allowed:
        assert after.allowed
        assert set(before.masks) <= set(after.masks)


@given(RULES, DENIES, PRINCIPALS, calls())
def test_to_add_a_deny_never_allows(rules: list[Rule], more: Rule, principal: Principal, call: Call) -> None:
    if not judged(rules, principal, call).allowed:
        assert not judged([*rules, more], principal, call).allowed


@given(RULES.flatmap(lambda rules: st.tuples(st.just(rules), st.permutations(rules))), PRINCIPALS, calls())
def test_the_order_of_rules_means_nothing(
    orders: tuple[list[Rule], list[Rule]], principal: Principal, call: Call
) -> None:
    assert judged(orders[0], principal, call) == judged(orders[1], principal, call)


@settings(max_examples=500)
@given(RULES, PRINCIPALS, calls())
def test_decisions_equal_those_of_a_plain_evaluator(rules: list[Rule], principal: Principal, call: Call) -> None:
    decision = judged(rules, principal, call)
    assert (decision.allowed, decision.rules, decision.masks) == plainly_judged(rules, principal, call)


@given(RULES, PRINCIPALS, st.sampled_from(NAMES), st.sampled_from(list(NameKind)), st.sampled_from(NAMES))
def test_offers_equal_decisions_of_rules_without_conditions(
    rules: list[Rule], principal: Principal, target: str, kind: NameKind, name: str
) -> None:
    methods = {NameKind.TOOL: "tools/call", NameKind.PROMPT: "prompts/get", NameKind.RESOURCE: "resources/read"}
    expected = kind in methods and plainly_judged(rules, principal, Call(target, methods[kind], name, kind))[0]
    assert Policy(rules, version="v").offers(principal, target, kind, name) is expected


def plainly_judged(
    rules: list[Rule], principal: Principal, call: Call
) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
    """The semantics, clause by clause, with the standard library's globs (no brackets occur here)."""
    denies, allows = [], []
    for rule in rules:
        about = rule.selector
        who = about.groups is None or "*" in about.groups or any(one(about.groups, group) for group in principal.groups)
        where = about.targets is None or one(about.targets, call.target)
        how = about.methods is None or one(about.methods, call.method)
        named = {NameKind.TOOL: about.tools, NameKind.PROMPT: about.prompts, NameKind.RESOURCE: about.resources}
        nameless = all(globs is None for globs in named.values())
        globs = named.get(call.name_kind)
        what = nameless or (globs is not None and one(globs, call.name))
        if rule.effect is Effect.ALLOW and who and where and (call.method in CONNECTING or (how and what)):
            allows.append(rule)
        if rule.effect is Effect.DENY and who and where and how and (nameless if call.method in CONNECTING else what):
            denies.append(rule)
    if denies or not allows:
        return False, tuple(sorted(rule.name for rule in denies)), ()
    masks = {mask for rule in allows for mask in rule.masks}
    return True, tuple(sorted(rule.name for rule in allows)), tuple(sorted(masks))


def one(globs: tuple[str, ...], text: str) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)
