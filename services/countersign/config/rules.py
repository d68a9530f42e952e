"""Rules that would load but not protect, or never do what they say, found before they are in force."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from countersign.config.document import Node
from countersign.config.problem import Place, Problems
from countersign.config.shape import RuleShape, SelectorShape
from countersign.config.wording import nearest
from countersign.model.call import NameKind
from countersign.model.glob import Glob, GlobSet
from countersign.model.methods import CONNECTION_METHODS, NAMED_METHODS
from countersign.model.rule import Effect, Rule, Selector

_KINDS = {"tools": NameKind.TOOL, "prompts": NameKind.PROMPT, "resources": NameKind.RESOURCE}
_KNOWN_METHODS = (
    *NAMED_METHODS,
    *(method for method in CONNECTION_METHODS if "*" not in method),
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tasks/update",
    "tasks/cancel",
)
_NO_GLOB = re.compile(r"[\[\]{}\\|\s]")


def check(
    rules: Iterable[tuple[int, RuleShape]], root: Node, targets: Collection[str], masks: Collection[str], out: Problems
) -> tuple[Rule, ...]:
    """The rules of the file by their positions, checked one by one and then against each other."""
    checked: list[tuple[Place, Rule]] = []
    seen: dict[str, str] = {}
    for index, shape in rules:
        node = root.find(("rules", index))
        place = node.find(("name",)).place
        if not shape.name.isprintable() or shape.name != shape.name.strip():
            out.add(place, "the rule's name has unprintable characters, or spaces around it", "write a plain name")
        if twin := seen.get(shape.name.casefold()):
            said = "stands twice" if twin == shape.name else f"differs only in case from `{twin}`"
            out.add(place, f"the rule name `{shape.name}` {said}", "give each rule a name of its own")
        seen[shape.name.casefold()] = shape.name
        rule = _rule(shape, node, targets, masks, out)
        if rule:
            checked.append((node.place, rule))
    for place, rule in checked:
        _refuse_shadowed(place, rule, [other for _, other in checked], targets, out)
    return tuple(rule for _, rule in checked)


def _rule(shape: RuleShape, node: Node, targets: Collection[str], masks: Collection[str], out: Problems) -> Rule | None:
    title = f"the rule `{shape.name}`"
    if shape.allow and shape.deny:
        out.add(node.keys["deny"], f"{title} has both `allow` and `deny`", "make it two rules")
        return None
    effect, selector = (Effect.ALLOW, shape.allow) if shape.allow else (Effect.DENY, shape.deny)
    if selector is None:
        out.add(node.place, f"{title} has neither `allow` nor `deny`", "say which calls it is about")
        return None
    _check_selector(selector, node.find((effect,)), targets, out)
    if effect is Effect.ALLOW:
        if selector.groups is None:
            everyone = 'add groups: [analysts], or groups: ["*"] if everyone verified is meant'
            out.add(node.keys["allow"], f"{title} allows without saying whom", everyone)
        if shape.message is not None:
            out.add(node.keys["message"], f"{title} allows, so nobody reads its `message`", "remove it")
    elif shape.message is not None and not shape.message.replace("\n", " ").isprintable():
        out.add(node.find(("message",)).place, "the message has unprintable characters", "remove them")
    if effect is Effect.DENY and shape.mask is not None:
        out.add(node.keys["mask"], f"{title} denies, so there is nothing to mask", "remove `mask`")
    for position, mask in enumerate(shape.mask or ()):
        if mask not in masks:
            out.add(node.find(("mask", position)).place, f"there is no mask `{mask}`", _declared(mask, masks, "masks"))
    return Rule(shape.name, effect, _selector(selector), tuple(shape.mask or ()), shape.message or "")


def _check_selector(shape: SelectorShape, node: Node, targets: Collection[str], out: Problems) -> None:
    for key, entries in _given(shape):
        for position, entry in enumerate(entries):
            place = node.find((key, position)).place
            if not entry.isprintable() or entry != entry.strip():
                out.add(place, f"an entry of `{key}` has unprintable characters, or spaces around it", "remove them")
            elif key in ("targets", "methods", "tools") and _NO_GLOB.search(entry):
                out.add(
                    place, f"`{entry}` matches nothing", "only * and ? are wildcards; write one entry for each name"
                )
            elif key == "targets" and not any(Glob(entry).matches(target) for target in targets):
                what = "matches no target" if "*" in entry or "?" in entry else "is no target"
                out.add(place, f"`{entry}` {what}", _declared(entry, targets, "targets"))
            elif key == "methods" and (meant := _meant_method(entry)):
                out.add(place, f"there is no method `{entry}`", f"did you mean `{meant}`?")
    kinds = {_KINDS[key] for key, _ in _given(shape) if key in _KINDS}
    if shape.methods and kinds:
        methods = GlobSet(shape.methods)
        if not any(methods.matches(method) and kinds & named for method, named in NAMED_METHODS.items()):
            what = f"these methods have no {' or '.join(key for key in _KINDS if _KINDS[key] in kinds)} to select"
            out.add(node.keys["methods"], what, "remove `methods`, or make it a rule of its own")


def _given(shape: SelectorShape) -> Iterator[tuple[str, list[str]]]:
    for key in SelectorShape.model_fields:
        entries: list[str] | None = getattr(shape, key)
        if entries is not None:
            yield key, entries


def _selector(shape: SelectorShape) -> Selector:
    given = {key: tuple(entries) for key, entries in _given(shape)}
    return Selector(
        groups=given.get("groups"),
        targets=given.get("targets"),
        methods=given.get("methods"),
        tools=given.get("tools"),
        prompts=given.get("prompts"),
        resources=given.get("resources"),
    )


def _meant_method(entry: str) -> str | None:
    """The method that a misspelt one was to be; a method that resembles none may be an extension's."""
    if "*" in entry or "?" in entry or entry in _KNOWN_METHODS:
        return None
    meant = nearest(entry, _KNOWN_METHODS)
    return meant if meant and abs(len(meant) - len(entry)) <= 2 and _close(entry.lower(), meant.lower()) else None


def _close(one: str, other: str) -> bool:
    """Whether at most two characters at one spot make the difference: an edit, not another word."""
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest, against = one[start:][::-1], other[start:][::-1]
    end = next((i for i, (a, b) in enumerate(zip(rest, against, strict=False)) if a != b), min(len(rest), len(against)))
    return max(len(rest), len(against)) - end <= 2


def _declared(name: str, known: Collection[str], section: str) -> str:
    meant = nearest(name, known)
    if meant:
        return f"did you mean `{meant}`?"
    return f"declare it under `{section}:`" + (f", or use one of {', '.join(sorted(known)[:10])}" if known else "")


def _refuse_shadowed(place: Place, rule: Rule, others: Iterable[Rule], targets: Collection[str], out: Problems) -> None:
    if rule.effect is not Effect.ALLOW:
        return
    for other in others:
        if other.effect is Effect.DENY and _covers(other.selector, rule.selector, targets):
            what = f"the rule `{rule.name}` can never allow, for `{other.name}` denies all that it selects"
            out.add(place, what, "remove one of them, or narrow the denial")
            return


def _covers(wide: Selector, narrow: Selector, targets: Collection[str]) -> bool:
    """Whether ``wide`` plainly selects every call that ``narrow`` does. May say no where that is hard to see."""
    if wide.targets is not None:
        reached = {target for target in targets if narrow.targets is None or GlobSet(narrow.targets).matches(target)}
        if not all(GlobSet(wide.targets).matches(target) for target in reached):
            return False
    if not _covers_field(wide.groups, narrow.groups) or not _covers_field(wide.methods, narrow.methods):
        return False
    names = [(wide.tools, narrow.tools), (wide.prompts, narrow.prompts), (wide.resources, narrow.resources)]
    if all(globs is None for globs, _ in names):
        return True
    if all(globs is None for _, globs in names):
        return False
    return all(globs is None or (cover is not None and _covers_field(cover, globs)) for cover, globs in names)


def _covers_field(wide: tuple[str, ...] | None, narrow: tuple[str, ...] | None) -> bool:
    if wide is None or GlobSet(wide).everything:
        return True
    if narrow is None:
        return False
    literal_or_same = GlobSet(wide)
    return all(
        glob in wide or ("*" not in glob and "?" not in glob and literal_or_same.matches(glob)) for glob in narrow
    )
