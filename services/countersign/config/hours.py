"""Rules that ask at hours which never meet: a call that both select could never be agreed to by all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from countersign.model.opening import OpeningHours

_MINUTES_OF_WEEK = 7 * 24 * 60
_MINUTE_US = 60_000_000
# Of January and of July: clocks differ between the two.
_WEEKS_US = tuple(
    (datetime(2026, month, 5, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    for month in (1, 7)
)


class Meetings:
    """Tells whether hours meet, and remembers it: files repeat few hours many times."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], bool] = {}

    def ever(self, one: OpeningHours, other: OpeningHours) -> bool:
        """Whether there is a minute of an ordinary week, in winter or in summer, in which both are open."""
        key = (one.text, other.text)
        found = self._known.get(key)
        if found is None:
            minutes = (start + minute * _MINUTE_US for start in _WEEKS_US for minute in range(_MINUTES_OF_WEEK))
            found = self._known[key] = any(one.is_open(at_us) and other.is_open(at_us) for at_us in minutes)
        return found
