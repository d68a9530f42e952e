"""What masking yields, and the one way in which it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from countersign.masking.replacements import Replacement
from countersign.model.event import Finding


class NotMaskable(ValueError):
    """It cannot be promised that nothing is left in these bytes: they must not be passed on.

    ``reason`` says why, and never quotes what was looked at.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


FIELDS = "fields"
"""What stands for a detector's name where a mask's ``fields`` selected a value."""

NAMED = "its name is one of the mask's fields"
"""Why a value that ``fields`` selected is masked."""


@dataclass(frozen=True, slots=True)
class Masked:
    """Bytes that may be released, and where something was replaced in them."""

    data: bytes
    findings: tuple[Finding, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything was replaced; if not, ``data`` is what was given."""
        return bool(self.findings)


class Span(NamedTuple):
    """A stretch of a leaf's decoded value (code points, end exclusive) and what to put in its place.

    ``detector`` and ``why`` say what gave it away, in words that do not depend on the value.
    """

    start: int
    end: int
    label: str
    replacement: Replacement
    detector: str = FIELDS
    why: str = NAMED


def merge(spans: list[Span]) -> list[Span]:
    """Unite spans that overlap, in order; each union takes the label of its longest part, the earliest of equals."""
    if len(spans) == 1:
        return spans
    merged: list[Span] = []
    longest = 0
    for span in sorted(spans, key=lambda item: (item.start, -item.end)):
        if merged and span.start < merged[-1].end:
            last = merged[-1]
            length = span.end - span.start
            if length > longest:
                longest = length
                last = span._replace(start=last.start, end=last.end)
            merged[-1] = last._replace(end=max(last.end, span.end))
        else:
            longest = span.end - span.start
            merged.append(span)
    return merged
