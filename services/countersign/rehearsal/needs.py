"""What must happen before a call may run that waits for people, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from countersign.model.decision import Decision, Outcome
from countersign.model.rule import Approvers, Glass, Rule

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def needs(decision: Decision, rules: Mapping[str, Rule]) -> tuple[str, ...]:
    """One line for each rule that asks, such as ``2 of data-owners within 15 min ("exports")``, then for each glass.

    Nothing for a call that waits for nobody. ``rules`` are those that decided, by their names.
    """
    return tuple(_lines(decision, rules)) if decision.outcome is Outcome.APPROVE else ()


def _lines(decision: Decision, rules: Mapping[str, Rule]) -> Iterator[str]:
    for name in decision.rules:
        by = rules[name].by if name in rules else None
        yield f'{"somebody" if by is None else _asked(by)} ("{name}")'
    for name in decision.glass:
        glass = rules[name].glass if name in rules else None
        alone = "its caller alone, with a reason"
        alone += "" if glass is None else _broken(glass)
        yield f'{"or " if decision.rules else ""}{alone} ("{name}")'


def _asked(by: Approvers) -> str:
    words = [f"{by.count} of {' or '.join(by.groups)} within {_duration(by.within_s)}"]
    if by.window is not None:
        words.append(by.window.text)
    if by.note_required:
        words.append("each with a note")
    return ", ".join(words) + _reused(by.reuse_s)


def _broken(glass: Glass) -> str:
    told = f", which alerts {' and '.join(glass.alert)}" if glass.alert else ""
    return f" within {_duration(glass.within_s)}{told}{_reused(glass.reuse_s)}"


def _reused(seconds: int) -> str:
    return f", then as often as asked for {_duration(seconds)}" if seconds else ""


def _duration(seconds: int) -> str:
    size, unit = next(each for each in _UNITS if seconds % each[0] == 0)
    return f"{seconds // size} {unit}"
