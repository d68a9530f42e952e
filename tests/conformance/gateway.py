"""The gateway that the suite goes through: rules of each kind, masks on all that passes, recording required."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.conformance.client import Passage
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
    {"name": "resources", "allow": {"groups": ["analysts"], "resources": ["*"]}, **_MASKED},
    # What no server knows, servers are asked about, too: the refusal must be theirs.
    {"name": "more", "allow": {"groups": ["analysts"], "methods": ["tasks/*", "unknown/*"]}, **_MASKED},
    {"name": "wipes wait", "approve": {"groups": ["analysts"], "tools": ["wipe_*"]}, "by": {"groups": ["owners"]}},
    {"name": "no exports", "deny": {"targets": ["*"], "tools": ["export_*"]}, "message": "Not here."},
    {
        "name": "small only",
        "deny": {"targets": ["*"], "tools": ["test_simple_text"]},
        "when": "has(args.size) && args.size > 10",
    },
)


def setup(issuer: str, references: Iterable[RunningReference], passages: Iterable[Passage] = ()) -> Setup:
    """gateway.yaml, with each reference server as a target of its name, and one for each passage."""
    urls = {each.name: each.url for each in references} | {each.target: each.url for each in passages}
    # Scenarios ask for pictures and sounds, which nothing can mask: whoever wants them says so.
    extra: Mapping[str, object] = {"binary": "pass", "mask_request": {"refuse": ["secrets"]}}
    return Setup(issuer, {name: Upstream(url, extra=extra) for name, url in urls.items()}, RULES, MASKS)
