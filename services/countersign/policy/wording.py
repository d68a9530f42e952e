"""The sentences of a decision: ``reason`` for the record, ``message`` for the caller. Arguments never appear."""

from __future__ import annotations

from collections.abc import Sequence

from countersign.model.call import Call, NameKind
from countersign.model.principal import Principal
from countersign.model.rule import Rule

SHOWN = 120
"""Code points of a name or subject that a message shows; what is longer is cut."""


def allowed(allows: Sequence[Rule]) -> str:
    """The reason of an allowed call."""
    return f"allowed by {_quoted(allows)}"


def approvable(approves: Sequence[Rule], glasses: Sequence[Rule]) -> str:
    """The reason of a call that may pass once it is approved, or its caller breaks the glass."""
    parts = [f"needs approval by {_quoted(approves)}"] if approves else []
    if glasses:
        parts.append(f"its caller may break the glass by {_quoted(glasses)}")
    return "; ".join(parts)


def forbidden(denies: Sequence[Rule], failed: Sequence[tuple[Rule, str]]) -> str:
    """The reason of a call that rules deny, or that some could not be evaluated for."""
    parts = [f"denied by {_quoted(denies)}"] if denies else []
    for reason in sorted({why for _, why in failed}):
        rules = _quoted([rule for rule, why in failed if why == reason])
        parts.append(f"{rules} could not be evaluated ({reason})")
    return "; ".join(parts)


def unjudged(flaw: str) -> str:
    """The message of a call that cannot be judged."""
    return f"This call cannot be judged: {flaw}."


def unallowed(principal: Principal, call: Call) -> str:
    """The message of a call that no rule allows."""
    return f"No rule allows {_shown(principal.subject)} to call {_title(call)}."


def to_caller(denies: Sequence[Rule], failed: Sequence[tuple[Rule, str]], principal: Principal, call: Call) -> str:
    """The message of a call that rules deny: what they say themselves, or else a general sentence."""
    messages = sorted({rule.message for rule in denies if rule.message})
    if messages:
        return " ".join(messages)
    if not denies and failed:
        return f"A rule could not be evaluated for {_title(call)}, so it is denied."
    return f"The rules do not let {_shown(principal.subject)} call {_title(call)}."


def to_be_approved(approves: Sequence[Rule], principal: Principal, call: Call) -> str:
    """The message of a call that may pass once it is approved; or only if its caller breaks the glass."""
    if not approves:
        return f"No rule allows {_shown(principal.subject)} to call {_title(call)}, except by breaking the glass."
    return f"{_shown(principal.subject)} needs an approval to call {_title(call)}."


def _title(call: Call) -> str:
    # A resource's URI may hold a credential or personal data, so only names of tools and prompts are repeated.
    named = call.name_kind in (NameKind.TOOL, NameKind.PROMPT)
    return f"{_shown(call.method)}{' ' + _shown(call.name) if named else ''} on {_shown(call.target)}"


def _quoted(rules: Sequence[Rule]) -> str:
    return ", ".join(f'"{name}"' for name in sorted(rule.name for rule in rules))


def _shown(text: str) -> str:
    """Callers choose names: nothing in them may break a log line, a terminal or a page."""
    shown = text if len(text) <= SHOWN else text[:SHOWN] + "..."
    if shown.isprintable():
        return shown
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in shown)
