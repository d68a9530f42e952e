"""What was found, as text that machines read: JSON, and JUnit's XML. The same findings give the same bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as Xml

from countersign.model.decision import Decision
from countersign.policy import Explanation, RuleTrace
from countersign.rehearsal.backtest import Change, Effects, Findings, Ruled
from countersign.rehearsal.moments import write_moment
from countersign.rehearsal.testing import CaseResult

Json = Mapping[str, object]

# What XML 1.0 has no way to write (section 2.2).
_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A gateway.yaml as it was named, and its version."""

    file: str
    version: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a backtest was asked: ``baseline`` is ``None`` where it was compared with what was decided then."""

    candidate: PolicyFile
    baseline: PolicyFile | None
    since_us: int
    until_us: int
    target: str = ""
    subject: str = ""
    trial: bool = False
    masks_redefined: tuple[str, ...] = ()


def decision_json(decision: Decision, needs: Sequence[str] = ()) -> Json:
    """A decision, for people who read JSON; ``needs`` says who must agree first."""
    return {
        "outcome": decision.outcome.value,
        "rules": list(decision.rules),
        "break_glass": list(decision.glass),
        "needs": list(needs),
        "masks": list(decision.masks),
        "reason": decision.reason,
        "message": decision.message,
        "policy_version": decision.policy_version,
    }


def explanation_json(explanation: Explanation, needs: Sequence[str] = ()) -> Json:
    """A decision and what each rule made of the call."""
    decision = decision_json(explanation.decision, needs)
    return {"decision": decision, "rules": [_trace(trace) for trace in explanation.rules]}


def cases_json(results: Sequence[CaseResult], policy: PolicyFile) -> str:
    """The results of a file of cases."""
    report = {
        "policy": {"file": policy.file, "version": policy.version},
        "passed": sum(result.passed for result in results),
        "failed": sum(not result.passed for result in results),
        "cases": [_result(result) for result in results],
    }
    return json.dumps(report, indent=2)


def cases_junit(results: Sequence[CaseResult], file: str) -> str:
    """The results of a file of cases as JUnit's XML, which the reports of most CI systems read. Times are all 0."""
    failures = str(sum(not result.passed for result in results))
    counts = {"tests": str(len(results)), "failures": failures, "errors": "0", "skipped": "0", "time": "0"}
    suites = Xml.Element("testsuites", counts)
    suite = Xml.SubElement(suites, "testsuite", {"name": _xml(file), **counts})
    for result in results:
        named = {"name": _xml(result.case.name), "classname": _xml(file), "file": _xml(file)}
        case = Xml.SubElement(suite, "testcase", {**named, "line": str(result.case.line), "time": "0"})
        if not result.passed:
            said = "; ".join(f"{one.field}: expected {one.expected}, got {one.got}" for one in result.differences)
            failure = Xml.SubElement(case, "failure", {"message": _xml(said), "type": "mismatch"})
            failure.text = _xml("\n".join(failure_lines(result)))
    Xml.indent(suites)
    return Xml.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def failure_lines(result: CaseResult) -> list[str]:
    """What a failed case expected, what it got, and what the rules that tell made of it."""
    lines = []
    for difference in result.differences:
        lines += [f"- {difference.field}: {difference.expected}", f"+ {difference.field}: {difference.got}"]
    lines.append(f"because: {result.decision.reason}")
    lines += [f"needs: {line}" for line in result.needs]
    lines += [f'rule "{trace.name}" {said(trace)}' for trace in result.why]
    return lines


def said(trace: RuleTrace) -> str:
    """What a rule made of the call, in words."""
    if trace.error:
        return f"cannot be evaluated: {trace.error}"
    return "matches" if trace.matched else f"does not match: {trace.failed}"


def backtest_json(asked: Asked, findings: Findings, limit: int | None = None) -> str:
    """What a backtest found; ``limit`` bounds the changes that are told one by one."""
    shown = findings.changes if limit is None else findings.changes[:limit]
    baseline = asked.baseline
    report = {
        "candidate": {"file": asked.candidate.file, "version": asked.candidate.version, "trial": asked.trial},
        "compared_with": {"file": baseline.file, "version": baseline.version} if baseline else "the record",
        "since": write_moment(asked.since_us),
        "until": write_moment(asked.until_us),
        "target": asked.target,
        "subject": asked.subject,
        "calls": {
            "judged": findings.judged,
            "changed": findings.changed,
            "decided_alike_by_other_rules": findings.by_other_rules,
            "judged_on_masked_arguments": findings.on_masked_arguments,
            "set_aside": {aside.value: count for aside, count in findings.set_aside.items()},
        },
        "masks_redefined": list(asked.masks_redefined),
        "by_rule": [
            {"rule": rule, "was": share.was, "would_be": share.would_be} for rule, share in findings.by_rule.items()
        ],
        "by_principal": [
            {"subject": subject, "issuer": issuer, **_effects(effects)}
            for (subject, issuer), effects in findings.by_principal.items()
        ],
        "by_tool": [
            {"target": target, "method": method, "name": name, **_effects(effects)}
            for (target, method, name), effects in findings.by_tool.items()
        ],
        "changes": [_change(change) for change in shown],
        "changes_not_shown": len(findings.changes) - len(shown),
        "calls_of_changes_beyond_the_bound": findings.changes_beyond,
    }
    return json.dumps(report, indent=2)


def _trace(trace: RuleTrace) -> Json:
    return {
        "name": trace.name,
        "effect": trace.effect.value,
        "shadow": trace.shadow,
        "matched": trace.matched,
        "failed": trace.failed,
        "error": trace.error,
    }


def _result(result: CaseResult) -> Json:
    return {
        "name": result.case.name,
        "line": result.case.line,
        "passed": result.passed,
        "decision": decision_json(result.decision, result.needs),
        "differences": [{"field": one.field, "expected": one.expected, "got": one.got} for one in result.differences],
        "why": [_trace(trace) for trace in result.why],
    }


def _change(change: Change) -> Json:
    of = change.of
    return {
        "principal": {"subject": of.subject, "issuer": of.issuer},
        "target": of.target,
        "method": of.method,
        "name": of.name,
        "effect": change.effect.value,
        "was": _ruled(change.was),
        "would_be": _ruled(change.would_be),
        "calls": change.calls,
        "judged_on_masked_arguments": change.on_masked_arguments,
        "examples": change.examples,
    }


def _ruled(ruled: Ruled) -> Json:
    masks = None if ruled.masks is None else list(ruled.masks)
    return {
        "outcome": ruled.outcome,
        "rules": list(ruled.rules),
        "break_glass": list(ruled.glass),
        "needs": list(ruled.needs),
        "masks": masks,
        "reason": ruled.reason,
    }


def _effects(effects: Effects) -> dict[str, int]:
    return {effect.value: count for effect, count in effects.counts.items()}


def _xml(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
