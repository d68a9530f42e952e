"""Rules and limits set against each other: what another one makes idle is refused, for it does not do what it says."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from countersign.config.hours import Meetings
from countersign.config.problem import Place, Problems
from countersign.config.selectors import is_wild
from countersign.model.glob import GlobSet
from countersign.model.principal import PrincipalKind
from countersign.model.rule import Effect, RateLimit, Rule, Selector, Window

_SECONDS = {Window.MINUTE: 60, Window.HOUR: 3_600, Window.DAY: 86_400}
_OVERRULES = {
    Effect.ALLOW: (Effect.DENY, Effect.APPROVE),
    Effect.APPROVE: (Effect.DENY,),
    Effect.BREAK_GLASS: (Effect.DENY, Effect.ALLOW),
    Effect.DENY: (),
}


_DOES = {Effect.ALLOW: "allow", Effect.APPROVE: "approve", Effect.BREAK_GLASS: "let the glass be broken"}


def refuse_idle_rules(rules: Sequence[tuple[Place, Rule]], targets: Collection[str], out: Problems) -> None:
    """Refuse rules that others overrule whatever comes, and those that say what another one says already."""
    reaches = [_Reach(rule.selector, targets) for _, rule in rules]
    overruling = [
        (rule, reach)
        for (_, rule), reach in zip(rules, reaches, strict=True)
        if not (rule.shadow or rule.args or rule.when)
    ]
    for (place, rule), reach in zip(rules, reaches, strict=True):
        for effect in _OVERRULES[rule.effect]:
            others = ((other, wider) for other, wider in overruling if other.effect is effect)
            wide = next((other for other, wider in others if wider.covers(reach)), None)
            if wide is not None and not (wide.effect is Effect.ALLOW and _may_wait(rules, reaches, reach)):
                out.add(place, *_overruled(rule, wide))
                break
    _refuse_hours_that_never_meet(rules, reaches, overruling, out)
    seen: dict[str, str] = {}
    for place, rule in rules:
        bare = replace(rule, name="", message="", masks=_sorted(rule.masks), selector=_normal(rule.selector))
        same = repr(bare)  # equality would take 1 for true
        if same in seen:
            what = f"the rule `{rule.name}` says what `{seen[same]}` says already"
            out.add(place, what, "remove one of them, or mend the one that was to say something else")
        seen.setdefault(same, rule.name)


def refuse_idle_limits(limits: Sequence[tuple[Place, RateLimit]], targets: Collection[str], out: Problems) -> None:
    """Refuse limits that are never reached because a stricter one is reached before."""
    reaches = [_Reach(limit.selector, targets) for _, limit in limits]
    for index, (place, limit) in enumerate(limits):
        for position, (_, other) in enumerate(limits):
            if other.calls > limit.calls or _SECONDS[other.window] < _SECONDS[limit.window]:
                continue
            if position == index or not reaches[position].covers(reaches[index]):
                continue
            equal = (other.calls, other.window) == (limit.calls, limit.window)
            if equal and position > index and reaches[index].covers(reaches[position]):
                continue  # of two that say the same, the later one is told
            what = f"the limit `{limit.name}` is never reached, for `{other.name}` is at least as strict"
            out.add(place, what, "remove one of them, or narrow the stricter one")
            break


def _refuse_hours_that_never_meet(
    rules: Sequence[tuple[Place, Rule]],
    reaches: Sequence[_Reach],
    unconditional: Sequence[tuple[Rule, _Reach]],
    out: Problems,
) -> None:
    """All approve rules that select a call must be satisfied, and each only within its own hours."""
    meetings = Meetings()
    asking = [(rule, rule.by.window, reach) for rule, reach in unconditional if rule.by and rule.by.window]
    for (place, rule), reach in zip(rules, reaches, strict=True):
        if rule.by is None or rule.by.window is None:
            continue
        for other, window, wider in asking:
            if other is not rule and wider.covers(reach) and not meetings.ever(rule.by.window, window):
                what = f"nobody could satisfy `{rule.name}`, for `{other.name}` asks about all that it selects"
                out.add(place, f"{what}, at hours that never meet", "let their `window` overlap, or make one a denial")
                break


def _may_wait(rules: Sequence[tuple[Place, Rule]], reaches: Sequence[_Reach], glass: _Reach) -> bool:
    """Whether some call of those may need an approval, on trial or not: to break the glass is of use then."""
    return any(
        rule.effect is Effect.APPROVE and reach.may_meet(glass) for (_, rule), reach in zip(rules, reaches, strict=True)
    )


def _overruled(rule: Rule, wide: Rule) -> tuple[str, str]:
    does = _DOES[rule.effect]
    if wide.effect is Effect.ALLOW:
        what = f"the rule `{rule.name}` can never {does}, for `{wide.name}` allows all that it selects"
        return what, "remove it, or narrow the rule that allows"
    if wide.effect is Effect.DENY:
        what = f"the rule `{rule.name}` can never {does}, for `{wide.name}` denies all that it selects"
        return what, "remove one of them, or narrow the denial"
    what = f"the rule `{rule.name}` can never {does}, for `{wide.name}` wants approval for all that it selects"
    return what, "remove one of them, or narrow the one that wants approval"


def _sorted(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _normal(selector: Selector) -> Selector:
    def normal(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if names is None else _sorted(names)

    return Selector(
        groups=normal(selector.groups),
        targets=normal(selector.targets),
        methods=normal(selector.methods),
        tools=normal(selector.tools),
        prompts=normal(selector.prompts),
        resources=normal(selector.resources),
        principals=normal(selector.principals),
        kinds=selector.kinds,
        actors=normal(selector.actors),
    )


class _Reach:
    """What a selector selects, made ready to be set against many others."""

    __slots__ = ("_fields", "_names", "_targets", "acted", "kinds")

    def __init__(self, selector: Selector, targets: Collection[str]) -> None:
        globs = None if selector.targets is None else GlobSet(selector.targets)
        self._targets = frozenset(target for target in targets if globs is None or globs.matches(target))
        self._fields = tuple(map(_Field, (selector.groups, selector.principals, selector.methods, selector.actors)))
        self._names = tuple(map(_Field, (selector.tools, selector.prompts, selector.resources)))
        self.kinds = frozenset(PrincipalKind if selector.kinds is None else selector.kinds)
        # Other than `groups`, no entry of `actors` stands for everybody: not even * for who acts by themselves.
        self.acted = selector.actors is not None

    def covers(self, narrow: _Reach) -> bool:
        """Whether this plainly holds every call that ``narrow`` does. May say no where that is hard to see."""
        if not (narrow._targets <= self._targets and narrow.kinds <= self.kinds):
            return False
        if not all(wide.covers(other) for wide, other in zip(self._fields, narrow._fields, strict=True)):
            return False
        if self.acted and not narrow.acted:
            return False
        if all(field.entries is None for field in self._names):
            return True
        if all(field.entries is None for field in narrow._names):
            return False
        return all(
            other.entries is None or (wide.entries is not None and wide.covers(other))
            for wide, other in zip(self._names, narrow._names, strict=True)
        )

    def may_meet(self, other: _Reach) -> bool:
        """Whether some call may be in both. May say yes where it is hard to see that none is."""
        return bool(self._targets & other._targets and self.kinds & other.kinds)


class _Field:
    """The globs of one key of a selector; no ``entries`` when the key is not given."""

    __slots__ = ("_everything", "_globs", "_literals", "_wild", "entries")

    def __init__(self, entries: tuple[str, ...] | None) -> None:
        self.entries = None if entries is None else frozenset(entries)
        self._globs = GlobSet(entries or ())
        self._everything = entries is None or self._globs.everything
        self._wild = frozenset(entry for entry in entries or () if is_wild(entry))
        self._literals = self._globs.literals

    def covers(self, narrow: _Field) -> bool:
        """Whether all that matches ``narrow`` plainly matches this."""
        if self._everything:
            return True
        if narrow.entries is None or not narrow._wild <= self._wild:
            return False
        return all(map(self._globs.matches, narrow._literals))
