"""What becomes of each message of a request: its caller's limits, its tool, the rules, and the rules on trial."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Protocol

from countersign.authz.turns import Turns
from countersign.config import NewTools, Target
from countersign.model.call import Call, NameKind
from countersign.model.decision import Decision, Outcome
from countersign.model.methods import is_connection
from countersign.model.principal import Principal
from countersign.model.situation import Situation
from countersign.policy.rates import describe, retry_after_s
from countersign.runtime.aside import Aside
from countersign.runtime.pins import PinState
from countersign.runtime.rulebook import InForce
from countersign.runtime.usage import UsageSource

# Rules about arguments have to read them.
_ASIDE_FROM_BYTES = 32 * 1024
_ASIDE_AT_ONCE = 2
_USE_UNKNOWN = "what was used before is not known"
_PENDING = {
    PinState.NEW: "the tool is new at its target, and no operator has accepted it yet",
    PinState.CHANGED: "the tool changed at its target, and no operator has accepted that yet",
    PinState.HIDDEN: "something in the tool's definition is hidden, and no operator has accepted it",
    PinState.UNLISTED: "the target does not list such a tool",
}
_ALONE = "Send it by itself: nobody can be asked about a call in a batch."
_WHATEVER_IS_NEW = frozenset({PinState.NEW, PinState.CHANGED, PinState.UNLISTED})


class ToolStates(Protocol):
    """What is known of the tools of targets; see ``runtime.pins.PinnedTools``."""

    def state(self, target: str, tool: str) -> PinState:
        """Say how a tool stands now."""


class Undecidable(Exception):
    """What a decision depends on is not known now; the message is safe to show."""


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision for each message. ``verdict`` is what becomes of them all, as they are one unit of bytes.

    ``retry_after_s`` is not 0 when it is a rate limit that denies; ``undecidable`` says that it is no rule that does.
    """

    decisions: tuple[Decision, ...]
    verdict: Decision
    retry_after_s: int = 0
    undecidable: bool = False

    @property
    def refused(self) -> bool:
        """Whether nothing may be sent, whoever agrees."""
        return self.verdict.outcome is Outcome.DENY

    @property
    def unmask(self) -> bool:
        """Whether the tokens in all of them are to be turned into values."""
        return all(decision.unmask for decision in self.decisions)

    def masked_too(self, masks: Collection[str]) -> Decided:
        """Return it with these masks, besides its own, for the answers to what may pass."""
        if not masks:
            return self
        decisions = tuple(_masked_too(decision, masks) for decision in self.decisions)
        return replace(self, decisions=decisions, verdict=_masked_too(self.verdict, masks))

    def without(self, reason: str) -> Decided:
        """Return it with nothing sent, because what was to be sent cannot be made."""
        denied = replace(
            self.verdict, outcome=Outcome.DENY, rules=(), masks=(), reason=reason, message=reason, unmask=False
        )
        return Decided(tuple(denied for _ in self.decisions), denied, undecidable=True)


def _masked_too(decision: Decision, masks: Collection[str]) -> Decision:
    if decision.outcome is Outcome.DENY:
        return decision
    return replace(decision, masks=tuple(sorted({*decision.masks, *masks})))


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request, and what it is judged by."""

    in_force: InForce
    target: Target
    principal: Principal
    calls: Sequence[Call]
    situation: Situation
    size_bytes: int
    approved: Decision | None = None

    @property
    def counting(self) -> int:
        """How many of its calls count."""
        return sum(not is_connection(call.method) for call in self.calls)

    @property
    def limited(self) -> bool:
        """Whether a limit may refuse it."""
        return self.counting > 0 and self.in_force.limits.bind(self.principal, self.target.name)

    @property
    def by_usage(self) -> bool:
        """Whether rules may judge it by what was used before."""
        return any(self.in_force.policy.needs_usage(self.principal, call) for call in self.calls)


class Decider:
    """Decides, and counts the calls that it lets pass."""

    def __init__(self, tools: ToolStates, usage: UsageSource) -> None:
        self._tools = tools
        self._usage = usage
        self._aside = Aside(from_bytes=_ASIDE_FROM_BYTES, at_once=_ASIDE_AT_ONCE)
        self._turns = Turns()

    async def decide(
        self,
        in_force: InForce,
        target: Target,
        principal: Principal,
        calls: Sequence[Call],
        situation: Situation,
        size_bytes: int,
        *,
        approved: Decision | None = None,
    ) -> Decided:
        """Decide about the calls of one request of this size. ``situation`` comes without usage.

        No two calls pass on one count: of those that rules judge by what a principal used of a target, each is counted
        before the next is judged; limits are looked at again right before a call is counted. ``approved`` is what was
        decided of the one call for which people agreed: it passes if the very same is decided again.
        Raises ``Undecidable``.
        """
        asked = _Asked(in_force, target, principal, calls, situation, size_bytes, approved)
        if not asked.by_usage:
            return await self._decide(asked, by_usage=False)
        async with self._turns.turn((principal.issuer, principal.subject, target.name)):
            return await self._decide(asked, by_usage=True)

    async def _decide(self, asked: _Asked, *, by_usage: bool) -> Decided:
        limited, situation = asked.limited, asked.situation
        if by_usage or asked.in_force.trial is not None:
            used = self._usage.of(asked.principal, asked.target.name, situation.time_us)
            situation = replace(situation, usage=used)

        if (limited or by_usage) and not self._usage.fresh:
            raise Undecidable(_USE_UNKNOWN)
        if limited and (late := self._limited(asked)):
            return late
        decided = _with_approval(together(await self._judged(asked, situation)), asked.approved)
        if not decided.verdict.allowed:
            return decided
        # Meanwhile others may have passed, and what is known may have grown old.
        if (limited or by_usage) and not self._usage.fresh:
            raise Undecidable(_USE_UNKNOWN)
        if limited and (late := self._limited(asked)):
            return late
        for _ in range(asked.counting):
            self._usage.count_call(asked.principal, asked.target.name, situation.time_us)
        return decided

    async def decide_again(
        self,
        in_force: InForce,
        target: Target,
        principal: Principal,
        calls: Sequence[Call],
        situation: Situation,
        size_bytes: int,
    ) -> list[Decision]:
        """Decide about calls that were let pass, and counted, with other arguments. Raises ``Undecidable``."""
        asked = _Asked(in_force, target, principal, calls, situation, size_bytes)
        if asked.by_usage and not self._usage.fresh:
            raise Undecidable(_USE_UNKNOWN)
        used = self._usage.of(principal, target.name, situation.time_us)
        return await self._judged(asked, replace(situation, usage=used.after(-asked.counting)))

    async def _judged(self, asked: _Asked, situation: Situation) -> list[Decision]:
        def judge() -> list[Decision]:
            # The calls of a batch count one after the other.
            ahead = accumulate((not is_connection(call.method) for call in asked.calls), initial=0)
            return [
                self._one(asked, call, _after(situation, before))
                for call, before in zip(asked.calls, ahead, strict=False)
            ]

        return await self._aside.run(asked.size_bytes, judge)

    def _limited(self, asked: _Asked) -> Decided | None:
        principal, target, now_us, more = asked.principal, asked.target.name, asked.situation.time_us, asked.counting
        limits = asked.in_force.limits
        reached = limits.exceeded(principal, target, self._usage.of(principal, target, now_us), more=more)
        if not reached:
            return None
        limit = next((one for one in reached if more > one.calls), reached[0])
        reason = describe(limit, more=more)
        message = f"Too many calls: {reason}."
        denied = Decision(Outcome.DENY, (limit.name,), (), reason, message, asked.in_force.config.version)
        if more > limit.calls:
            # No waiting helps, so nobody is told to wait.
            return Decided((denied,) * len(asked.calls), denied)
        # Who comes back when one of them lets it pass must not run into another.
        wait_s = max(
            retry_after_s(one, self._usage.departures(principal, target, one.window, now_us), more=more)
            for one in reached
        )
        return Decided((denied,) * len(asked.calls), denied, wait_s)

    def _one(self, asked: _Asked, call: Call, situation: Situation) -> Decision:
        decision = asked.in_force.policy.decide(asked.principal, call, situation)
        if decision.outcome is not Outcome.DENY:
            decision = self._unless_pending(asked.target, call, decision)
        trial = asked.in_force.trial
        if trial is None:
            return decision
        return replace(decision, shadow=trial.decide(asked.principal, call, situation))

    def _unless_pending(self, target: Target, call: Call, decision: Decision) -> Decision:
        """Deny a tool that is not what was accepted, whatever the rules say: they were written for another one."""
        if call.name_kind is not NameKind.TOOL:
            return decision
        state = self._tools.state(target.name, call.name)
        if state is PinState.UNKNOWN:
            raise Undecidable("what the target's tools were accepted to be is not known")
        pending = _PENDING.get(state)
        if pending is None or (target.new_tools is NewTools.ALLOW and state in _WHATEVER_IS_NEW):
            return decision
        message = f"This call is not possible: {pending}."
        return Decision(Outcome.DENY, (), (), pending, message, decision.policy_version)


def _after(situation: Situation, calls: int) -> Situation:
    return replace(situation, usage=situation.usage.after(calls)) if calls else situation


def _with_approval(decided: Decided, approved: Decision | None) -> Decided:
    """Let pass what people agreed to: their agreement is to these rules' question, and to no other's."""
    verdict = decided.verdict
    if approved is None or verdict.outcome is not Outcome.APPROVE:
        return decided
    if (verdict.rules, verdict.glass, verdict.policy_version) != (
        approved.rules,
        approved.glass,
        approved.policy_version,
    ):
        return decided
    passing = replace(verdict, outcome=Outcome.ALLOW, message="")
    return Decided((passing,), passing)


def together(decisions: Sequence[Decision]) -> Decided:
    """Return what becomes of a batch, which is one unit of bytes: when any of its calls is denied, none is sent.

    Nobody can be asked about a batch: one that holds a call that needs approval is denied.
    """
    verdict = next((decision for decision in decisions if decision.outcome is Outcome.DENY), None)
    waiting = next((decision for decision in decisions if not decision.allowed), None)
    if verdict is None and waiting is not None:
        if len(decisions) == 1:
            return Decided(tuple(decisions), waiting)
        verdict = replace(waiting, outcome=Outcome.DENY, masks=(), unmask=False, message=f"{waiting.message} {_ALONE}")
    if verdict is None:
        return Decided(tuple(decisions), decisions[0])
    return Decided(tuple(_kept_back(decision, verdict) for decision in decisions), verdict)


def _kept_back(decision: Decision, verdict: Decision) -> Decision:
    """Return what to record of a call whose batch is not sent: the record must not say that it was allowed to run."""
    if decision.outcome is Outcome.DENY:
        return decision
    reason = "another message of the same batch was denied, so none was sent"
    if decision.outcome is Outcome.APPROVE:
        reason = "nobody can be asked about a call in a batch"
    return replace(decision, outcome=Outcome.DENY, rules=verdict.rules, masks=(), reason=reason, unmask=False, glass=())
