"""The gateway that the suite goes through: every kind of rule, masks on all that passes, recording required."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.conformance.reference import RunningReference
from tests.support.gateway import Setup, Upstream

PERSON = "alice"

# Nothing that the scenarios send or get is anybody's: what these find would be found by mistake.
MASKS: Mapping[str, object] = {
    "pii": {"detect": ["pii"], "fields": ["ssn"], "replace": "[{label}]"},
    "secrets": {"detect": ["secrets"]},
}
_MASKED = {"mask": ["secrets", "pii"]}
RULES: tuple[Mapping[str, object], ...] = (
    {"name": "tools", "allow": {"groups": ["analysts"], "tools": ["*"]}, **_MASKED},
    {"name": "prompts", "allow": {"groups": ["analysts"], "prompts": ["*"]}, **_MASKED},
    {"name": "resources", "allow": {"groups": ["analysts"], "resources": ["test://*"]}, **_MASKED},
    # What no server knows, servers are asked about, too: the refusal must be theirs.
    {"name": "more", "allow": {"groups": ["analysts"], "methods": ["tasks/*", "unknown/*"]}, **_MASKED},
    {"name": "no exports", "deny": {"targets": ["*"], "tools": ["export_*"]}, "message": "Not here."},
    {
        "name": "small only",
        "deny": {"targets": ["*"], "tools": ["test_simple_text"]},
        "when": "has(args.size) && args.size > 10",
    },
)

_REQUESTS: Mapping[str, object] = {"refuse": ["secrets"]}


def setup(issuer: str, references: Iterable[RunningReference]) -> Setup:
    """gateway.yaml, with each reference server as a target of its name."""
    # Scenarios ask for pictures and sounds, which nothing can mask: whoever wants them says so.
    targets = {
        each.name: Upstream(each.url, extra={"binary": "pass", "mask_request": _REQUESTS}) for each in references
    }
    return Setup(issuer, targets, RULES, MASKS)
