"""From many places to a list of findings that stays short."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable

from countersign.model.event import Finding

MOST_PLACES = 50
_POSITION = re.compile(r"\[[0-9]+\]")


def summarise(found: Iterable[tuple[str, str]]) -> tuple[Finding, ...]:
    """Count label and place pairs, in the order given.

    Over :data:`MOST_PLACES`, positions in arrays become ``[*]``; if that is still too many, only labels are counted.
    """
    return _counted((label, place, 1) for label, place in found)


def bounded(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Shorten a list of findings likewise."""
    return _counted((finding.label, finding.place, finding.count) for finding in findings)


_SHORTER: tuple[Callable[[str], str], ...] = (
    lambda place: place,
    lambda place: _POSITION.sub("[*]", place),
    lambda _: "",
)


def _counted(found: Iterable[tuple[str, str, int]]) -> tuple[Finding, ...]:
    """Count, and shorten as soon as there are too many: so no more places are held than are told."""
    counts: Counter[tuple[str, str]] = Counter()
    ways = iter(_SHORTER)
    shorten = next(ways)
    for label, place, count in found:
        counts[label, shorten(place)] += count
        while len(counts) > MOST_PLACES and (shorter := next(ways, None)) is not None:
            shorten = shorter
            counts = _regroup(counts, shorten)
    return tuple(Finding(label, place, count) for (label, place), count in counts.items())


def _regroup(counts: Counter[tuple[str, str]], name: Callable[[str], str]) -> Counter[tuple[str, str]]:
    grouped: Counter[tuple[str, str]] = Counter()
    for (label, place), count in counts.items():
        grouped[label, name(place)] += count
    return grouped
