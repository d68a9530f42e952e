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
    return _short(Counter(found))


def bounded(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Shorten a list of findings likewise."""
    counts: Counter[tuple[str, str]] = Counter()
    for finding in findings:
        counts[finding.label, finding.place] += finding.count
    return _short(counts)


def _short(counts: Counter[tuple[str, str]]) -> tuple[Finding, ...]:
    if len(counts) > MOST_PLACES:
        counts = _regroup(counts, lambda place: _POSITION.sub("[*]", place))
    if len(counts) > MOST_PLACES:
        counts = _regroup(counts, lambda _: "")
    return tuple(Finding(label, place, count) for (label, place), count in counts.items())


def _regroup(counts: Counter[tuple[str, str]], name: Callable[[str], str]) -> Counter[tuple[str, str]]:
    grouped: Counter[tuple[str, str]] = Counter()
    for (label, place), count in counts.items():
        grouped[label, name(place)] += count
    return grouped
