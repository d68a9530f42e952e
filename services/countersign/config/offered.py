"""Rules about tools that no target offers: known only once the targets have listed their tools, so it is a warning."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from countersign.config.selectors import is_wild
from countersign.config.wording import nearest
from countersign.model.glob import GlobSet
from countersign.model.rule import Rule


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
    found: set[Unoffered] = set()
    for rule in rules:
        reached = _reached(rule, offered)
        for tool in rule.selector.tools or ():
            if reached and not is_wild(tool) and not any(tool in offered[target] for target in reached):
                found.add(_told(rule, tool, reached, offered))
    return tuple(sorted(found, key=lambda each: (each.rule, each.tool)))


def _reached(rule: Rule, offered: Mapping[str, Collection[str]]) -> list[str]:
    """The targets that the rule reaches, in order; none when the listing of one that it names is not known."""
    targets = rule.selector.targets
    if targets is None:
        return sorted(offered)
    if any(not is_wild(target) and target not in offered for target in targets):
        return []
    globs = GlobSet(targets)
    return sorted(target for target in offered if globs.matches(target))


def _told(rule: Rule, tool: str, reached: Sequence[str], offered: Mapping[str, Collection[str]]) -> Unoffered:
    meant = ((target, nearest(tool, sorted(offered[target]))) for target in reached)
    likely = ((target, name) for target, name in meant if name is not None)
    target, name = next(likely, (reached[0], None))
    return Unoffered(rule.name, target, tool, name)
