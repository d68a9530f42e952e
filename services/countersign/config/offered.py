"""Rules about tools that no target offers: known only once the targets have listed their tools, so it is a warning."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from countersign.config.selectors import is_wild
from countersign.config.wording import nearest
from countersign.model.glob import GlobSet
from countersign.model.rule import Rule

SUGGESTED_AMONG = 300
"""Of a target that offers more tools, none is looked for that may have been meant: targets offer names at no cost."""

SUGGESTIONS = 50
"""For how many names one is looked for; the others are told without."""


@dataclass(frozen=True, slots=True)
class Unoffered:
    """A rule names a tool that ``target`` does not offer; ``meant`` is the one that was probably meant, if any is."""

    rule: str
    target: str
    tool: str
    meant: str | None = None

    def __str__(self) -> str:
        remedy = f"did you mean `{self.meant}`?" if self.meant else "mend the name, or remove the rule"
        return f"the rule `{self.rule}` names the tool `{self.tool}`, which `{self.target}` does not offer: {remedy}"


def unoffered(rules: Iterable[Rule], offered: Mapping[str, Collection[str]]) -> tuple[Unoffered, ...]:
    """The tools that rules name in full and that no target offers which they reach; one entry for each, sorted.

    ``offered`` holds the names of the tools of each target whose listing is known. A rule that names a target in full
    whose listing is not known is passed over, as what it means may be there. Of several targets, the one is told that
    offers what was probably meant, or else the first by name.
    """
    found: dict[tuple[str, str], Unoffered] = {}
    for rule in rules:
        reached = _reached(rule, offered)
        for tool in rule.selector.tools or ():
            if not reached or is_wild(tool) or any(tool in offered[target] for target in reached):
                continue
            first = Unoffered(rule.name, reached[0], tool)
            found[rule.name, tool] = first if len(found) >= SUGGESTIONS else _meant(first, reached, offered)
    return tuple(found[key] for key in sorted(found))


def _reached(rule: Rule, offered: Mapping[str, Collection[str]]) -> list[str]:
    """The targets that the rule reaches, in order; none when the listing of one that it names is not known."""
    targets = rule.selector.targets
    if targets is None:
        return sorted(offered)
    if any(not is_wild(target) and target not in offered for target in targets):
        return []
    globs = GlobSet(targets)
    return sorted(target for target in offered if globs.matches(target))


def _meant(told: Unoffered, reached: Sequence[str], offered: Mapping[str, Collection[str]]) -> Unoffered:
    """Add what was probably meant, and where that is; the same when nothing comes near."""
    few = (target for target in reached if len(offered[target]) <= SUGGESTED_AMONG)
    meant = ((target, nearest(told.tool, sorted(offered[target]))) for target in few)
    likely = (replace(told, target=target, meant=name) for target, name in meant if name is not None)
    return next(likely, told)
