"""Judging a call. Any deny beats any allow, what nothing matches is denied, and the order of rules means nothing."""

from __future__ import annotations

from collections.abc import Sequence

from countersign.model.call import Call, NameKind
from countersign.model.decision import Decision, Outcome
from countersign.model.glob import GlobSet
from countersign.model.methods import CONNECTION_METHODS, NAMED_METHODS
from countersign.model.principal import Principal
from countersign.model.rule import Rule
from countersign.policy import wording
from countersign.policy.matcher import Matcher

NAME_LIMIT = 8_192
"""Code points of a method, name or target beyond which a call is denied unjudged: it bounds the time of a decision."""

_CONNECTION = GlobSet(CONNECTION_METHODS)
_UNNAMED = frozenset({NameKind.NONE})
_METHOD_OF_KIND = {
    NameKind.TOOL: "tools/call",
    NameKind.PROMPT: "prompts/get",
    NameKind.RESOURCE: "resources/read",
}


class Policy:
    """The rules of one version of gateway.yaml, ready to judge. Immutable, and safe to share between tasks and threads.

    A rule selects a call when every field of its selector matches. Connection methods (``model.methods``) carry no
    data of the target, so they are open to whoever is *admitted*: whom some allow rule lets do anything there, unless a
    deny rule that names no tools, prompts or resources selects the method. An allowed call gets the masks of every
    allow rule that selected it (a connection method: that admits), so that to add a rule never uncovers anything.
    """

    def __init__(self, rules: Sequence[Rule], *, version: str) -> None:
        self._matchers = tuple(Matcher(rule) for rule in rules)
        named = {target for matcher in self._matchers for target in matcher.named_targets}
        self._by_target = {target: self._reaching(target) for target in named}
        self._version = version

    def decide(self, principal: Principal, call: Call) -> Decision:
        """Judge one call. Never raises for a call or principal that is well typed; takes time linear in their sizes."""
        flaw = _flaw(call)
        if flaw:
            return self._denied((), flaw, wording.unjudged(flaw))
        denies, allows = self._selected(principal, call)
        if denies:
            return self._denied(_names(denies), wording.forbidden(denies), wording.to_caller(denies, principal, call))
        if not allows:
            return self._denied((), "no rule allows it", wording.unallowed(principal, call))
        masks = {mask for rule in allows for mask in rule.masks}
        reason = wording.allowed(allows)
        return Decision(Outcome.ALLOW, _names(allows), tuple(sorted(masks)), reason, "", self._version)

    def offers(self, principal: Principal, target: str, kind: NameKind, name: str) -> bool:
        """Whether the principal may use this tool, prompt or resource: whether ``decide`` would allow that call."""
        method = _METHOD_OF_KIND.get(kind)
        if method is None:
            return False
        call = Call(target, method, name, kind)
        if _flaw(call):
            return False
        denies, allows = self._selected(principal, call)
        return bool(allows) and not denies

    def _selected(self, principal: Principal, call: Call) -> tuple[list[Rule], list[Rule]]:
        """The deny rules and the allow rules that bear on the call."""
        denies, allows = list[Rule](), list[Rule]()
        connects = _CONNECTION.matches(call.method)
        matchers = self._by_target.get(call.target)
        for matcher in self._reaching(call.target) if matchers is None else matchers:
            if not matcher.knows(principal):
                continue
            covers = matcher.covers(call)  # never a connection method, for a rule that names things
            if matcher.allows and (covers or connects):
                allows.append(matcher.rule)
            elif covers:
                denies.append(matcher.rule)
        return denies, allows

    def _reaching(self, target: str) -> tuple[Matcher, ...]:
        return tuple(matcher for matcher in self._matchers if matcher.reaches(target))

    def _denied(self, rules: tuple[str, ...], reason: str, message: str) -> Decision:
        return Decision(Outcome.DENY, rules, (), reason, message, self._version)


def _names(rules: Sequence[Rule]) -> tuple[str, ...]:
    return tuple(sorted(rule.name for rule in rules))


def _flaw(call: Call) -> str:
    """Why the call cannot be judged: a call that rules about names would overlook must not pass by having no name."""
    if max(len(call.method), len(call.name), len(call.target)) > NAME_LIMIT:
        return f"its method, name or target is longer than {NAME_LIMIT} characters"
    if call.name_kind not in NAMED_METHODS.get(call.method, _UNNAMED):
        return "its name is not of the kind that its method needs"
    return ""
