"""Which rules of gateway.yaml real calls needed, and which of their groups, principals, targets and names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from countersign.config import GatewayConfig
from countersign.model.call import Call, NameKind
from countersign.model.decision import Outcome
from countersign.model.glob import Glob
from countersign.model.methods import is_connection
from countersign.model.principal import Principal
from countersign.model.rule import Effect, Rule
from countersign.model.situation import Usage
from countersign.policy import RuleTrace
from countersign.rehearsal.record import RecordedAnswer, RecordedCall
from countersign.rehearsal.ruling import Ruling
from countersign.rehearsal.usage import UsageHistory

NAMED = {NameKind.TOOL: "tools", NameKind.PROMPT: "prompts", NameKind.RESOURCE: "resources"}
GRANTING = (Effect.ALLOW, Effect.APPROVE)
# What a caller may name without an end: beyond this, a rule keeps the globs that it has.
MOST_NAMES = 200
_MOST_CACHED = 50_000
_MOST_CONNECTIONS = 10_000
_PAST_SELECTION = ("args", "when")


@dataclass(slots=True)
class RuleUse:
    """What real calls needed of a rule. ``entries``: calls by a field and an entry of the rule's selector.

    ``names`` are by field (``tools``, ``prompts``, ``resources``); ``unnamed`` are methods of calls without a name.
    ``masked`` are names that are on record masked, so that nobody knows them. ``connected`` counts calls that only
    connect, for whom it is one of the rules that let them in.
    """

    calls: int = 0
    connected: int = 0
    targets: set[str] = field(default_factory=set)
    names: dict[str, set[str]] = field(default_factory=dict)
    masked: dict[str, set[str]] = field(default_factory=dict)
    methods: set[str] = field(default_factory=set)
    unnamed: bool = False
    overflowed: bool = False
    entries: dict[tuple[str, str], int] = field(default_factory=dict)


class Connected(NamedTuple):
    """Somebody who connected to a target, and the rules that let them in."""

    principal: Principal
    target: str
    rules: frozenset[str]


class _Key(NamedTuple):
    issuer: str
    subject: str
    groups: tuple[str, ...]
    kind: str
    actors: tuple[str, ...]
    target: str
    method: str
    kind_of_name: str
    name: str


class GrantUse:
    """Takes the record in order, as ``rehearsal.backtest.Backtest`` does, and says what of the rules was needed.

    Only calls that passed, or waited for people, count: whatever was denied asks for nothing. They are judged by the
    file as it stands now; what it does not let pass any more is counted by itself.
    """

    def __init__(self, config: GatewayConfig, since_us: int) -> None:
        self._ruling = Ruling(config)
        self._rules = {rule.name: rule for rule in config.rules if rule.effect in GRANTING and not rule.shadow}
        self._conditional = {rule.name for rule in config.rules if rule.args or rule.when}
        self._since_us = since_us
        self._usage = UsageHistory() if self._ruling.needs_usage else None
        self._cached: dict[_Key, tuple[frozenset[str], bool]] = {}
        self.rules: dict[str, RuleUse] = {name: RuleUse() for name in self._rules}
        self.connections: set[Connected] = set()
        self.connections_beyond = False
        self.passed = 0
        self.not_passed = 0
        self.no_longer_passing = 0

    @property
    def needs_usage(self) -> bool:
        """Whether use before a call has a say in it, so that a day more must be read."""
        return self._usage is not None

    def add(self, fact: RecordedCall | RecordedAnswer) -> None:
        """Take the next call or answer of the record."""
        if isinstance(fact, RecordedCall):
            if fact.time_us >= self._since_us:
                self._take(fact)
            if self._usage is not None:
                self._usage.add_call(fact)
        elif self._usage is not None:
            self._usage.add_answer(fact)

    def _take(self, recorded: RecordedCall) -> None:
        if recorded.decision.outcome not in (Outcome.ALLOW, Outcome.APPROVE):
            self.not_passed += 1
            return
        self.passed += 1
        needed, passes = self._needed(recorded)
        if not passes:
            self.no_longer_passing += 1
            return
        principal, call = recorded.principal, recorded.call
        if is_connection(call.method):
            self._connect(principal, call.target, needed)
            return
        for name in needed:
            self._count(self._rules[name], self.rules[name], recorded)

    def _connect(self, principal: Principal, target: str, needed: frozenset[str]) -> None:
        for name in needed:
            self.rules[name].connected += 1
        if len(self.connections) < _MOST_CONNECTIONS:
            # The token has no say.
            self.connections.add(Connected(replace(principal, token_id=""), target, needed))
        else:
            self.connections_beyond = True

    def _needed(self, recorded: RecordedCall) -> tuple[frozenset[str], bool]:
        """Return the rules that the call needs to pass, and whether it would pass now."""
        who, call = recorded.principal, recorded.call
        kind_of_name = call.name_kind.value
        key = _Key(
            *(who.issuer, who.subject, who.groups, who.kind.value, who.actors),
            *(call.target, call.method, kind_of_name, call.name),
        )
        known = self._cached.get(key)
        if known is not None:
            return known
        usage = self._usage.before(who, call.target, recorded.time_us) if self._usage is not None else Usage()
        explained = self._ruling.explain(who, call, recorded.situation(usage))
        past = [trace for trace in explained.rules if trace.name in self._conditional and _past_selection(trace)]
        # Where arguments are not on record, or masked, nobody can say whether the condition held: it may have.
        blind = not recorded.complete or bool(recorded.findings)
        needed = frozenset(
            trace.name
            for trace in explained.rules
            if trace.name in self._rules and (trace.matched or (blind and trace in past))
        )
        passes = bool(needed or self._glass(explained.rules)) and not self._denied(explained.rules, blind=blind)
        if not past and self._usage is None and len(self._cached) < _MOST_CACHED:
            self._cached[key] = (needed, passes)
        return needed, passes

    def _glass(self, traces: Iterable[RuleTrace]) -> bool:
        return any(trace.matched and trace.effect is Effect.BREAK_GLASS and not trace.shadow for trace in traces)

    def _denied(self, traces: Iterable[RuleTrace], *, blind: bool) -> bool:
        """Whether rules deny it; limits of rates do not count, as they meet whoever comes next."""
        for trace in traces:
            denies = trace.error or (trace.matched and trace.effect is Effect.DENY)
            if denies and not trace.shadow and not (blind and trace.name in self._conditional):
                return True
        return False

    def _count(self, rule: Rule, use: RuleUse, recorded: RecordedCall) -> None:
        call = recorded.call
        use.calls += 1
        use.targets.add(call.target)
        kind = NAMED.get(call.name_kind)
        if len(use.methods) < MOST_NAMES:
            use.methods.add(call.method)
        else:
            use.overflowed = use.overflowed or call.method not in use.methods
        if kind is None:
            use.unnamed = True
        else:
            into = use.masked if recorded.name_masked else use.names
            names = into.setdefault(kind, set())
            if len(names) < MOST_NAMES:
                names.add(call.name)
            else:
                use.overflowed = use.overflowed or call.name not in names
        for place in entries_of(rule, recorded.principal, call):
            use.entries[place] = use.entries.get(place, 0) + 1


def entries_of(rule: Rule, principal: Principal, call: Call) -> Iterable[tuple[str, str]]:
    """The fields and entries of a rule's selector that a call, which the rule selects, makes use of."""
    yield from whom_entries(rule, principal)
    values = {"targets": call.target, "methods": call.method}
    kind = NAMED.get(call.name_kind)
    if kind is not None:
        values[kind] = call.name
    for field_name, value in values.items():
        entries: tuple[str, ...] | None = getattr(rule.selector, field_name)
        for entry in entries or ():
            if Glob(entry).matches(value):
                yield field_name, entry


def whom_entries(rule: Rule, principal: Principal) -> Iterable[tuple[str, str]]:
    """Those of them that say whom a rule is about."""
    about = rule.selector
    for entry in about.groups or ():
        glob = Glob(entry)
        if glob.everything or any(map(glob.matches, principal.groups)):
            yield "groups", entry
    for entry in about.principals or ():
        if Glob(entry).matches(principal.subject):
            yield "principals", entry
    for entry in about.actors or ():
        if any(map(Glob(entry).matches, principal.actors[:1])):
            yield "actors", entry


def _past_selection(trace: RuleTrace) -> bool:
    return trace.matched or bool(trace.error) or trace.failed.startswith(_PAST_SELECTION)
