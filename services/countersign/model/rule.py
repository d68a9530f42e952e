"""One entry of ``rules:`` and one of ``masks:``, as gateway.yaml states them, checked but not yet compiled."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

DETECTORS = ("secrets", "email", "credit_card", "us_ssn")
"""The names that ``masks.*.detect`` may hold; the masking room must know each of them, and no other."""


class Effect(StrEnum):
    """What a rule does with the calls that it selects."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Selector:
    """Which calls a rule is about: every field that is not ``None`` must match; entries are globs (``*``, ``?``).

    ``tools``, ``prompts`` and ``resources`` name what may be called; a rule that gives any of them selects only calls
    of those kinds. ``methods`` are JSON-RPC methods. ``groups`` matches when the principal is in any of them;
    ``["*"]`` means every verified principal.
    """

    groups: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None
    methods: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    prompts: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rule. ``masks`` are names under ``masks:``; ``message`` is shown to a caller whom the rule denies."""

    name: str
    effect: Effect
    selector: Selector
    masks: tuple[str, ...] = ()
    message: str = ""


@dataclass(frozen=True, slots=True)
class Mask:
    """A named set of detectors and fields, and what to put in place of what they find.

    ``fields`` select values by key in JSON: ``ssn`` the key anywhere, ``*.card`` and ``customer.*.card`` the end of a
    path of keys (array positions do not count; ``*`` is one whole key). ``replace`` may hold ``{label}``.
    """

    name: str
    detectors: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    replace: str = "[{label}]"
