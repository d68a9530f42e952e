"""Rules and limits set against each other: what another one makes idle is refused, for it does not do what it says."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from countersign.config.problem import Place, Problems
from countersign.model.glob import GlobSet
from countersign.model.rule import Effect, RateLimit, Rule, Selector, Window

_SECONDS = {Window.MINUTE: 60, Window.HOUR: 3_600, Window.DAY: 86_400}
_OVERRULES = {Effect.ALLOW: (Effect.DENY, Effect.APPROVE), Effect.APPROVE: (Effect.DENY,), Effect.DENY: ()}


def refuse_idle_rules(rules: Sequence[tuple[Place, Rule]], targets: Collection[str], out: Problems) -> None:
    """Refuse rules that others overrule whatever comes, and those that say what another one says already."""
    overruling = [rule for _, rule in rules if not (rule.shadow or rule.args or rule.when)]
    for place, rule in rules:
        for effect in _OVERRULES[rule.effect]:
            others = (other for other in overruling if other.effect is effect)
            wide = next((other for other in others if _covers(other.selector, rule.selector, targets)), None)
            if wide is not None:
                out.add(place, *_overruled(rule, wide))
                break
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
    for index, (place, limit) in enumerate(limits):
        for position, (_, other) in enumerate(limits):
            if position == index or not _covers(other.selector, limit.selector, targets):
                continue
            if other.calls > limit.calls or _SECONDS[other.window] < _SECONDS[limit.window]:
                continue
            equal = (other.calls, other.window) == (limit.calls, limit.window)
            if equal and position > index and _covers(limit.selector, other.selector, targets):
                continue  # of two that say the same, the later one is told
            what = f"the limit `{limit.name}` is never reached, for `{other.name}` is at least as strict"
            out.add(place, what, "remove one of them, or narrow the stricter one")
            break


def _overruled(rule: Rule, wide: Rule) -> tuple[str, str]:
    does = "allow" if rule.effect is Effect.ALLOW else "approve"
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
    )


def _covers(wide: Selector, narrow: Selector, targets: Collection[str]) -> bool:
    """Whether ``wide`` plainly selects every call that ``narrow`` does. May say no where that is hard to see."""
    if wide.targets is not None:
        reached = {target for target in targets if narrow.targets is None or GlobSet(narrow.targets).matches(target)}
        if not all(GlobSet(wide.targets).matches(target) for target in reached):
            return False
    if not _covers_field(wide.groups, narrow.groups) or not _covers_field(wide.methods, narrow.methods):
        return False
    if not _covers_field(wide.principals, narrow.principals) or not _covers_kinds(wide, narrow):
        return False
    names = [(wide.tools, narrow.tools), (wide.prompts, narrow.prompts), (wide.resources, narrow.resources)]
    if all(globs is None for globs, _ in names):
        return True
    if all(globs is None for _, globs in names):
        return False
    return all(globs is None or (cover is not None and _covers_field(cover, globs)) for cover, globs in names)


def _covers_kinds(wide: Selector, narrow: Selector) -> bool:
    if wide.kinds is None:
        return True
    return set(narrow.kinds or ()) <= set(wide.kinds) and narrow.kinds is not None


def _covers_field(wide: tuple[str, ...] | None, narrow: tuple[str, ...] | None) -> bool:
    if wide is None or GlobSet(wide).everything:
        return True
    if narrow is None:
        return False
    literal_or_same = GlobSet(wide)
    return all(
        glob in wide or ("*" not in glob and "?" not in glob and literal_or_same.matches(glob)) for glob in narrow
    )
