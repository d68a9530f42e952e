"""Opening hours: at which times of the week something may be done, in a place's own time."""

from __future__ import annotations

from dataclasses import dataclass

MINUTES_OF_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """``text`` as it was written (``Mon-Fri 08:00-18:00 Europe/Berlin``), and what it means.

    ``days`` are 0 (Monday) to 6. A stretch from ``opens`` to ``closes`` (minutes after midnight, the second exclusive,
    at most 1440) that ends before it opens belongs to the day on which it begins.
    """

    text: str
    days: frozenset[int]
    opens: int
    closes: int
    zone: str
