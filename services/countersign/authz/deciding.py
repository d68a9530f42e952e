"""What becomes of each message of a request: its caller's limits, its tool, the rules, and the rules on trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from countersign.config import NewTools, Target
from countersign.model.call import Call, NameKind
from countersign.model.decision import Decision, Outcome
from countersign.model.methods import is_connection
from countersign.model.principal import Principal
from countersign.model.rule import RateLimit
from countersign.model.situation import Situation
from countersign.policy.rates import describe, retry_after_s
from countersign.runtime.pins import PinState
from countersign.runtime.rulebook import InForce
from countersign.runtime.usage import UsageSource

_PENDING = {
    PinState.NEW: "the tool is new at its target, and no operator has accepted it yet",
    PinState.CHANGED: "the tool changed at its target, and no operator has accepted that yet",
    PinState.UNLISTED: "the target does not list such a tool",
}


class ToolStates(Protocol):
    """What is known of the tools of targets; see ``runtime.pins.PinnedTools``."""

    def state(self, target: str, tool: str) -> PinState:
        """Say how a tool stands now."""


class Undecidable(Exception):
    """What a decision depends on is not known now; the message is safe to show."""


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision for each message. ``verdict`` is what becomes of them all, as they are one unit of bytes.

    ``retry_after_s`` is not 0 when it is a rate limit that denies.
    """

    decisions: tuple[Decision, ...]
    verdict: Decision
    retry_after_s: int = 0


class Decider:
    """Decides, and counts the calls that it lets pass: without waiting, so that no two calls can pass on one count."""

    def __init__(self, tools: ToolStates, usage: UsageSource) -> None:
        self._tools = tools
        self._usage = usage

    def decide(
        self, in_force: InForce, target: Target, principal: Principal, calls: Sequence[Call], situation: Situation
    ) -> Decided:
        """Decide about the calls of one request. ``situation`` comes without usage. Raises ``Undecidable``."""
        working = sum(not is_connection(call.method) for call in calls)
        if working and (in_force.asks_usage or in_force.limits.bind(principal, target.name)):
            if not self._usage.fresh:
                raise Undecidable("what was used before is not known")
            now_us = situation.time_us
            situation = replace(situation, usage=self._usage.of(principal, target.name, now_us))
            limit = in_force.limits.exceeded(principal, target.name, situation.usage, more=working)
            if limit is not None:
                denied = _limited(in_force, limit)
                leaving = self._usage.departures(principal, target.name, limit.window, now_us)
                return Decided((denied,) * len(calls), denied, retry_after_s(limit, leaving, more=working))
        decided = _together([self._one(in_force, target, principal, call, situation) for call in calls])
        if decided.verdict.allowed:
            for _ in range(working):
                self._usage.count_call(principal, target.name, situation.time_us)
        return decided

    def _one(
        self, in_force: InForce, target: Target, principal: Principal, call: Call, situation: Situation
    ) -> Decision:
        decision = in_force.policy.decide(principal, call, situation)
        if decision.outcome is not Outcome.DENY:
            decision = _until_approvals(self._unless_pending(target, call, decision))
        if in_force.trial is None:
            return decision
        return replace(decision, shadow=in_force.trial.decide(principal, call, situation))

    def _unless_pending(self, target: Target, call: Call, decision: Decision) -> Decision:
        """Deny a tool that is not what was accepted, whatever the rules say: they were written for another one."""
        if call.name_kind is not NameKind.TOOL:
            return decision
        state = self._tools.state(target.name, call.name)
        if state is PinState.UNKNOWN:
            raise Undecidable("what the target's tools were accepted to be is not known")
        pending = _PENDING.get(state)
        if pending is None or target.new_tools is NewTools.ALLOW:
            return decision
        message = f"This call is not possible: {pending}."
        return Decision(Outcome.DENY, (), (), pending, message, decision.policy_version)


def _limited(in_force: InForce, limit: RateLimit) -> Decision:
    reason = describe(limit)
    message = f"Too many calls: {reason}."
    return Decision(Outcome.DENY, (limit.name,), (), reason, message, in_force.config.version)


def _until_approvals(decision: Decision) -> Decision:
    """Deny what needs approval: nobody can be asked yet."""
    if decision.outcome is not Outcome.APPROVE:
        return decision
    message = f"{decision.message} This version of the gateway cannot ask for one yet."
    return replace(decision, outcome=Outcome.DENY, masks=(), message=message)


def _together(decisions: Sequence[Decision]) -> Decided:
    """A batch is one unit of bytes: when any of its calls is denied, none of them is sent."""
    verdict = next((decision for decision in decisions if not decision.allowed), decisions[0])
    if verdict.allowed:
        return Decided(tuple(decisions), verdict)
    return Decided(tuple(_kept_back(decision, verdict) for decision in decisions), verdict)


def _kept_back(decision: Decision, verdict: Decision) -> Decision:
    """Return what to record of a call whose batch is not sent: the record must not say that it was allowed to run."""
    if not decision.allowed:
        return decision
    reason = "another message of the same batch was denied, so none was sent"
    return replace(decision, outcome=Outcome.DENY, rules=verdict.rules, masks=(), reason=reason)
