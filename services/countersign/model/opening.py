"""Opening hours: at which times of the week something may be done, in a place's own time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTES_OF_DAY = 24 * 60
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LEAST_MINUTES = 10
"""A stretch shorter than this would close before anybody has read what they are asked."""

EXAMPLE = "Mon-Fri 08:00-18:00 Europe/Berlin"

_TEXT_LIMIT = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"([0-9]{2}):([0-9]{2})")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")
# What these mean depends on the machine, or on leap seconds that no other clock counts.
_NO_PLACES = re.compile(r"(?:localtime|posixrules|Factory|(?:posix|right)/.*)")


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

    def is_open(self, at_us: int) -> bool:
        """Whether it is open at a moment, in microseconds since the epoch, by what clocks on the wall show there.

        An hour that clocks leave out never comes, and one that they show twice comes twice.
        """
        # Only ever from UTC to the place: the other way some times do not exist, and some exist twice.
        local = (_EPOCH + timedelta(microseconds=at_us)).astimezone(ZoneInfo(self.zone))
        day, minute = local.weekday(), local.hour * 60 + local.minute
        if self.opens < self.closes:
            return day in self.days and self.opens <= minute < self.closes
        began_today, began_yesterday = day in self.days, (day - 1) % 7 in self.days
        return (began_today and minute >= self.opens) or (began_yesterday and minute < self.closes)


def parse_opening(text: str) -> OpeningHours:
    """The opening hours that ``DAYS HH:MM-HH:MM ZONE`` states: ``Mon-Fri``, ``Mon,Wed``, ``22:00-06:00``, ``24:00``.

    Zones are names of the IANA database, such as ``Europe/Berlin``. Raises ``ValueError``, which says what is wrong.
    """
    if len(text) > _TEXT_LIMIT:
        raise ValueError(f"opening hours have at most {_TEXT_LIMIT} characters")
    parts = text.split(" ")
    if len(parts) != 3:
        raise ValueError(f"opening hours are days, times and a zone, with a space between: {EXAMPLE}")
    days, times, zone = parts
    opens, closes = _stretch(times)
    return OpeningHours(text, _days(days), opens, closes, _zone(zone))


def _days(text: str) -> frozenset[int]:
    found = set[int]()
    for part in text.split(","):
        first, *rest = map(_day, part.split("-"))
        if len(rest) > 1:
            raise ValueError("a stretch of days has two ends, such as Mon-Fri")
        last = rest[0] if rest else first
        # Fri-Mon is four days.
        stretch = {(first + step) % 7 for step in range((last - first) % 7 + 1)}
        if found & stretch:
            raise ValueError(f"{DAYS[min(found & stretch)]} is named twice")
        found |= stretch
    return frozenset(found)


def _day(text: str) -> int:
    if text not in DAYS:
        raise ValueError(f"days are {', '.join(DAYS)}, joined as in Mon-Fri or Mon,Wed")
    return DAYS.index(text)


def _stretch(text: str) -> tuple[int, int]:
    ends = text.split("-")
    if len(ends) != 2:
        raise ValueError("times are two, joined by a hyphen: 08:00-18:00")
    opens, closes = map(_minute, ends)
    if opens == MINUTES_OF_DAY:
        raise ValueError("a day opens at 23:59 at the latest; its start is 00:00")
    if opens == closes:
        raise ValueError("it is never open; the whole day is 00:00-24:00")
    if (closes - opens) % MINUTES_OF_DAY < LEAST_MINUTES and closes - opens != MINUTES_OF_DAY:
        raise ValueError(f"it is open for less than {LEAST_MINUTES} minutes")
    return opens, closes


def _minute(text: str) -> int:
    found = _TIME.fullmatch(text)
    minute = int(found[1]) * 60 + int(found[2]) if found and found[2] < "60" else MINUTES_OF_DAY + 1
    if minute > MINUTES_OF_DAY:
        raise ValueError("times are HH:MM from 00:00 to 24:00")
    return minute


def _zone(text: str) -> str:
    if not _ZONE.fullmatch(text) or _NO_PLACES.fullmatch(text):
        raise ValueError("the zone is no name of the IANA database, such as Europe/Berlin or UTC")
    try:
        ZoneInfo(text)
    # Folders of the database, such as Europe, raise an OSError rather than that there is no such zone.
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no time zone {text}; use a name such as Europe/Berlin or UTC") from None
    return text
