"""Gateway files, recorded calls and answers, short to write."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from countersign.config import GatewayConfig, load
from countersign.model.decision import Decision, Outcome
from countersign.model.event import Finding
from countersign.rehearsal.record import RecordedAnswer, RecordedCall, recorded_call
from countersign.rehearsal.ruling import Ruling
from tests.support.events import ALICE, START_US

Rule = dict[str, object]

READ: Rule = {
    "name": "analysts read",
    "allow": {"groups": ["analysts"], "targets": ["orders"], "tools": ["query", "list_*"]},
    "mask": ["pii"],
}
NO_EXPORTS: Rule = {"name": "no exports", "deny": {"tools": ["export_*"]}}
MASKS = {"pii": {"detect": ["email"]}, "secrets": {"detect": ["secrets"]}}


def write(folder: Path, *rules: Rule, name: str = "gateway.yaml", **extra: object) -> Path:
    """Write a gateway.yaml with these rules (JSON is YAML)."""
    document = {
        "version": 1,
        "gateway": {"url": "https://gateway.example"},
        "identity": {"oidc": [{"issuer": ALICE.issuer}, {"issuer": "https://other.example"}]},
        "targets": {"orders": {"mcp": "https://orders.example/mcp"}, "stock": {"mcp": "https://stock.example/mcp"}},
        "rules": list(rules or (READ, NO_EXPORTS)),
        "masks": MASKS,
        **extra,
    }
    path = folder / name
    path.write_text(json.dumps(document, indent=1))
    return path


def config(folder: Path, *rules: Rule, name: str = "gateway.yaml", **extra: object) -> GatewayConfig:
    """Load such a file."""
    return load(write(folder, *rules, name=name, **extra), {})


def ruling(folder: Path, *rules: Rule, name: str = "gateway.yaml", trial: bool = False, **extra: object) -> Ruling:
    """The ruling of such a file."""
    return Ruling(config(folder, *rules, name=name, **extra), trial=trial)


def decided(outcome: Outcome, *rules: str, masks: tuple[str, ...] = (), reason: str = "") -> Decision:
    """A decision of the record."""
    return Decision(outcome, rules, masks, reason or "no rule allows it", "", "v0")


ALLOWED = decided(Outcome.ALLOW, "analysts read", masks=("pii",))


def call(
    tool: str = "query",
    arguments: dict[str, object] | None = None,
    *,
    index: int = 0,
    after_us: int = 0,
    decision: Decision = ALLOWED,
    findings: tuple[Finding, ...] = (),
    subject: str = "alice",
    complete: bool = True,
) -> RecordedCall:
    """A recorded call of a tool at orders."""
    params = json.dumps({"name": tool, "arguments": arguments or {}})
    return RecordedCall(
        index=index,
        event_id=f"event-{index}",
        session_id="session",
        call_id=f"call-{index}",
        time_us=START_US + after_us,
        source_address="192.0.2.7",
        principal=replace(ALICE, subject=subject),
        call=recorded_call("orders", "tools/call", tool, params),
        decision=decision,
        findings=findings,
        complete=complete,
    )


def answer(rows: int, size_bytes: int = 0, *, index: int = 0, after_us: int = 0) -> RecordedAnswer:
    """What is told of an answer to alice."""
    return RecordedAnswer(index, START_US + after_us, ALICE.issuer, "alice", "orders", rows, size_bytes)
