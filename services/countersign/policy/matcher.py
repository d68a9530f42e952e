"""One rule, made ready to be asked many times: whom, where and what it selects."""

from __future__ import annotations

from countersign.model.call import Call, NameKind
from countersign.model.glob import GlobSet
from countersign.model.principal import Principal
from countersign.model.rule import Effect, Rule


class Matcher:
    """A compiled rule: it selects a call when it reaches its target, knows its caller and covers the rest."""

    __slots__ = ("_groups", "_kinds", "_methods", "_names", "_principals", "_targets", "conditional", "denies", "rule")

    def __init__(self, rule: Rule) -> None:
        selector = rule.selector
        names = {
            NameKind.TOOL: selector.tools,
            NameKind.PROMPT: selector.prompts,
            NameKind.RESOURCE: selector.resources,
        }
        self.rule = rule
        self.denies = rule.effect is Effect.DENY
        self.conditional = bool(rule.args or rule.when)
        self._groups = _compiled(selector.groups)
        self._principals = _compiled(selector.principals)
        self._kinds = None if selector.kinds is None else frozenset(selector.kinds)
        self._targets = _compiled(selector.targets)
        self._methods = _compiled(selector.methods)
        self._names = {kind: GlobSet(globs) for kind, globs in names.items() if globs is not None}

    @property
    def named_targets(self) -> frozenset[str]:
        """The targets that the rule names in full."""
        return frozenset() if self._targets is None else self._targets.literals

    def reaches(self, target: str) -> bool:
        """Whether the rule is about this target."""
        return self._targets is None or self._targets.matches(target)

    def knows(self, principal: Principal) -> bool:
        """Whether the rule is about this caller."""
        groups = self._groups
        # "*" means every verified principal, so it must match one who is in no group at all, too.
        if groups is not None and not groups.everything and not groups.matches_any(principal.groups):
            return False
        if self._kinds is not None and principal.kind not in self._kinds:
            return False
        return self._principals is None or self._principals.matches(principal.subject)

    def covers(self, call: Call) -> bool:
        """Whether the call's method and name are among those selected; a rule that names things covers only such."""
        if self._methods is not None and not self._methods.matches(call.method):
            return False
        if not self._names:
            return True
        names = self._names.get(call.name_kind)
        return names is not None and names.matches(call.name)


def _compiled(globs: tuple[str, ...] | None) -> GlobSet | None:
    return None if globs is None else GlobSet(globs)
