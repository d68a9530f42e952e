"""What must happen before a call may run, as the rules say that asked for approval. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from countersign.model.approval import BreakGlass, Requirement
from countersign.model.decision import Decision
from countersign.model.rule import Rule

_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Terms:
    """The demands of all rules together; times in microseconds.

    ``closed`` says that nobody may agree now, and when they may; empty while somebody may.
    """

    requirements: tuple[Requirement, ...]
    glass: tuple[BreakGlass, ...]
    within_us: int
    reuse_us: int
    closed: str = ""


class NoTerms(LookupError):
    """A rule asks for approval and does not say whose: what nobody can agree to is denied."""


def terms_of(decision: Decision, rules: Mapping[str, Rule], now_us: int) -> Terms:
    """Return what the rules of a decision ask for: the strictest of each, by all of them. Raises ``NoTerms``."""
    asking = [(name, rules[name].by) for name in decision.rules if name in rules]
    breaking = [(name, rules[name].glass) for name in decision.glass if name in rules]
    approvers = [(name, by) for name, by in asking if by is not None]
    glass = [
        BreakGlass(name, one.alert, one.reuse_s * _SECOND_US, one.within_s * _SECOND_US)
        for name, one in breaking
        if one is not None
    ]
    if len(approvers) != len(decision.rules) or not (approvers or glass):
        raise NoTerms("a rule wants approval, and nobody is named who could give it")
    requirements = tuple(
        Requirement(name, by.groups, by.count, by.note_required, by.window.text if by.window is not None else "")
        for name, by in approvers
    )
    within = [by.within_s * _SECOND_US for _, by in approvers] or [one.within_us for one in glass]
    reuse = [by.reuse_s * _SECOND_US for _, by in approvers]
    shut = [by.window.text for _, by in approvers if by.window is not None and not by.window.is_open(now_us)]
    return Terms(
        requirements=requirements,
        glass=tuple(glass),
        within_us=min(within),
        reuse_us=min(reuse, default=0),
        # Breaking the glass is for when nobody else is there.
        closed="" if glass else " and ".join(shut),
    )


def policy_of(decision: Decision) -> str:
    """Return what tells the question of these rules from every other question about the same call."""
    return json.dumps([decision.policy_version, decision.rules, decision.glass])
