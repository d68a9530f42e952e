"""Which rules could be about a call: found by target, name or method, and group, instead of asking every rule.

What it yields may hold rules that do not match, never lack one that does: it looks up only what rules name in full.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from countersign.model.call import Call, NameKind
from countersign.model.principal import Principal
from countersign.policy.matcher import Matcher

_TARGETS_KEPT = 256
"""How many targets' rules are sorted ahead; gateway.yaml names fewer, and further ones are sorted on each call."""

_Key = tuple[NameKind, str] | str
_Matchers = Sequence[Matcher]


class Index:
    """The rules of a policy by what they are about."""

    def __init__(self, matchers: _Matchers) -> None:
        self._matchers = matchers
        self._by_target: dict[str, _OfTarget] = {}

    def about(self, principal: Principal, call: Call, *, connects: bool) -> Iterable[Matcher]:
        """Find at least the rules whose selectors match, once each; for what ``connects``, all that admit or mask."""
        found = self._by_target.get(call.target)
        if found is None:
            found = _OfTarget([matcher for matcher in self._matchers if matcher.reaches(call.target)])
            if len(self._by_target) < _TARGETS_KEPT:
                self._by_target[call.target] = found
        return found.connecting(principal) if connects else found.about(principal, call)


class _OfTarget:
    """The rules that reach one target."""

    def __init__(self, matchers: _Matchers) -> None:
        # A rule that denies certain things denies no connection; one that permits anything admits, or at least masks.
        self._connecting = _ByGroup([matcher for matcher in matchers if not (matcher.denies and matcher.names_things)])
        keyed, general = dict[_Key, list[Matcher]](), list[Matcher]()
        for matcher in matchers:
            keys = _keys(matcher)
            for key in keys or ():
                keyed.setdefault(key, []).append(matcher)
            if keys is None:
                general.append(matcher)
        self._keyed = {key: _ByGroup(found) for key, found in keyed.items()}
        self._general = _ByGroup(general)

    def connecting(self, principal: Principal) -> Iterable[Matcher]:
        return self._connecting.about(principal)

    def about(self, principal: Principal, call: Call) -> Iterable[Matcher]:
        found = [*self._general.about(principal)]
        # No rule has keys of both kinds, so none is found twice.
        for key in ((call.name_kind, call.name), call.method):
            matchers = self._keyed.get(key)
            if matchers is not None:
                found.extend(matchers.about(principal))
        return found


class _ByGroup:
    """Some rules, by the groups that they name in full."""

    def __init__(self, matchers: _Matchers) -> None:
        self._by_group: dict[str, list[Matcher]] = {}
        self._others = list[Matcher]()
        for matcher in matchers:
            groups = _literals(matcher.rule.selector.groups)
            for group in groups or ():
                self._by_group.setdefault(group, []).append(matcher)
            if groups is None:
                self._others.append(matcher)

    def about(self, principal: Principal) -> Iterable[Matcher]:
        found = dict[Matcher, None]()
        for group in principal.groups:
            found.update(dict.fromkeys(self._by_group.get(group, ())))
        return [*self._others, *found] if found else self._others


def _keys(matcher: Matcher) -> set[_Key] | None:
    """What the rule names in full: all of its things, or else all of its methods; ``None`` if it matches more."""
    about = matcher.rule.selector
    if not matcher.names_things:
        methods = _literals(about.methods)
        return None if methods is None else set(methods)
    keys = set[_Key]()
    for kind, globs in (
        (NameKind.TOOL, about.tools),
        (NameKind.PROMPT, about.prompts),
        (NameKind.RESOURCE, about.resources),
    ):
        names = _literals(globs)
        if names is None and globs is not None:
            return None
        keys.update((kind, name) for name in names or ())
    return keys


def _literals(globs: Sequence[str] | None) -> frozenset[str] | None:
    if globs is None or any("*" in glob or "?" in glob for glob in globs):
        return None
    return frozenset(globs)
