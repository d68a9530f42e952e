"""One gateway.yaml as a judge of calls that are not under way: its targets, its rate limits, its rules."""

from __future__ import annotations

from collections.abc import Mapping

from countersign.config import GatewayConfig
from countersign.model.call import Call
from countersign.model.decision import Decision, Outcome
from countersign.model.methods import is_connection
from countersign.model.principal import Principal
from countersign.model.rule import Mask, OwnDetector, Rule
from countersign.model.situation import Situation
from countersign.policy import Explanation, Policy, RuleTrace, compile_condition
from countersign.policy.rates import RateLimits, describe
from countersign.rehearsal.needs import needs

# How the failure of an argument or of a condition begins, in contrast to that of a selector.
_PAST_SELECTION = ("args", "when")


class Ruling:
    """Judges as the gateway would with this file in force: first the rate limits, then the rules.

    With ``trial`` the rules on trial are judged by: those of the file's candidate, or its own in ``mode: shadow``, too.
    What is not in the file has no say: whether a target's tool is accepted, whether a batch held another call back.
    """

    def __init__(self, config: GatewayConfig, *, trial: bool = False) -> None:
        candidate = config.candidate if trial else None
        rules = candidate.rules if candidate else config.rules
        self.version = candidate.version if candidate else config.version
        self.masks: Mapping[str, Mask] = candidate.masks if candidate else config.masks
        self.detectors: Mapping[str, OwnDetector] = candidate.detectors if candidate else config.detectors
        self.targets = frozenset(config.targets)
        self.needs_usage = bool(config.rate_limits) or any(_reads(rule, "usage") for rule in rules)
        self._limits = RateLimits(config.rate_limits)
        self._policy = Policy(rules, version=self.version, trial=trial)
        self._rules = {rule.name: rule for rule in rules}
        self.names = frozenset(self._rules) | {limit.name for limit in config.rate_limits}
        self._with_arguments = frozenset(rule.name for rule in rules if rule.args or _reads(rule, "args"))

    def decide(self, principal: Principal, call: Call, situation: Situation) -> Decision:
        """Judge one call; the outcome is allow, deny or approve."""
        return self._before_rules(principal, call, situation) or self._policy.decide(principal, call, situation)

    def explain(self, principal: Principal, call: Call, situation: Situation) -> Explanation:
        """Judge one call, and say of every rule what it made of it; may show arguments."""
        told = self._policy.explain(principal, call, situation)
        earlier = self._before_rules(principal, call, situation)
        return Explanation(earlier, told.rules) if earlier else told

    def needs(self, decision: Decision) -> tuple[str, ...]:
        """Say who must agree before a call may run that was so decided here; nothing when nobody must."""
        return needs(decision, self._rules)

    def asks_arguments(self, principal: Principal, call: Call, situation: Situation) -> bool:
        """Whether the arguments of the call have a say in how it is judged."""
        if not self._with_arguments:
            return False
        return any(self._asked(trace) for trace in self._policy.explain(principal, call, situation).rules)

    def _asked(self, trace: RuleTrace) -> bool:
        if trace.name not in self._with_arguments:
            return False
        return trace.matched or bool(trace.error) or trace.failed.startswith(_PAST_SELECTION)

    def _before_rules(self, principal: Principal, call: Call, situation: Situation) -> Decision | None:
        if call.target not in self.targets:
            return self._denied((), "the file has no such target")
        if is_connection(call.method):
            return None
        reached = self._limits.exceeded(principal, call.target, situation.usage)
        return self._denied((reached[0].name,), describe(reached[0])) if reached else None

    def _denied(self, rules: tuple[str, ...], reason: str) -> Decision:
        return Decision(Outcome.DENY, rules, (), reason, "", self.version)


def _reads(rule: Rule, variable: str) -> bool:
    return bool(rule.when) and variable in compile_condition(rule.when).reads
