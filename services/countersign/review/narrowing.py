"""The narrower rules that would have covered all real use: exact names for globs, and only targets and groups used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from countersign.config.document import Plain
from countersign.model.glob import Glob
from countersign.model.rule import Effect, Rule, Selector
from countersign.policy.matcher import Matcher
from countersign.review.grants import GRANTING, NAMED, Connected, GrantUse, RuleUse, whom_entries
from countersign.review.overlap import Narrowed, missed_by, targets_of

MOST_CHARACTERS = 256
"""What an entry of a rule may have, see ``config.shape_base``."""

_NO_NAME = frozenset("*?[]{}\\|")
_LEFT = "left as it stands: "


@dataclass(frozen=True, slots=True)
class Advice:
    """What becomes of one rule, and why, in words. ``now`` is its mapping in the narrower file, ``None``: it goes."""

    rule: str
    what: str
    why: str
    now: Plain


class Narrowing:
    """Works out narrower rules of a file; ``raw`` are its rules as they stand there, in the order of ``rules``.

    Deny and break_glass rules, and those on trial, stay as they stand, and so does what would be missed elsewhere (see
    ``overlap``). What the file then says is what the same rules said, of fewer calls.
    """

    def __init__(self, rules: Sequence[Rule], raw: Sequence[Plain], targets: Sequence[str], use: GrantUse) -> None:
        self._rules = rules
        self._raw = dict(zip([rule.name for rule in rules], raw, strict=True))
        self._targets = targets
        self._use = use
        self._let_in: dict[str, list[Connected]] = {}
        """Who must be able to connect by a rule, beside those who use what it grants."""
        self._kept: dict[str, str] = {}
        """Rules that are left as they stand, and why."""
        for rule in rules:
            reason = self._untouchable(rule)
            if reason:
                self._kept[rule.name] = reason

    def keep(self, name: str, reason: str) -> bool:
        """Leave one more rule as it stands; returns whether it was narrowed until now."""
        if name in self._kept or name not in self._raw:
            return False
        self._kept[name] = reason
        return True

    def advice(self) -> list[Advice]:
        """What becomes of each rule, in the order of the file."""
        settled = self._settled()
        advice, seen = list[Advice](), dict[str, str]()
        for rule in self._rules:
            now = settled[rule.name]
            if now is None:
                advice.append(Advice(rule.name, "removed", "nobody needed it", None))
                continue
            if rule.name in self._kept or now == rule:
                why = self._kept.get(rule.name, "all that it grants was used")
                advice.append(Advice(rule.name, "kept", why, self._raw[rule.name]))
                continue
            same = repr(replace(now, name="", message=""))
            if rule.effect is Effect.ALLOW and same in seen:
                advice.append(Advice(rule.name, "removed", f"what is left of it, `{seen[same]}` grants, too", None))
                continue
            seen.setdefault(same, rule.name)
            advice.append(Advice(rule.name, "narrowed", self._told(rule, now), self._rewritten(rule, now)))
        return advice

    def _untouchable(self, rule: Rule) -> str:
        if rule.effect is Effect.DENY:
            return "it denies"
        if rule.effect is Effect.BREAK_GLASS:
            return "it is for emergencies, which there may be none of"
        if rule.shadow:
            return "it is on trial"
        if self._use.connections_beyond:
            return _LEFT + "too many different callers connected to tell whom it lets in"
        return ""

    def _settled(self) -> dict[str, Rule | None]:
        """Narrow all that may be, then leave as they stand those that others would miss, until none is missed."""
        while True:
            now = {rule.name: rule if rule.name in self._kept else self._narrowed(rule) for rule in self._rules}
            missed = self._first_missed(now)
            if missed is not None:
                self._kept[missed[0]] = _LEFT + missed[1]
            elif not self._let_one_more_in(now):
                return now

    def _first_missed(self, now: Mapping[str, Rule | None]) -> tuple[str, str] | None:
        passing = [
            (rule.name, left)
            for rule in self._rules
            if rule.effect is not Effect.DENY and not rule.shadow and (left := now[rule.name]) is not None
        ]
        beside = [rule for _, rule in passing]
        for rule in self._rules:
            left = now[rule.name]
            if left == rule or rule.effect not in GRANTING:
                continue
            for name, other in passing:
                if name != rule.name and missed_by(Narrowed(rule, left), other, beside, self._targets):
                    does = (
                        "people are asked" if rule.effect is Effect.APPROVE else "answers are masked, or calls judged"
                    )
                    return rule.name, f"by it, {does} also where `{name}` lets calls pass"
        return None

    def _let_one_more_in(self, now: Mapping[str, Rule | None]) -> bool:
        """Widen rules by whoever connected, and whom none would let in any more; returns whether there was anybody."""
        admitting = {name: Matcher(replace(rule, args=(), when="")) for name, rule in now.items() if rule is not None}
        for connected in sorted(self._use.connections, key=repr):
            left = [admitting[name] for name in connected.rules if name in admitting]
            if any(one.reaches(connected.target) and one.knows(connected.principal) for one in left):
                continue
            names = sorted(connected.rules - self._kept.keys())
            if not names:
                continue
            used = next((name for name in names if self._use.rules[name].calls), None)
            if used is None or connected in self._let_in.get(used, ()):
                why = f"callers connect to {connected.target} by it, and use nothing that it grants"
                self._kept[names[0] if used is None else used] = _LEFT + why
            else:
                self._let_in.setdefault(used, []).append(connected)
            return True
        return False

    def _narrowed(self, rule: Rule) -> Rule | None:
        use = self._use.rules[rule.name]
        if not use.calls:
            return None
        about = rule.selector
        names = self._names(about, use)
        selector = replace(
            about,
            groups=self._used_entries(rule, "groups", use),
            principals=self._used_entries(rule, "principals", use),
            actors=self._used_entries(rule, "actors", use),
            targets=self._used_targets(rule, use),
            methods=names.get("methods", about.methods),
            tools=names.get("tools", about.tools),
            prompts=names.get("prompts", about.prompts),
            resources=names.get("resources", about.resources),
        )
        unmask_for = rule.unmask_for
        if selector.tools is not None and unmask_for:
            unmask_for = tuple(one for one in unmask_for if any(Glob(one).matches(tool) for tool in selector.tools))
        return replace(rule, selector=selector, unmask_for=unmask_for)

    def _used_entries(self, rule: Rule, field: str, use: RuleUse) -> tuple[str, ...] | None:
        given: tuple[str, ...] | None = getattr(rule.selector, field)
        if given is None:
            return None
        used = {entry for name, entry in use.entries if name == field}
        for one in self._let_in.get(rule.name, ()):
            used |= {entry for name, entry in whom_entries(rule, one.principal) if name == field}
        return tuple(entry for entry in given if entry in used) or given

    def _used_targets(self, rule: Rule, use: RuleUse) -> tuple[str, ...]:
        used = use.targets | {one.target for one in self._let_in.get(rule.name, ())}
        given = rule.selector.targets
        if given is not None and targets_of(rule.selector, self._targets) == used:
            return given
        return tuple(sorted(used))

    def _names(self, about: Selector, use: RuleUse) -> dict[str, tuple[str, ...] | None]:
        """The fields for names, or for methods where calls without a name were needed, too."""
        if use.overflowed:
            return {}
        names_things = any(getattr(about, field) is not None for field in NAMED.values())
        if not names_things and use.unnamed:
            used = tuple(sorted(use.methods))
            return {"methods": used} if all(map(writable, used)) else {}
        told: dict[str, tuple[str, ...] | None] = {}
        for field in NAMED.values():
            entries: tuple[str, ...] | None = getattr(about, field)
            used_names = use.names.get(field, set())
            if any(not writable(name) for name in used_names) and entries is None:
                return {}
            exact = {name for name in used_names if writable(name)}
            unwritable = (used_names - exact) | use.masked.get(field, set())
            # What cannot be written exactly stays covered by what covers it.
            kept = {one for one in entries or () if any(Glob(one).matches(name) for name in unwritable)}
            if use.masked.get(field) and entries is None:
                return {}
            rest = {name for name in exact if not any(Glob(one).matches(name) for one in kept)}
            told[field] = tuple(sorted(rest | kept)) or None
        return told if any(told.values()) else {}

    def _rewritten(self, rule: Rule, now: Rule) -> Plain:
        """The rule's own mapping with another selector: all else as its author wrote it."""
        raw = self._raw[rule.name]
        assert isinstance(raw, dict)
        effect = rule.effect.value
        stated = raw[effect]
        assert isinstance(stated, dict)
        fields = ("groups", "principals", "kind", "actors", "targets", "methods", *NAMED.values())
        about: dict[str, Plain] = {}
        for field in fields:
            entries = None if field == "kind" else getattr(now.selector, field)
            if field == "kind" and "kind" in stated:
                about[field] = stated[field]
            elif entries is not None:
                about[field] = list(entries)
        told: dict[str, Plain] = {key: about if key == effect else value for key, value in raw.items()}
        if "unmask_for" in told:
            if now.unmask_for:
                told["unmask_for"] = list(now.unmask_for)
            else:
                del told["unmask_for"]
        return told

    def _told(self, rule: Rule, now: Rule) -> str:
        changed = [
            field
            for field in ("groups", "principals", "actors", "targets", "methods", *NAMED.values())
            if getattr(rule.selector, field) != getattr(now.selector, field)
        ]
        return f"{', '.join(changed)} as used"


def writable(name: str) -> bool:
    """Whether a rule can name this and nothing else: what a glob or the file's checks take otherwise is not."""
    return (
        0 < len(name) <= MOST_CHARACTERS
        and name.isprintable()
        and not any(char in _NO_NAME or char.isspace() for char in name)
    )
