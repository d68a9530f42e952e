"""What a rule stops doing when it is narrowed, and whether calls that still pass by another rule would miss it.

A call that passes gets the masks of *all* rules that select it, an approve rule asks although another one allows, and a
rule that cannot be judged denies. So to narrow a rule may uncover, or wave through, what another rule lets pass.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from countersign.model.call import NameKind
from countersign.model.glob import Glob, GlobSet
from countersign.model.rule import Effect, Rule, Selector

_KINDS = (NameKind.TOOL, NameKind.PROMPT, NameKind.RESOURCE)
_ADMITTING = (Effect.ALLOW, Effect.APPROVE)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A rule as it stands, and as it would stand; ``now`` is ``None`` where it would go."""

    was: Rule
    now: Rule | None


def missed_by(one: Narrowed, other: Rule, beside: Sequence[Rule], targets: Collection[str]) -> bool:
    """Whether a call that ``other`` lets pass could miss what ``one`` did for it; says yes where that is not certain.

    ``beside`` are all rules that let calls pass, as they would stand; ``targets`` are all that there are.
    """
    shared = _targets(one.was.selector, targets) & _targets(other.selector, targets)
    if not shared:
        return False
    with_it = [rule for rule in beside if _goes_with(rule, other, shared, targets)]
    masks = set(one.was.masks)
    if other.effect in _ADMITTING and not masks <= _masks(other, [rule for rule in with_it if _admits(rule)]):
        return True  # methods that connect get the masks of all that admit
    certain = [rule for rule in with_it if _admits(rule) and not _conditional(rule) and _names_all(rule, other)]
    if one.was.effect is Effect.ALLOW and not _conditional(one.was) and masks <= _masks(other, certain):
        return False
    if one.now is None or one.now not in with_it:
        return _may_meet(one.was.selector, other.selector)
    return _removed_meets(one.was.selector, one.now.selector, other.selector)


def targets_of(selector: Selector, targets: Collection[str]) -> frozenset[str]:
    """The targets that a selector reaches, of all that there are."""
    return _targets(selector, targets)


def _targets(selector: Selector, targets: Collection[str]) -> frozenset[str]:
    if selector.targets is None:
        return frozenset(targets)
    globs = GlobSet(selector.targets)
    return frozenset(target for target in targets if globs.matches(target))


def _goes_with(rule: Rule, other: Rule, shared: frozenset[str], targets: Collection[str]) -> bool:
    """Whether whomever ``other`` lets in at the shared targets this rule lets in there, too."""
    mine, theirs = rule.selector, other.selector
    if not shared <= _targets(mine, targets):
        return False
    if rule is other:
        return True
    if mine.kinds not in (None, theirs.kinds) or mine.principals not in (None, theirs.principals):
        return False
    if mine.actors not in (None, theirs.actors):
        return False
    if mine.groups is None or mine.groups == theirs.groups:
        return True
    known = GlobSet(mine.groups)
    return known.everything or (
        theirs.groups is not None and all(not _is_wild(group) and known.matches(group) for group in theirs.groups)
    )


def _names_all(rule: Rule, other: Rule) -> bool:
    """Whether this rule selects whatever ``other`` does, as far as methods and names go."""
    if rule.selector.methods not in (None, other.selector.methods):
        return False
    mine, theirs = _names(rule.selector), _names(other.selector)
    for kind in _KINDS:
        left, entries = mine[kind], theirs[kind]
        if left is None:
            continue
        if entries is None:
            return False
        known = GlobSet(left)
        if not (known.everything or all(not _is_wild(entry) and known.matches(entry) for entry in entries)):
            return False
    return True


def _masks(other: Rule, rules: Sequence[Rule]) -> set[str]:
    return set(other.masks).union(*[rule.masks for rule in rules])


def _admits(rule: Rule) -> bool:
    return rule.effect in _ADMITTING


def _conditional(rule: Rule) -> bool:
    return bool(rule.args or rule.when)


def _may_meet(one: Selector, other: Selector) -> bool:
    if one.methods is not None and other.methods is not None and not _meet(one.methods, other.methods):
        return False
    mine, theirs = _names(one), _names(other)
    if None in mine.values() and None in theirs.values():
        return True
    return any(_entries_meet(mine[kind], theirs[kind]) for kind in _KINDS)


def _removed_meets(was: Selector, now: Selector, other: Selector) -> bool:
    """The same, where only names and methods went."""
    if was.methods != now.methods:
        return _may_meet(was, other)
    if was.methods is not None and other.methods is not None and not _meet(was.methods, other.methods):
        return False
    before, after, theirs = _names(was), _names(now), _names(other)
    if None in before.values() and None in theirs.values() and None not in after.values():
        return True  # methods that name nothing
    for kind in _KINDS:
        if before[kind] == after[kind]:
            continue
        entries = theirs[kind]
        if entries is None:
            return True
        left = GlobSet(after[kind] or ())
        for entry in entries:
            if _entries_meet(before[kind], (entry,)) and (_is_wild(entry) or not left.matches(entry)):
                return True
    return False


def _names(selector: Selector) -> dict[NameKind, tuple[str, ...] | None]:
    """The globs of each kind of name; all are ``None`` where a selector says nothing of names: it selects any."""
    given = {
        NameKind.TOOL: selector.tools,
        NameKind.PROMPT: selector.prompts,
        NameKind.RESOURCE: selector.resources,
    }
    if all(globs is None for globs in given.values()):
        return dict(given)
    return {kind: globs or () for kind, globs in given.items()}


def _entries_meet(mine: Sequence[str] | None, theirs: Sequence[str] | None) -> bool:
    if mine is None or theirs is None:
        # Any name: met by any entry at all.
        return (mine is None or bool(mine)) and (theirs is None or bool(theirs))
    return _meet(mine, theirs)


def _meet(mine: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether a text could match entries of both; two globs may always."""
    return any(_globs_meet(one, other) for one in mine for other in theirs)


def _globs_meet(one: str, other: str) -> bool:
    if not _is_wild(one):
        return Glob(other).matches(one)
    return _is_wild(other) or Glob(one).matches(other)


def _is_wild(entry: str) -> bool:
    return "*" in entry or "?" in entry
