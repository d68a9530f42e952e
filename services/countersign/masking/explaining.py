"""Which stretches of a text were replaced, by which detector, and why: for people who try masks out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from countersign.jsontext import Edit
from countersign.masking.result import Span


@dataclass(frozen=True, slots=True)
class Located:
    """One stretch of a text that was replaced (code points of the text as it was, end exclusive).

    ``detector`` is a name that ``detect`` may hold, or ``fields``; ``why`` holds nothing of the text.
    """

    start: int
    end: int
    label: str
    detector: str
    why: str


@dataclass(frozen=True, slots=True)
class Explained:
    """A masked text, and what was replaced in it, in the order of the text."""

    text: str
    found: tuple[Located, ...]


def located(edits: Iterable[Edit]) -> tuple[Located, ...]:
    """Say what was replaced by edits whose origins are spans; one that only keeps keys apart is no finding."""
    return tuple(
        Located(edit.start, edit.end, edit.origin.label, edit.origin.detector, edit.origin.why)
        for edit in sorted(edits, key=lambda edit: edit.start)
        if isinstance(edit.origin, Span)
    )
