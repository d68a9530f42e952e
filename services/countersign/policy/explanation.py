"""Why a call is decided as it is: every rule, and what of it did not match. For the desk of an operator."""

from __future__ import annotations

from dataclasses import dataclass

from countersign.model.decision import Decision
from countersign.model.rule import Effect


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """What one rule made of the call.

    ``matched`` says whether it selects the call. ``failed`` is the first thing that did not match, for a person to
    read; ``error`` says why the rule could not be evaluated, which denies the call. Both may show arguments. A
    ``shadow`` rule is traced, but takes no part unless the policy is on trial.
    """

    name: str
    effect: Effect
    shadow: bool
    matched: bool
    failed: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision, and the trace of every rule in the order of the file."""

    decision: Decision
    rules: tuple[RuleTrace, ...]
