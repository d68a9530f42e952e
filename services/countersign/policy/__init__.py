"""Rules, applied: a call and its principal in, a decision out. Pure: no I/O, no clock, no state."""

from countersign.policy.policy import NAME_LIMIT, Policy

__all__ = ["NAME_LIMIT", "Policy"]
