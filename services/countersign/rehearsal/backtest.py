"""Recorded calls judged again: which decisions, masks and approvals would be other ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from countersign.model.call import Call
from countersign.model.decision import Outcome
from countersign.model.principal import Principal
from countersign.model.situation import Situation, Usage
from countersign.rehearsal.record import Aside, RecordedAnswer, RecordedCall
from countersign.rehearsal.ruling import Ruling
from countersign.rehearsal.usage import UsageHistory

EXAMPLES = 5
"""How many calls are kept of those that change in the same way."""

MAX_CHANGES = 10_000
"""How many ways to change are told apart; what comes on top is only counted."""

MAX_ROWS = 10_000
NO_RULE = "(no rule)"
OTHERS = "(others)"

_Key = TypeVar("_Key")
_Names = TypeVar("_Names", bound=tuple[str, ...])


class Effect(StrEnum):
    """What a change means to whoever calls."""

    DENIED = "denied"
    ALLOWED = "allowed"
    APPROVAL = "approval"
    MASKS = "masks"


_EFFECTS = {Outcome.DENY: Effect.DENIED, Outcome.ALLOW: Effect.ALLOWED, Outcome.APPROVE: Effect.APPROVAL}


@dataclass(frozen=True, slots=True, order=True)
class Ruled:
    """What was decided of a call. ``masks`` is ``None`` where that is not known.

    ``glass`` are the rules by which its caller may agree alone, and ``needs`` says who must agree: neither is recorded.
    """

    outcome: str
    rules: tuple[str, ...]
    masks: tuple[str, ...] | None
    reason: str = field(compare=False, default="")
    glass: tuple[str, ...] = field(compare=False, default=())
    needs: tuple[str, ...] = field(compare=False, default=())

    @property
    def decided_by(self) -> tuple[str, ...]:
        """The rules that decided."""
        return self.rules or self.glass or (NO_RULE,)


@dataclass(frozen=True, slots=True)
class About:
    """Whose calls to what: one way to change is about one of these."""

    issuer: str
    subject: str
    target: str
    method: str
    name: str


@dataclass(slots=True)
class Change:
    """Calls of one principal to one thing that change in the same way; ``examples`` are event ids of the first."""

    of: About
    was: Ruled
    would_be: Ruled
    effect: Effect
    calls: int = 0
    on_masked_arguments: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Effects:
    """How many calls change, by what it means to their callers."""

    counts: dict[Effect, int] = field(default_factory=lambda: dict.fromkeys(Effect, 0))

    @property
    def calls(self) -> int:
        """All of them."""
        return sum(self.counts.values())


@dataclass(slots=True)
class RuleShare:
    """How many of the calls that change a rule decided (``was``), and how many it would decide (``would_be``)."""

    was: int = 0
    would_be: int = 0


@dataclass(slots=True)
class Findings:
    """What a backtest found; sorted where it is a mapping, so that the same record gives the same findings."""

    judged: int = 0
    changed: int = 0
    by_other_rules: int = 0
    on_masked_arguments: int = 0
    set_aside: dict[Aside, int] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    changes_beyond: int = 0
    by_rule: dict[str, RuleShare] = field(default_factory=dict)
    by_principal: dict[tuple[str, str], Effects] = field(default_factory=dict)
    by_tool: dict[tuple[str, str, str], Effects] = field(default_factory=dict)


class Backtest:
    """Judges calls in the order of the record by ``candidate``, and compares with ``baseline``, or with the record.

    ``add`` takes calls and answers in the order of their indices; calls before ``since_us`` only count for usage. Use
    is counted as it was: a call that the candidate would deny still counts, and so do the rows that it brought.
    """

    def __init__(self, candidate: Ruling, baseline: Ruling | None, since_us: int) -> None:
        self._candidate = candidate
        self._baseline = baseline
        self._since_us = since_us
        self.needs_usage = candidate.needs_usage or (baseline is not None and baseline.needs_usage)
        self._usage = UsageHistory() if self.needs_usage else None
        self._changes: dict[tuple[About, Ruled, Ruled], Change] = {}
        self._found = Findings()

    def add(self, fact: RecordedCall | RecordedAnswer) -> None:
        """Take the next call or answer of the record."""
        if isinstance(fact, RecordedCall):
            if fact.time_us >= self._since_us:
                self._judge(fact)
            if self._usage is not None:
                self._usage.add_call(fact)
        elif self._usage is not None:
            self._usage.add_answer(fact)

    def findings(self) -> Findings:
        """What was found by now, in an order that depends on nothing but the record."""
        found = self._found
        found.changes = sorted(self._changes.values(), key=_order)
        found.set_aside = dict(sorted(found.set_aside.items()))
        found.by_rule = dict(sorted(found.by_rule.items(), key=lambda one: (-one[1].was - one[1].would_be, one[0])))
        found.by_principal = dict(_by_calls(found.by_principal))
        found.by_tool = dict(_by_calls(found.by_tool))
        return found

    def _judge(self, recorded: RecordedCall) -> None:
        principal, call = recorded.principal, recorded.call
        usage = self._usage.before(principal, call.target, recorded.time_us) if self._usage is not None else Usage()
        situation = recorded.situation(usage)
        rulings = [self._candidate, *([self._baseline] if self._baseline is not None else [])]
        asks = (not recorded.complete or bool(recorded.findings)) and any(
            ruling.asks_arguments(principal, call, situation) for ruling in rulings
        )
        aside = self._aside(recorded, asks)
        if aside is not None:
            self._found.set_aside[aside] = self._found.set_aside.get(aside, 0) + 1
            return
        would_be = _ruled(self._candidate, principal, call, situation)
        before = self._baseline
        was = _recorded(recorded) if before is None else _ruled(before, principal, call, situation)
        on_masked = bool(recorded.findings) and (asks or recorded.name_masked)
        self._found.judged += 1
        self._found.on_masked_arguments += on_masked
        self._compare(recorded, was, would_be, on_masked=on_masked)

    def _aside(self, recorded: RecordedCall, asks_arguments: bool) -> Aside | None:
        aside = recorded.aside
        # What was never read has no call to judge; all else matters only where it is compared with.
        if aside is not None and (self._baseline is None or aside is Aside.UNREAD):
            return aside
        return Aside.NO_ARGUMENTS if asks_arguments and not recorded.complete else None

    def _compare(self, recorded: RecordedCall, was: Ruled, would_be: Ruled, *, on_masked: bool) -> None:
        effect = _effect(was, would_be)
        if effect is None:
            self._found.by_other_rules += was.rules != would_be.rules
            return
        self._found.changed += 1
        who, call = recorded.principal, recorded.call
        of = About(who.issuer, who.subject, call.target, call.method, call.name)
        key = (of, was, would_be)
        change = self._changes.get(key)
        if change is None and len(self._changes) < MAX_CHANGES:
            change = self._changes[key] = Change(of, was, would_be, effect)
        if change is None:
            self._found.changes_beyond += 1
        else:
            change.calls += 1
            change.on_masked_arguments += on_masked
            if len(change.examples) < EXAMPLES:
                change.examples.append(recorded.event_id)
        self._tally(of, was, would_be, effect)

    def _tally(self, of: About, was: Ruled, would_be: Ruled, effect: Effect) -> None:
        found = self._found
        for rule in was.decided_by:
            found.by_rule.setdefault(_room(found.by_rule, rule, OTHERS), RuleShare()).was += 1
        for rule in would_be.decided_by:
            found.by_rule.setdefault(_room(found.by_rule, rule, OTHERS), RuleShare()).would_be += 1
        who = _room(found.by_principal, (of.subject, of.issuer), (OTHERS, ""))
        found.by_principal.setdefault(who, Effects()).counts[effect] += 1
        tool = _room(found.by_tool, (of.target, of.method, of.name), (OTHERS, "", ""))
        found.by_tool.setdefault(tool, Effects()).counts[effect] += 1


def _room(held: Mapping[_Key, object], key: _Key, others: _Key) -> _Key:
    """The key, as long as there is room for it."""
    return key if key in held or len(held) < MAX_ROWS else others


def _ruled(ruling: Ruling, principal: Principal, call: Call, situation: Situation) -> Ruled:
    decision = ruling.decide(principal, call, situation)
    return Ruled(
        decision.outcome.value,
        decision.rules,
        decision.masks,
        decision.reason,
        decision.glass,
        ruling.needs(decision),
    )


def _recorded(recorded: RecordedCall) -> Ruled:
    decision, outcome = recorded.decision, recorded.outcome
    # What was denied for want of an approval is recorded without the masks that it would have had.
    masks = None if outcome is Outcome.APPROVE else decision.masks
    return Ruled(outcome.value, decision.rules, masks, decision.reason)


def _effect(was: Ruled, would_be: Ruled) -> Effect | None:
    if was.outcome != would_be.outcome:
        return _EFFECTS[Outcome(would_be.outcome)]
    if was.outcome == Outcome.DENY or was.masks is None or was.masks == would_be.masks:
        return None
    return Effect.MASKS


def _order(change: Change) -> tuple[object, ...]:
    of, was, would_be = change.of, change.was, change.would_be
    names = (of.target, of.method, of.name, of.subject, of.issuer)
    outcomes = (was.outcome, would_be.outcome, was.rules, would_be.rules)
    return (-change.calls, *names, *outcomes, was.masks or (), would_be.masks or ())


def _by_calls(rows: Mapping[_Names, Effects]) -> list[tuple[_Names, Effects]]:
    return sorted(rows.items(), key=lambda one: (-one[1].calls, one[0]))
