"""Promises of policy over arbitrary rules and calls, and against an evaluator too plain to be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.model.call import Call, NameKind
from countersign.model.decision import Decision, Outcome
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.rule import ArgConstraint, Effect, Rule, Selector
from countersign.model.situation import Situation, Usage
from countersign.policy import Policy

NAMES = ("a", "b", "ab", "ba")
GLOBS = st.lists(st.sampled_from((*NAMES, *NAMES, "*", "a*", "*b", "?", "a?")), min_size=1, max_size=2).map(tuple)
METHODS = ("tools/call", "prompts/get", "resources/read", "completion/complete", "tools/list", "GET", "vendor/a")
METHOD_GLOBS = st.lists(st.sampled_from((*METHODS, "*", "tools/*", "*/a")), min_size=1, max_size=2).map(tuple)
KINDS = st.lists(st.sampled_from(list(PrincipalKind)), min_size=1, max_size=2).map(tuple)
CONNECTING = ("tools/list", "GET")


def maybe(globs: st.SearchStrategy[tuple[str, ...]]) -> st.SearchStrategy[tuple[str, ...] | None]:
    return st.none() | globs


SELECTORS = st.builds(
    Selector,
    maybe(GLOBS),
    maybe(GLOBS),
    maybe(METHOD_GLOBS),
    maybe(GLOBS),
    maybe(GLOBS),
    maybe(GLOBS),
    st.none() | st.none() | GLOBS,
    st.none() | st.none() | KINDS,
)
MASKS = st.lists(st.sampled_from(("m1", "m2", "m3")), max_size=2, unique=True).map(tuple)


class Thrown(Exception):
    """What the plain evaluator raises where policy must say that a rule cannot be evaluated."""


@dataclass(frozen=True)
class Asked:
    """What a decision is about."""

    principal: Principal
    call: Call
    situation: Situation

    @property
    def arguments(self) -> dict[str, object]:
        params = json.loads(self.call.params_json or "{}")
        found = params.get("arguments", {}) if self.call.method in ("tools/call", "prompts/get") else params
        assert isinstance(found, dict)
        return found


def number_of(arguments: dict[str, object], name: str) -> float:
    found = arguments.get(name)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise Thrown
    return found


def limit_is(meets: Callable[[float], bool]) -> Callable[[Asked], bool]:
    return lambda asked: "n" in asked.arguments and meets(number_of(asked.arguments, "n"))


def region_is_eu(asked: Asked) -> bool:
    if "s" not in asked.arguments:
        return False
    if not isinstance(asked.arguments["s"], str):
        raise Thrown
    return asked.arguments["s"] == "eu"


CONSTRAINTS: dict[tuple[ArgConstraint, ...], Callable[[Asked], bool]] = {
    (): lambda _: True,
    (ArgConstraint("n", at_most=100),): limit_is(lambda n: n <= 100),
    (ArgConstraint("n", at_least=100),): limit_is(lambda n: n >= 100),
    (ArgConstraint("s", one_of=("eu",)),): region_is_eu,
    (ArgConstraint("n", present=False),): lambda asked: "n" not in asked.arguments,
}
CONDITIONS: dict[str, Callable[[Asked], bool]] = {
    "": lambda _: True,
    "usage.rows_1h > 10": lambda asked: asked.situation.usage.rows_1h > 10,
    "args.n > 100": lambda asked: number_of(asked.arguments, "n") > 100,
    "has(args.n) && args.n > 100": lambda asked: "n" in asked.arguments and number_of(asked.arguments, "n") > 100,
    "'a' in principal.groups || args.s == 'eu'": lambda asked: "a" in asked.principal.groups or equals_eu(asked),
    "target.name == call.name && principal.kind != 'agent'": lambda asked: (
        asked.call.target == asked.call.name and asked.principal.kind is not PrincipalKind.AGENT
    ),
}


def equals_eu(asked: Asked) -> bool:
    if "s" not in asked.arguments:
        raise Thrown
    return asked.arguments["s"] == "eu"


def rules_of(effects: tuple[Effect, ...], *, shadow: bool = True) -> st.SearchStrategy[Rule]:
    return st.builds(
        Rule,
        st.uuids().map(str),
        st.sampled_from(effects),
        SELECTORS,
        MASKS,
        st.just(""),
        st.sampled_from([*([()] * 6), *CONSTRAINTS]),
        st.sampled_from([*([""] * 6), *CONDITIONS]),
        st.sampled_from([False, False, False, shadow]),
    )


ALLOWS = rules_of((Effect.ALLOW,))
PLAIN_ALLOWS = ALLOWS.map(lambda rule: replace(rule, args=(), when=""))
DENIES = rules_of((Effect.DENY,))
GLASSES = rules_of((Effect.BREAK_GLASS,))
PLAIN_GLASSES = GLASSES.map(lambda rule: replace(rule, args=(), when=""))
EVERY = rules_of((Effect.ALLOW, Effect.ALLOW, Effect.APPROVE, Effect.BREAK_GLASS, Effect.DENY))
RULES = st.lists(EVERY, max_size=7)
PRINCIPALS = st.builds(
    Principal,
    st.just("https://issuer.example"),
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(NAMES), max_size=2).map(tuple),
    st.sampled_from(list(PrincipalKind)),
    st.just("token-1"),
)
ARGUMENTS = st.fixed_dictionaries(
    {}, optional={"n": st.sampled_from((5, 100, 101.5, "x", True, None)), "s": st.sampled_from(("eu", "us", 5))}
)


@st.composite
def asking(draw: st.DrawFn) -> Asked:
    method, name, target = draw(st.sampled_from(METHODS)), draw(st.sampled_from(NAMES)), draw(st.sampled_from(NAMES))
    arguments = draw(ARGUMENTS)
    params = json.dumps({"arguments": arguments} if method in ("tools/call", "prompts/get") else arguments)
    kinds = {"tools/call": NameKind.TOOL, "prompts/get": NameKind.PROMPT, "resources/read": NameKind.RESOURCE}
    call = Call(target, method, params_json=params)
    if method in kinds:
        call = replace(call, name=name, name_kind=kinds[method])
    if method == "completion/complete":
        call = replace(call, name=name, name_kind=draw(st.sampled_from((NameKind.PROMPT, NameKind.RESOURCE))))
    return Asked(draw(PRINCIPALS), call, Situation(0, usage=Usage(rows_1h=draw(st.sampled_from((0, 11))))))


ASKED = asking()


def judged(rules: list[Rule], asked: Asked, *, trial: bool = False) -> Decision:
    return Policy(rules, version="v", trial=trial).decide(asked.principal, asked.call, asked.situation)


@given(RULES, ALLOWS, ASKED)
def test_to_add_an_allow_never_takes_a_mask_from_a_call_that_passes(
    rules: list[Rule], more: Rule, asked: Asked
) -> None:
    before, after = judged(rules, asked), judged([*rules, more], asked)
    if Outcome.DENY not in (before.outcome, after.outcome):
        assert set(before.masks) <= set(after.masks)


@given(RULES, PLAIN_ALLOWS, ASKED)
def test_to_add_an_allow_that_cannot_throw_never_makes_a_decision_stricter(
    rules: list[Rule], more: Rule, asked: Asked
) -> None:
    before, after = judged(rules, asked), judged([*rules, more], asked)
    if before.outcome is not Outcome.DENY:
        only_by_breaking_the_glass = before.outcome is Outcome.APPROVE and not before.rules
        assert after.outcome is before.outcome or (only_by_breaking_the_glass and after.outcome is Outcome.ALLOW)


@given(RULES, EVERY, ASKED)
def test_no_deny_is_lost_by_adding_any_rule(rules: list[Rule], more: Rule, asked: Asked) -> None:
    before, after = judged(rules, asked), judged([*rules, more], asked)
    if before.rules and before.outcome is Outcome.DENY:
        assert after.outcome is Outcome.DENY
        assert set(before.rules) <= set(after.rules)


@given(RULES, PLAIN_GLASSES, ASKED)
def test_to_add_a_break_glass_opens_nothing_and_lifts_no_demand(rules: list[Rule], more: Rule, asked: Asked) -> None:
    before, after = judged(rules, asked), judged([*rules, more], asked)
    assert after.rules == before.rules
    assert set(before.masks) <= set(after.masks)
    assert set(before.glass) <= set(after.glass) or after.outcome is not Outcome.APPROVE
    if before.outcome is not Outcome.DENY or before.rules:
        assert after.outcome is before.outcome
    else:
        assert after.outcome in (Outcome.DENY, Outcome.APPROVE)
    assert after.unmask is before.unmask


@given(RULES, DENIES, ASKED)
def test_to_add_a_deny_never_lets_pass(rules: list[Rule], more: Rule, asked: Asked) -> None:
    before, after = judged(rules, asked), judged([*rules, more], asked)
    assert after.outcome in (before.outcome, Outcome.DENY)


@given(RULES, ALLOWS, ASKED)
def test_no_approval_is_lost_by_adding_an_allow(rules: list[Rule], more: Rule, asked: Asked) -> None:
    before = judged(rules, asked)
    # What waits for its caller alone waits because nothing allows it.
    if before.outcome is Outcome.APPROVE and before.rules:
        assert judged([*rules, more], asked).outcome in (Outcome.APPROVE, Outcome.DENY)


@given(RULES, EVERY, ASKED)
def test_a_rule_on_trial_changes_nothing_but_the_trial(rules: list[Rule], more: Rule, asked: Asked) -> None:
    tried = replace(more, shadow=True)
    assert judged([*rules, tried], asked) == judged(rules, asked)
    enforced = [replace(rule, shadow=False) for rule in [*rules, tried]]
    assert judged([*rules, tried], asked, trial=True) == judged(enforced, asked)


@given(RULES.flatmap(lambda rules: st.tuples(st.just(rules), st.permutations(rules))), ASKED)
def test_the_order_of_rules_means_nothing(orders: tuple[list[Rule], list[Rule]], asked: Asked) -> None:
    assert judged(orders[0], asked) == judged(orders[1], asked)


@settings(max_examples=500)
@given(RULES, ASKED, st.booleans())
def test_decisions_and_traces_equal_those_of_a_plain_evaluator(rules: list[Rule], asked: Asked, trial: bool) -> None:
    policy = Policy(rules, version="v", trial=trial)
    explained = policy.explain(asked.principal, asked.call, asked.situation)
    assert explained.decision == policy.decide(asked.principal, asked.call, asked.situation)
    decision = explained.decision
    plain = Plainly(rules, asked, trial=trial)
    assert (decision.outcome, decision.rules, decision.masks, decision.glass) == plain.decision()
    assert [trace.name for trace in explained.rules] == [rule.name for rule in rules]
    for rule, trace in zip(rules, explained.rules, strict=True):
        assert (trace.effect, trace.shadow) == (rule.effect, rule.shadow)
        assert [trace.matched, bool(trace.error), bool(trace.failed)].count(True) == 1
        assert plain.of(rule) == ("throws" if trace.error else trace.matched)


@given(RULES, PRINCIPALS, st.sampled_from(NAMES), st.sampled_from(list(NameKind)), st.sampled_from(NAMES))
def test_what_is_offered_is_what_some_arguments_and_moment_let_pass(
    rules: list[Rule], principal: Principal, target: str, kind: NameKind, name: str
) -> None:
    methods = {NameKind.TOOL: "tools/call", NameKind.PROMPT: "prompts/get", NameKind.RESOURCE: "resources/read"}
    expected = False
    if kind in methods:
        asked = Asked(principal, Call(target, methods[kind], name, kind), Situation(0))
        possible = [
            replace(rule, args=(), when="")
            for rule in rules
            if rule.effect is not Effect.DENY or not (rule.args or rule.when)
        ]
        expected = Plainly(possible, asked, trial=False).decision()[0] is not Outcome.DENY
    assert Policy(rules, version="v").offers(principal, target, kind, name) is expected


class Plainly:
    """The semantics, clause by clause, with the standard library's globs (no brackets occur here)."""

    def __init__(self, rules: list[Rule], asked: Asked, *, trial: bool) -> None:
        self.rules = [rule for rule in rules if trial or not rule.shadow]
        self.asked = asked

    def decision(self) -> tuple[Outcome, tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        made: dict[Effect | str, list[Rule]] = {"throws": [], **{effect: [] for effect in Effect}}
        for rule in self.rules:
            what = self.of(rule)
            if what == "throws":
                made["throws"].append(rule)
            elif what:
                made[Effect.ALLOW if self._admits(rule) else rule.effect].append(rule)
        denies = made["throws"] + made[Effect.DENY]
        if denies:
            return Outcome.DENY, names(denies), (), ()
        passing = made[Effect.APPROVE] + made[Effect.ALLOW] + made[Effect.BREAK_GLASS]
        masked_by = passing + [rule for rule in self.rules if passing and self._only_masks(rule)]
        masks = tuple(sorted({mask for rule in masked_by for mask in rule.masks}))
        if made[Effect.APPROVE] or (made[Effect.BREAK_GLASS] and not made[Effect.ALLOW]):
            return Outcome.APPROVE, names(made[Effect.APPROVE]), masks, names(made[Effect.BREAK_GLASS])
        return (Outcome.ALLOW if passing else Outcome.DENY), names(made[Effect.ALLOW]), masks, ()

    def of(self, rule: Rule) -> bool | str:
        """Whether a rule matches, or that it throws."""
        if not self._selected(rule):
            return False
        if self._admits(rule):
            return True
        try:
            return CONSTRAINTS[rule.args](self.asked) and CONDITIONS[rule.when](self.asked)
        except Thrown:
            return "throws"

    def _admits(self, rule: Rule) -> bool:
        return self.asked.call.method in CONNECTING and rule.effect in (Effect.ALLOW, Effect.APPROVE)

    def _only_masks(self, rule: Rule) -> bool:
        """A stream may show again what somebody, who is no machine, broke the glass for."""
        asked = self.asked
        glass = rule.effect is Effect.BREAK_GLASS and asked.principal.kind is not PrincipalKind.MACHINE
        return glass and asked.call.method in CONNECTING and all(self._who_and_where(rule))

    def _who_and_where(self, rule: Rule) -> tuple[bool, bool]:
        about, principal, call = rule.selector, self.asked.principal, self.asked.call
        who = (
            (about.groups is None or "*" in about.groups or any(one(about.groups, group) for group in principal.groups))
            and (about.principals is None or one(about.principals, principal.subject))
            and (about.kinds is None or principal.kind in about.kinds)
        )
        return who, about.targets is None or one(about.targets, call.target)

    def _selected(self, rule: Rule) -> bool:
        about, principal, call = rule.selector, self.asked.principal, self.asked.call
        if rule.effect is Effect.BREAK_GLASS and (call.method in CONNECTING or principal.kind is PrincipalKind.MACHINE):
            return False
        who, where = self._who_and_where(rule)
        how = about.methods is None or one(about.methods, call.method)
        named = {NameKind.TOOL: about.tools, NameKind.PROMPT: about.prompts, NameKind.RESOURCE: about.resources}
        globs = named.get(call.name_kind)
        what = all(known is None for known in named.values()) or (globs is not None and one(globs, call.name))
        return who and where and (self._admits(rule) or (how and what))


def names(rules: list[Rule]) -> tuple[str, ...]:
    return tuple(sorted(rule.name for rule in rules))


def one(globs: tuple[str, ...], text: str) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)
