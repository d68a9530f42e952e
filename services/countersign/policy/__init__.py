"""Rules, applied: a call, its principal and its situation in, a decision out. Pure: no I/O, no clock, no state."""

from countersign.policy.conditions import VOCABULARY, Condition, Vocabulary, compile_condition, relations_named
from countersign.policy.constraints import check_args
from countersign.policy.errors import BadCondition, BadConstraint, BadRule
from countersign.policy.explanation import Explanation, RuleTrace
from countersign.policy.policy import NAME_LIMIT, Policy

__all__ = [
    "NAME_LIMIT",
    "VOCABULARY",
    "BadCondition",
    "BadConstraint",
    "BadRule",
    "Condition",
    "Explanation",
    "Policy",
    "RuleTrace",
    "Vocabulary",
    "check_args",
    "compile_condition",
    "relations_named",
]
