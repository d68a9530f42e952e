"""Narrower rules put in place of a file's, loaded as the gateway would, and tried on all that passed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from countersign.config import ConfigRefused, GatewayConfig
from countersign.config import document as documents
from countersign.config.document import Plain
from countersign.config.load import parse
from countersign.config.problem import Problems
from countersign.model.decision import Outcome
from countersign.rehearsal.backtest import Backtest, Effect
from countersign.rehearsal.record import RecordedAnswer, RecordedCall
from countersign.rehearsal.ruling import Ruling
from countersign.review.narrowing import Advice, Narrowing
from countersign.review.yaml_text import flow, rules_yaml


class NotNarrowed(ValueError):
    """No narrower rules can be told; the message says why."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """Narrower rules: what becomes of each, their text, and the file that they make."""

    advice: tuple[Advice, ...]
    yaml: str
    config: GatewayConfig


@dataclass(frozen=True, slots=True)
class Proof:
    """How calls that passed were judged again: none of them may change.

    ``set_aside`` could not be judged, because their arguments are not on record and have a say.
    """

    judged: int
    changed: int
    denied: int
    set_aside: int
    on_masked_arguments: int


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A gateway.yaml: where it is, its bytes, and what it says."""

    path: Path
    data: bytes
    config: GatewayConfig

    def rules(self) -> list[Plain]:
        """The rules as they stand in the file."""
        plain = _plain(self.data.decode())
        rules = plain.get("rules")
        assert isinstance(rules, list)
        return rules

    def with_rules(self, text: str) -> GatewayConfig:
        """What the file would say with the section ``rules:`` of ``text``. Raises ``ConfigRefused``."""
        document = _plain(self.data.decode()) | {"rules": _plain(text)["rules"]}
        return parse(flow(document).encode(), self.path, {}, frozenset())


def propose(policy: PolicyText, narrowing: Narrowing, heading: Sequence[str]) -> Proposal:
    """Work out narrower rules with which the file loads. Raises ``NotNarrowed``.

    A rule that the file would not load with is left as it stands.
    """
    for _ in range(len(policy.config.rules) + 1):
        advice = narrowing.advice()
        text = rules_yaml(advice, tuple(heading))
        if all(one.now is None for one in advice):
            raise NotNarrowed("no rule was needed at all: look whether the time, or the file, is the right one")
        try:
            return Proposal(tuple(advice), text, policy.with_rules(text))
        except ConfigRefused as refused:
            if not _keep_those_named(narrowing, advice, refused):
                raise NotNarrowed(f"narrower rules would not load: {refused.problems[0].what}") from None
    raise NotNarrowed("narrower rules would not load")


class Proving:
    """Judges all calls that passed, or waited for people, again: by the narrower rules and by the file as it stands.

    Takes the record in order, as ``Backtest`` does. What was denied is not judged: it must not widen rules.
    """

    def __init__(self, policy: GatewayConfig, narrower: GatewayConfig, since_us: int) -> None:
        self._backtest = Backtest(Ruling(narrower), Ruling(policy), since_us)

    def add(self, fact: RecordedCall | RecordedAnswer) -> None:
        """Take the next call or answer of the record."""
        if isinstance(fact, RecordedAnswer) or fact.decision.outcome in (Outcome.ALLOW, Outcome.APPROVE):
            self._backtest.add(fact)

    def proof(self) -> Proof:
        """What came of it."""
        found = self._backtest.findings()
        denied = sum(change.calls for change in found.changes if change.effect is Effect.DENIED)
        return Proof(
            judged=found.judged,
            changed=found.changed,
            denied=denied + found.changes_beyond,
            set_aside=sum(found.set_aside.values()),
            on_masked_arguments=found.on_masked_arguments,
        )


def _keep_those_named(narrowing: Narrowing, advice: Sequence[Advice], refused: ConfigRefused) -> bool:
    kept = False
    for problem in refused.problems:
        for one in advice:
            if f"`{one.rule}`" in problem.what:
                kept = narrowing.keep(one.rule, f"left as it stands: {problem.what}") or kept
    return kept


def _plain(text: str) -> dict[str, Plain]:
    problems = Problems("rules")
    root = documents.read(text, problems)
    plain = root.plain() if root is not None else None
    if problems or not isinstance(plain, dict):
        raise problems.refusal()
    return plain
