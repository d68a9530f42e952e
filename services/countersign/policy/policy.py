"""Judging a call: deny beats approve beats allow beats break_glass, no match is denied, and order means nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from countersign.model.call import Call, NameKind
from countersign.model.decision import Decision, Outcome
from countersign.model.glob import GlobSet
from countersign.model.methods import NAMED_METHODS, is_connection
from countersign.model.principal import Principal
from countersign.model.rule import Effect, Rule
from countersign.model.situation import Situation
from countersign.policy import wording
from countersign.policy.arguments import Arguments
from countersign.policy.conditions import Variables
from countersign.policy.errors import CannotJudge
from countersign.policy.explanation import Explanation, RuleTrace
from countersign.policy.index import Index
from countersign.policy.matcher import Matcher

NAME_LIMIT = 8_192
"""Code points of a method, name or target beyond which a call is denied unjudged: it bounds the time of a decision."""

_UNNAMED = frozenset({NameKind.NONE})
_METHOD_OF_KIND = {
    NameKind.TOOL: "tools/call",
    NameKind.PROMPT: "prompts/get",
    NameKind.RESOURCE: "resources/read",
}


@dataclass(slots=True)
class _Bearing:
    """The rules that bear on a call, by what they do to it; ``failed`` could not be evaluated, for these reasons.

    ``masking`` are those that do no more than mask it.
    """

    denies: list[Rule] = field(default_factory=list)
    approves: list[Rule] = field(default_factory=list)
    allows: list[Rule] = field(default_factory=list)
    glasses: list[Rule] = field(default_factory=list)
    masking: list[Rule] = field(default_factory=list)
    failed: list[tuple[Rule, str]] = field(default_factory=list)

    def of(self, effect: Effect) -> list[Rule]:
        """The rules of one effect."""
        match effect:
            case Effect.DENY:
                return self.denies
            case Effect.APPROVE:
                return self.approves
            case Effect.ALLOW:
                return self.allows
            case Effect.BREAK_GLASS:
                return self.glasses


class Policy:
    """The rules of one version of gateway.yaml, ready to judge. Immutable, and safe to share between tasks and threads.

    A rule selects a call when every field of its selector matches, all its arguments are as they must be, and its
    condition is true; one that selects but cannot be evaluated denies the call, whatever its effect. Connection methods
    (``model.methods``) carry no data of the target, so they are open to whoever is *admitted*: whom some allow or
    approve rule lets do anything there, arguments and conditions aside, unless a deny rule that names no tools, prompts
    or resources selects the method. A call that passes gets the masks of every rule that selected it (a connection
    method: that admits), so that to add a rule never uncovers anything.

    A break_glass rule lets persons and their agents agree alone to what nothing allows or what needs an approval. It
    admits nobody, hands out no real values, and changes nothing of what is allowed or denied anyway; but a stream may
    show again what it let pass, so that connection methods get its masks, too.

    Rules on trial (``shadow``) count only when the policy is made for the ``trial``. Raises :class:`BadCondition` or
    :class:`BadConstraint` for a rule that cannot be compiled.
    """

    def __init__(self, rules: Sequence[Rule], *, version: str, trial: bool = False) -> None:
        self._matchers = tuple(map(Matcher, rules))
        judging = [matcher for matcher in self._matchers if trial or not matcher.rule.shadow]
        self._index = Index(judging)
        self.reads_usage = any(matcher.reads("usage") for matcher in judging)
        """Whether any decision may depend on ``situation.usage``."""
        self._reads_statements = any(matcher.statements for matcher in judging)
        self._version = version

    def decide(self, principal: Principal, call: Call, situation: Situation) -> Decision:
        """Judge one call. Never raises for a call or principal that is well typed; takes time linear in their sizes."""
        flaw = _flaw(call)
        if flaw:
            return self._denied((), flaw, wording.unjudged(flaw))
        bearing = self._bearing(principal, call, situation)
        if bearing.denies or bearing.failed:
            return self._forbidden(bearing, principal, call)
        passing = [*bearing.approves, *bearing.allows]
        if not (passing or bearing.glasses):
            return self._denied((), "no rule allows it", wording.unallowed(principal, call))
        masked_by = (*passing, *bearing.glasses, *bearing.masking)
        masks = tuple(sorted({mask for rule in masked_by for mask in rule.masks}))
        unmask = any(_unmasks(rule, call) for rule in passing)
        if bearing.allows and not bearing.approves:
            reason = wording.allowed(bearing.allows)
            return Decision(Outcome.ALLOW, _names(bearing.allows), masks, reason, "", self._version, unmask=unmask)
        return Decision(
            outcome=Outcome.APPROVE,
            rules=_names(bearing.approves),
            masks=masks,
            reason=wording.approvable(bearing.approves, bearing.glasses),
            message=wording.to_be_approved(bearing.approves, principal, call),
            policy_version=self._version,
            unmask=unmask,
            glass=_names(bearing.glasses),
        )

    def explain(self, principal: Principal, call: Call, situation: Situation) -> Explanation:
        """Judge one call and say of every rule whether it matched. May show arguments: not for records."""
        flaw = _flaw(call)
        arguments = Arguments(call)
        variables = Variables(principal, call, situation, arguments)
        traces = tuple(_trace(matcher, principal, call, arguments, variables, flaw=flaw) for matcher in self._matchers)
        return Explanation(self.decide(principal, call, situation), traces)

    def needs_usage(self, principal: Principal, call: Call) -> bool:
        """Whether the decision on a call may depend on ``situation.usage``."""
        if not self.reads_usage or _flaw(call):
            return False
        connects = is_connection(call.method)
        return any(
            matcher.reads("usage") and not (connects and not matcher.denies)
            for matcher in self._selecting(principal, call)
        )

    def statements(self, principal: Principal, call: Call) -> frozenset[tuple[tuple[str, ...], str]]:
        """Return the paths of arguments that rules about the call take for statements, each with its language."""
        if not self._reads_statements or _flaw(call):
            return frozenset()
        return frozenset().union(*[matcher.statements for matcher in self._selecting(principal, call)])

    def offers(self, principal: Principal, target: str, kind: NameKind, name: str) -> bool:
        """Whether the principal might use this tool, prompt or resource, with some arguments and at some moment."""
        method = _METHOD_OF_KIND.get(kind)
        if method is None:
            return False
        call = Call(target, method, name, kind)
        if _flaw(call):
            return False
        offered = False
        for matcher in self._selecting(principal, call):
            if matcher.denies and not matcher.conditional:
                return False
            offered = offered or not matcher.denies
        return offered

    def admits(self, principal: Principal, target: str) -> bool:
        """Whether some allow or approve rule lets the principal do anything at this target, at some moment."""
        call = Call(target, "ping", "", NameKind.NONE)
        found = self._index.about(principal, call, connects=True)
        return any(matcher.admits and matcher.knows(principal) for matcher in found)

    def _selecting(self, principal: Principal, call: Call) -> Iterator[Matcher]:
        """The rules whose selectors match the call; for a connection method also those that admit or mask."""
        connects = is_connection(call.method)
        for matcher in self._index.about(principal, call, connects=connects):
            # Never a connection method, for a rule that names things.
            if matcher.knows(principal) and (matcher.covers(call) or (connects and not matcher.denies)):
                yield matcher

    def _bearing(self, principal: Principal, call: Call, situation: Situation) -> _Bearing:
        bearing = _Bearing()
        arguments = Arguments(call)
        variables = Variables(principal, call, situation, arguments)
        connects = is_connection(call.method)
        # Those that read arguments first: what they make CEL evaluate with serves the others, too.
        for matcher in sorted(self._selecting(principal, call), key=lambda matcher: not matcher.reads("args")):
            rule = matcher.rule
            if connects and not matcher.denies:
                (bearing.masking if matcher.is_glass else bearing.allows).append(rule)
                continue
            try:
                holds = matcher.holds(arguments, variables)
            except CannotJudge as error:
                bearing.failed.append((rule, error.reason))
                continue
            if holds:
                bearing.of(rule.effect).append(rule)
        return bearing

    def _forbidden(self, bearing: _Bearing, principal: Principal, call: Call) -> Decision:
        rules = _names([*bearing.denies, *(rule for rule, _ in bearing.failed)])
        reason = wording.forbidden(bearing.denies, bearing.failed)
        return self._denied(rules, reason, wording.to_caller(bearing.denies, bearing.failed, principal, call))

    def _denied(self, rules: tuple[str, ...], reason: str, message: str) -> Decision:
        return Decision(Outcome.DENY, rules, (), reason, message, self._version)


def _trace(
    matcher: Matcher, principal: Principal, call: Call, arguments: Arguments, variables: Variables, *, flaw: str
) -> RuleTrace:
    rule = matcher.rule
    connects = is_connection(call.method)
    admission = connects and matcher.admits
    failed, error = flaw and f"call: {flaw}", ""
    try:
        failed = failed or matcher.why_not_selected(principal, call, admission=admission)
        if not failed and connects and rule.effect is Effect.BREAK_GLASS:
            failed = f"methods: nobody breaks the glass for {call.method}, which only connects"
        if not failed and not admission:
            failed = matcher.why_not_held(arguments, variables)
    except CannotJudge as thrown:
        error = thrown.detail
    return RuleTrace(rule.name, rule.effect, rule.shadow, not (failed or error), failed, error)


def _unmasks(rule: Rule, call: Call) -> bool:
    if not rule.unmask_for or call.name_kind is not NameKind.TOOL:
        return False
    return GlobSet(rule.unmask_for).matches(call.name)


def _names(rules: Sequence[Rule]) -> tuple[str, ...]:
    return tuple(sorted({rule.name for rule in rules}))


def _flaw(call: Call) -> str:
    """Why the call cannot be judged: a call that rules about names would overlook must not pass by having no name."""
    if max(len(call.method), len(call.name), len(call.target)) > NAME_LIMIT:
        return f"its method, name or target is longer than {NAME_LIMIT} characters"
    if call.name_kind not in NAMED_METHODS.get(call.method, _UNNAMED):
        return "its name is not of the kind that its method needs"
    return ""
