"""One rule, made ready to be asked many times: whom, where and what it selects."""

from __future__ import annotations

from collections.abc import Iterable

from countersign.model.call import Call, NameKind
from countersign.model.glob import GlobSet
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.rule import Effect, Rule
from countersign.policy.arguments import Arguments
from countersign.policy.conditions import Variables, compile_condition
from countersign.policy.constraints import Constraint, check_args


class Matcher:
    """A compiled rule: it selects a call when it reaches its target, knows its caller, covers the rest, and holds.

    Raises :class:`BadCondition` or :class:`BadConstraint` for a rule that cannot be compiled.
    """

    __slots__ = (
        *(
            "_actors",
            "_condition",
            "_constraints",
            "_groups",
            "_kinds",
            "_methods",
            "_names",
            "_principals",
            "_targets",
        ),
        *("admits", "conditional", "denies", "is_glass", "rule"),
    )

    def __init__(self, rule: Rule) -> None:
        selector = rule.selector
        names = {
            NameKind.TOOL: selector.tools,
            NameKind.PROMPT: selector.prompts,
            NameKind.RESOURCE: selector.resources,
        }
        check_args(rule.args)
        self.rule = rule
        self.denies = rule.effect is Effect.DENY
        self.admits = rule.effect in (Effect.ALLOW, Effect.APPROVE)
        self.is_glass = rule.effect is Effect.BREAK_GLASS
        self.conditional = bool(rule.args or rule.when)
        self._groups = _compiled(selector.groups)
        self._principals = _compiled(selector.principals)
        self._actors = _compiled(selector.actors)
        self._kinds = _kinds(rule)
        self._targets = _compiled(selector.targets)
        self._methods = _compiled(selector.methods)
        self._names = {kind: GlobSet(globs) for kind, globs in names.items() if globs is not None}
        self._constraints = tuple(map(Constraint, rule.args))
        self._condition = compile_condition(rule.when) if rule.when else None

    @property
    def names_things(self) -> bool:
        """Whether the rule is about certain tools, prompts or resources only."""
        return bool(self._names)

    @property
    def statements(self) -> frozenset[tuple[tuple[str, ...], str]]:
        """The paths of arguments that the rule's condition takes for statements, each with its language."""
        return frozenset() if self._condition is None else self._condition.statements

    def reads(self, variable: str) -> bool:
        """Whether the rule's condition depends on this variable."""
        return self._condition is not None and variable in self._condition.reads

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
        # RFC 8693, section 4.1: those who acted before the one that acts now are for the record only.
        if self._actors is not None and not self._actors.matches_any(principal.actors[:1]):
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

    def holds(self, arguments: Arguments, variables: Variables) -> bool:
        """Whether all its constraints are met and its condition is true; the latter is asked only if the former are.

        Raises :class:`CannotJudge` when that cannot be said.
        """
        if self._constraints:
            # All of them, not up to the first that is not met: to throw must not depend on their order.
            failures = [constraint.failure(arguments) for constraint in self._constraints]
            if any(failures):
                return False
        return self._condition is None or self._condition.holds(variables)

    def why_not_selected(self, principal: Principal, call: Call, *, admission: bool) -> str:
        """The first field of the selector that does not match, for a person; ``""`` if all do.

        ``admission`` asks only whether the rule lets the caller do anything at the target.
        """
        about = self.rule.selector
        if not self.reaches(call.target):
            return f"targets: {call.target} is none of {_listed(about.targets)}"
        if self._groups and not (self._groups.everything or self._groups.matches_any(principal.groups)):
            return f"groups: needs one of {_listed(about.groups)}"
        if self._kinds is not None and principal.kind not in self._kinds:
            return f"kind: {principal.kind} is none of {_listed(kind for kind in PrincipalKind if kind in self._kinds)}"
        if self._actors and not self._actors.matches_any(principal.actors[:1]):
            acting = principal.actors[0] if principal.actors else "nobody who acts"
            return f"actors: {acting} is none of {_listed(about.actors)}"
        if self._principals and not self._principals.matches(principal.subject):
            return f"principals: {principal.subject} is none of {_listed(about.principals)}"
        if admission:
            return ""
        if self._methods and not self._methods.matches(call.method):
            return f"methods: {call.method} is none of {_listed(about.methods)}"
        return "" if self.covers(call) else self._why_not_named(call)

    def why_not_held(self, arguments: Arguments, variables: Variables) -> str:
        """The first constraint or part of the condition that is not met, with its value; ``""`` if all are.

        Raises :class:`CannotJudge` like ``holds``.
        """
        if self._constraints:
            failures = [(constraint.path, constraint.failure(arguments)) for constraint in self._constraints]
            for path, failure in failures:
                if failure:
                    return f"args.{path}: {failure}"
        if self._condition is None or self._condition.holds(variables):
            return ""
        return f"when: {self._condition.false_part(variables)} is false"

    def _why_not_named(self, call: Call) -> str:
        about = self.rule.selector
        fields = {NameKind.TOOL: about.tools, NameKind.PROMPT: about.prompts, NameKind.RESOURCE: about.resources}
        globs = fields.get(call.name_kind)
        if globs is None:
            given = ", ".join(f"{kind.value}s" for kind in self._names)
            return f"{given}: {call.method} names no {' or '.join(kind.value for kind in self._names)}"
        return f"{call.name_kind.value}s: {call.name} is none of {_listed(globs)}"


def _kinds(rule: Rule) -> frozenset[PrincipalKind] | None:
    if rule.effect is Effect.BREAK_GLASS:
        # There must be somebody who can answer for it.
        return frozenset(rule.selector.kinds or PrincipalKind) - {PrincipalKind.MACHINE}
    return None if rule.selector.kinds is None else frozenset(rule.selector.kinds)


def _compiled(globs: tuple[str, ...] | None) -> GlobSet | None:
    return None if globs is None else GlobSet(globs)


def _listed(words: Iterable[str] | None) -> str:
    return ", ".join(words or ())
