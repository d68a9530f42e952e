"""Rules that would load but not protect, or never do what they say, found before they are in force."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from countersign.config import approvers, arguments, conditions, coverage, selectors, unmasking
from countersign.config.document import Node
from countersign.config.names import Names
from countersign.config.problem import Place, Problems
from countersign.config.shape_rules import RuleShape, SelectorShape
from countersign.config.wording import nearest
from countersign.model.rule import Effect, Mask, Rule

_DOES = {
    Effect.ALLOW: "allows",
    Effect.APPROVE: "asks for approval",
    Effect.BREAK_GLASS: "lets the glass be broken",
}
_WITHOUT_SAYING_WHOM = _DOES | {Effect.APPROVE: "lets calls be approved"}
_MODES = ("enforce", "shadow")


@dataclass(frozen=True, slots=True)
class Known:
    """What rules may name: targets, masks (``None`` for those refused themselves) and channels."""

    targets: Collection[str]
    masks: Mapping[str, Mask | None]
    channels: Collection[str]


class Rules:
    """The rules of a file, checked one by one and then against each other; what is wrong goes to ``out``."""

    def __init__(self, root: Node, known: Known, names: Names, out: Problems) -> None:
        self._root, self._known, self._names, self._out = root, known, names, out

    def check(self, rules: Iterable[tuple[int, RuleShape]]) -> tuple[Rule, ...]:
        """The rules, by their positions in the file."""
        checked: list[tuple[Place, Rule]] = []
        for index, shape in rules:
            node = self._root.find(("rules", index))
            self._names.take(shape.name, node, "rule", self._out)
            rule = self._rule(shape, node)
            if rule:
                checked.append((node.place, rule))
        coverage.refuse_idle_rules(checked, self._known.targets, self._out)
        return tuple(rule for _, rule in checked)

    def _rule(self, shape: RuleShape, node: Node) -> Rule | None:
        title = f"the rule `{shape.name}`"
        stated = _stated(shape)
        if len(stated) > 1:
            effects = " and ".join(f"`{effect}`" for effect, _ in stated)
            self._out.add(node.keys[stated[1][0]], f"{title} has both {effects}", "make it two rules")
            return None
        if not stated:
            what = f"{title} has neither `allow` nor `approve` nor `deny` nor `break_glass`"
            self._out.add(node.place, what, "say which calls it is about")
            return None
        effect, selector_shape = stated[0]
        selector = selectors.read(selector_shape, node.find((effect,)), self._known.targets, self._out)
        self._check_whom(title, effect, selector_shape, node)
        self._check_words(title, effect, shape, node)
        args = arguments.read(node.find(("args",)), self._out) if shape.args is not None else ()
        if shape.when is not None:
            conditions.check(shape.when, node.find(("when",)), selector, self._known.targets, title, self._out)
        rule = Rule(
            name=shape.name,
            effect=effect,
            selector=selector,
            masks=tuple(shape.mask or ()),
            message=shape.message or "",
            args=args,
            when=shape.when or "",
            shadow=self._is_shadow(shape, node),
            unmask_for=tuple(shape.unmask_for or ()),
            by=approvers.read(title, effect, shape, node, self._out),
            glass=approvers.read_glass(title, effect, shape, node, self._known.channels, self._out),
        )
        unmasking.check(title, rule, node, self._known.masks, self._out)
        self._check_connecting(title, rule, node)
        return rule

    def _check_whom(self, title: str, effect: Effect, selector: SelectorShape, node: Node) -> None:
        if effect is Effect.DENY or any(getattr(selector, key) is not None for key in selectors.WHOM):
            return
        does = _WITHOUT_SAYING_WHOM[effect]
        everyone = 'add groups: [analysts], or groups: ["*"] if everyone verified is meant'
        self._out.add(node.keys[effect], f"{title} {does} without saying whom", everyone)

    def _check_words(self, title: str, effect: Effect, shape: RuleShape, node: Node) -> None:
        if shape.message is not None:
            if effect is not Effect.DENY:
                what = f"{title} {_DOES[effect]}, so nobody reads its `message`"
                self._out.add(node.keys["message"], what, "remove it")
            elif not shape.message.replace("\n", " ").isprintable():
                place = node.find(("message",)).place
                self._out.add(place, "the message has unprintable characters", "remove them")
        if effect is Effect.DENY and shape.mask is not None:
            self._out.add(node.keys["mask"], f"{title} denies, so there is nothing to mask", "remove `mask`")
        for position, mask in enumerate(shape.mask or ()):
            if mask not in self._known.masks:
                remedy = selectors.declared(mask, self._known.masks, "masks")
                self._out.add(node.find(("mask", position)).place, f"there is no mask `{mask}`", remedy)

    def _is_shadow(self, shape: RuleShape, node: Node) -> bool:
        if shape.mode not in _MODES:
            meant = nearest(shape.mode, _MODES)
            remedy = f"did you mean `{meant}`?" if meant else "write `enforce` or `shadow`; to drop a rule, remove it"
            self._out.add(node.find(("mode",)).place, f"a rule has no mode `{shape.mode}`", remedy)
        return shape.mode == "shadow"

    def _check_connecting(self, title: str, rule: Rule, node: Node) -> None:
        """Connection methods are open to whom some rule lets call anything there, arguments and conditions aside."""
        if not selectors.only_connects(rule.selector):
            return
        remedy = "select the methods, tools, prompts or resources that it is about"
        if rule.effect in (Effect.APPROVE, Effect.BREAK_GLASS):
            what = f"{title} selects only methods that connect, for which nobody is asked"
            self._out.add(node.keys[rule.effect], what, remedy)
            return
        if rule.args:
            what = f"{title} selects only methods that connect, which have no arguments to judge"
            self._out.add(node.keys["args"], what, remedy)
        if rule.when and rule.effect is Effect.ALLOW:
            what = f"{title} selects only methods that connect, to which conditions do not apply"
            self._out.add(node.keys["when"], what, remedy)


def _stated(shape: RuleShape) -> list[tuple[Effect, SelectorShape]]:
    selectors_by_effect = ((effect, getattr(shape, effect)) for effect in Effect)
    return [(effect, selector) for effect, selector in selectors_by_effect if isinstance(selector, SelectorShape)]
