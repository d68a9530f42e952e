"""Calls, principals and rules, short to write."""

from __future__ import annotations

import json
from typing import TypedDict

from typing_extensions import Unpack

from countersign.model.call import Call, NameKind
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.rule import ArgConstraint, Effect, Rule, Selector
from countersign.model.situation import Situation

NOW = Situation(time_us=1_770_000_000_000_000, source_address="192.0.2.7")


def person(*groups: str, subject: str = "alice", kind: PrincipalKind = PrincipalKind.PERSON) -> Principal:
    return Principal("https://issuer.example", subject, groups, kind, "token-1")


def tool(name: str, target: str = "orders", arguments: str = "") -> Call:
    """A call of a tool; ``arguments`` is JSON text."""
    params = f'{{"name": {json.dumps(name)}, "arguments": {arguments}}}' if arguments else ""
    return Call(target, "tools/call", name, NameKind.TOOL, params)


def prompt(name: str, target: str = "orders") -> Call:
    return Call(target, "prompts/get", name, NameKind.PROMPT)


def resource(uri: str, method: str = "resources/read", target: str = "orders") -> Call:
    return Call(target, method, uri, NameKind.RESOURCE)


class Fields(TypedDict, total=False):
    """What a rule may have beside its name and effect."""

    groups: tuple[str, ...] | None
    targets: tuple[str, ...] | None
    methods: tuple[str, ...] | None
    tools: tuple[str, ...] | None
    prompts: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    principals: tuple[str, ...] | None
    kinds: tuple[PrincipalKind, ...] | None
    masks: tuple[str, ...]
    message: str
    args: tuple[ArgConstraint, ...]
    when: str
    shadow: bool
    unmask_for: tuple[str, ...]


def allow(name: str = "allowed", **fields: Unpack[Fields]) -> Rule:
    """An allow rule for everyone, unless it says for whom."""
    return _rule(name, Effect.ALLOW, {"groups": ("*",), **fields})


def approve(name: str = "approved", **fields: Unpack[Fields]) -> Rule:
    """An approve rule for everyone, unless it says for whom."""
    return _rule(name, Effect.APPROVE, {"groups": ("*",), **fields})


def break_glass(name: str = "glass", **fields: Unpack[Fields]) -> Rule:
    """A break_glass rule for everyone, unless it says for whom."""
    return _rule(name, Effect.BREAK_GLASS, {"groups": ("*",), **fields})


def deny(name: str = "denied", **fields: Unpack[Fields]) -> Rule:
    """A deny rule."""
    return _rule(name, Effect.DENY, fields)


def _rule(name: str, effect: Effect, fields: Fields) -> Rule:
    selector = Selector(
        fields.get("groups"),
        fields.get("targets"),
        fields.get("methods"),
        fields.get("tools"),
        fields.get("prompts"),
        fields.get("resources"),
        fields.get("principals"),
        fields.get("kinds"),
    )
    return Rule(
        name,
        effect,
        selector,
        fields.get("masks", ()),
        fields.get("message", ""),
        fields.get("args", ()),
        fields.get("when", ""),
        fields.get("shadow", False),
        fields.get("unmask_for", ()),
    )
