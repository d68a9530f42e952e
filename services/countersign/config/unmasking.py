"""Rules that hand real values to tools: such a rule must be able to, or it does not say what it does."""

from __future__ import annotations

from collections.abc import Mapping

from countersign.config.document import Node
from countersign.config.problem import Problems
from countersign.config.selectors import is_wild
from countersign.model.glob import GlobSet
from countersign.model.rule import Effect, Mask, ReplacementKind, Rule


def check(title: str, rule: Rule, node: Node, masks: Mapping[str, Mask | None], out: Problems) -> None:
    """Refuse ``unmask_for`` where no token could ever be turned; ``masks`` hold ``None`` for those refused."""
    if not rule.unmask_for:
        return
    key = node.keys["unmask_for"]
    if rule.effect is Effect.DENY:
        out.add(key, f"{title} denies, so there is nothing to unmask", "remove `unmask_for`")
        return
    if rule.effect is Effect.BREAK_GLASS:
        what = f"{title} lets the glass be broken, which hands nobody real values"
        out.add(key, what, "remove `unmask_for`, or give it to a rule that allows or approves")
        return
    if not any(mask is None or mask.how is ReplacementKind.TOKENIZE for mask in masks.values()):
        out.add(key, f"{title} unmasks, but no mask tokenizes", "give a mask `replace: tokenize`, or remove this")
    selector = rule.selector
    if selector.tools is None:
        if selector.prompts is not None or selector.resources is not None:
            out.add(key, f"{title} selects no tools that could be handed real values", "remove `unmask_for`")
        return
    selected = GlobSet(selector.tools)
    for position, entry in enumerate(rule.unmask_for):
        if not is_wild(entry) and not selected.matches(entry):
            place = node.find(("unmask_for", position)).place
            out.add(place, f"{title} does not select the tool `{entry}`", "add it to its `tools`, or remove it here")
