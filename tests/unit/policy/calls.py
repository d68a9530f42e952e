"""Calls, principals and rules, short to write."""

from __future__ import annotations

from countersign.model.call import Call, NameKind
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.rule import Effect, Rule, Selector
from countersign.model.situation import Situation

NOW = Situation(time_us=1_770_000_000_000_000, source_address="192.0.2.7")


def person(*groups: str, subject: str = "alice") -> Principal:
    return Principal("https://issuer.example", subject, groups, PrincipalKind.PERSON, "token-1")


def tool(name: str, target: str = "orders") -> Call:
    return Call(target, "tools/call", name, NameKind.TOOL)


def prompt(name: str, target: str = "orders") -> Call:
    return Call(target, "prompts/get", name, NameKind.PROMPT)


def resource(uri: str, method: str = "resources/read", target: str = "orders") -> Call:
    return Call(target, method, uri, NameKind.RESOURCE)


def allow(
    name: str = "allowed",
    *,
    groups: tuple[str, ...] = ("*",),
    targets: tuple[str, ...] | None = None,
    methods: tuple[str, ...] | None = None,
    tools: tuple[str, ...] | None = None,
    prompts: tuple[str, ...] | None = None,
    resources: tuple[str, ...] | None = None,
    masks: tuple[str, ...] = (),
) -> Rule:
    return Rule(name, Effect.ALLOW, Selector(groups, targets, methods, tools, prompts, resources), masks)


def deny(
    name: str = "denied",
    *,
    groups: tuple[str, ...] | None = None,
    targets: tuple[str, ...] | None = None,
    methods: tuple[str, ...] | None = None,
    tools: tuple[str, ...] | None = None,
    prompts: tuple[str, ...] | None = None,
    resources: tuple[str, ...] | None = None,
    message: str = "",
) -> Rule:
    return Rule(name, Effect.DENY, Selector(groups, targets, methods, tools, prompts, resources), (), message)
