"""Running test cases: what should have become of each call, what did, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from countersign.model.decision import Decision, Outcome
from countersign.policy import RuleTrace
from countersign.rehearsal.cases import Case
from countersign.rehearsal.ruling import Ruling


@dataclass(frozen=True, slots=True)
class Difference:
    """What of a decision is not as expected: ``outcome``, ``rules``, ``break_glass`` or ``masks``."""

    field: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of a case, and who must agree first. ``why`` are the rules that tell, when it failed."""

    case: Case
    decision: Decision
    differences: tuple[Difference, ...]
    why: tuple[RuleTrace, ...]
    needs: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all is as expected."""
        return not self.differences


def run(cases: Iterable[Case], ruling: Ruling) -> tuple[CaseResult, ...]:
    """Judge the calls of all cases, in order."""
    return tuple(_run(case, ruling) for case in cases)


def _run(case: Case, ruling: Ruling) -> CaseResult:
    decision = ruling.decide(case.principal, case.call, case.situation)
    differences = tuple(_differences(case, decision))
    needs = ruling.needs(decision)
    if not differences:
        return CaseResult(case, decision, (), (), needs)
    expected = case.expected
    named = {*decision.rules, *decision.glass, *(expected.rules or ()), *(expected.glass or ())}
    traces = ruling.explain(case.principal, case.call, case.situation).rules
    # Without a name to look for, what any rule lacked may be what its author overlooked.
    why = tuple(trace for trace in traces if trace.name in named or not named)
    return CaseResult(case, decision, differences, why, needs)


def _differences(case: Case, decision: Decision) -> Iterable[Difference]:
    expected = case.expected
    if decision.outcome is not expected.outcome:
        yield Difference("outcome", expected.outcome.value, decision.outcome.value)
    if expected.rules is not None and expected.rules != decision.rules:
        yield Difference("rules", _listed(expected.rules), _listed(decision.rules))
    if expected.glass is not None and expected.glass != decision.glass:
        yield Difference("break_glass", _listed(expected.glass), _listed(decision.glass))
    # Where a call that should pass is denied, that its masks are gone, too, says nothing more.
    if expected.masks is not None and expected.masks != decision.masks and decision.outcome is not Outcome.DENY:
        yield Difference("masks", _listed(expected.masks), _listed(decision.masks))


def _listed(names: Iterable[str]) -> str:
    return "[" + ", ".join(names) + "]"
