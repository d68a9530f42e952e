"""Opening hours mean what the clocks of the place show, and nothing that is misspelt is taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from countersign.model.opening import DAYS, OpeningHours, parse_opening

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def utc(text: str) -> int:
    return microseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


def open_days(hours: OpeningHours) -> list[str]:
    """The days of one week on which it is open at noon UTC."""
    noons = [MONDAY + timedelta(days=day, hours=12) for day in range(7)]
    return [DAYS[noon.weekday()] for noon in noons if hours.is_open(microseconds(noon))]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ("Mon-Fri", ["Mon", "Tue", "Wed", "Thu", "Fri"]),
        ("Mon,Wed", ["Mon", "Wed"]),
        ("Fri-Mon", ["Mon", "Fri", "Sat", "Sun"]),
        ("Mon-Tue,Sat", ["Mon", "Tue", "Sat"]),
        ("Sun", ["Sun"]),
    ],
)
def test_it_is_open_on_its_days_only(days: str, expected: list[str]) -> None:
    assert open_days(parse_opening(f"{days} 08:00-18:00 UTC")) == expected


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-23T07:59:59.999999", False),
        ("2026-11-23T08:00:00", True),
        ("2026-11-23T17:59:59.999999", True),
        ("2026-11-23T18:00:00", False),
    ],
)
def test_it_opens_and_closes_on_the_minute(moment: str, is_open: bool) -> None:
    assert parse_opening("Mon 08:00-18:00 UTC").is_open(utc(moment)) is is_open


def test_a_whole_day_has_no_gap() -> None:
    hours = parse_opening("Mon-Sun 00:00-24:00 Asia/Kolkata")
    assert all(hours.is_open(microseconds(MONDAY) + quarter * 900_000_000 - 1) for quarter in range(24 * 4 * 7))


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-27T21:59:59", False),
        ("2026-11-27T22:00:00", True),
        ("2026-11-28T05:59:59", True),
        ("2026-11-28T06:00:00", False),
        ("2026-11-28T23:00:00", False),
        ("2026-11-27T05:00:00", False),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(moment: str, is_open: bool) -> None:
    assert parse_opening("Fri 22:00-06:00 UTC").is_open(utc(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        # Clocks in Berlin go from 02:00 to 03:00 at 01:00 UTC on 29 March 2026.
        ("2026-03-29T00:59:59", False),
        ("2026-03-29T01:00:00", True),
        ("2026-03-29T01:59:59", True),
        ("2026-03-29T02:00:00", False),
        # And from 03:00 to 02:00 at 01:00 UTC on 25 October 2026: 02:59 comes twice, and neither is 03:00.
        ("2026-10-25T00:59:59", False),
        ("2026-10-25T01:59:59", False),
        ("2026-10-25T02:00:00", True),
    ],
)
def test_it_follows_the_clocks_when_they_change(moment: str, is_open: bool) -> None:
    assert parse_opening("Sun 03:00-04:00 Europe/Berlin").is_open(utc(moment)) is is_open


def test_an_hour_that_is_left_out_never_comes_and_one_that_is_repeated_comes_twice() -> None:
    hours = parse_opening("Sun 02:00-03:00 Europe/Berlin")
    spring, autumn = utc("2026-03-29T00:00:00"), utc("2026-10-25T00:00:00")
    minutes = [60_000_000 * minute for minute in range(180)]
    assert sum(hours.is_open(spring + minute) for minute in minutes) == 0
    assert sum(hours.is_open(autumn + minute) for minute in minutes) == 120


def test_it_is_told_by_the_place_and_not_by_utc() -> None:
    auckland = parse_opening("Mon 08:00-09:00 Pacific/Auckland")
    moment = datetime(2026, 11, 23, 8, 30, tzinfo=ZoneInfo("Pacific/Auckland"))
    assert moment.astimezone(UTC).weekday() == 6
    assert auckland.is_open(microseconds(moment))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "days, times and a zone"),
        ("Mon-Fri 08:00-18:00", "days, times and a zone"),
        ("Mon-Fri  08:00-18:00 UTC", "days, times and a zone"),
        ("Mon-Fri 08:00-18:00 Europe/Berlin ", "days, times and a zone"),
        ("Monday 08:00-18:00 UTC", "days are Mon, Tue"),
        ("mon 08:00-18:00 UTC", "days are Mon, Tue"),
        ("Mon,,Tue 08:00-18:00 UTC", "days are Mon, Tue"),
        ("Mon-Wed-Fri 08:00-18:00 UTC", "two ends"),
        ("Mon-Wed,Tue 08:00-18:00 UTC", "Tue is named twice"),
        ("Mon 8:00-18:00 UTC", "HH:MM"),
        ("Mon 08:60-18:00 UTC", "HH:MM"),
        ("Mon 08:00-24:01 UTC", "HH:MM"),
        ("Mon 08:00-18:00:00 UTC", "HH:MM"),
        ("Mon 0\u0668:00-18:00 UTC", "HH:MM"),
        ("Mon 08:00 UTC", "two, joined by a hyphen"),
        ("Mon 24:00-06:00 UTC", "00:00"),
        ("Mon 08:00-08:00 UTC", "never open"),
        ("Mon 08:00-08:09 UTC", "less than 10 minutes"),
        ("Mon 23:59-00:05 UTC", "less than 10 minutes"),
        ("Mon 08:00-18:00 Europe/Berlim", "no time zone Europe/Berlim"),
        ("Mon 08:00-18:00 Europe", "no time zone Europe"),
        ("Mon 08:00-18:00 ../../etc/passwd", "IANA"),
        ("Mon 08:00-18:00 /etc/localtime", "IANA"),
        ("Mon 08:00-18:00 localtime", "IANA"),
        ("Mon 08:00-18:00 right/UTC", "IANA"),
        ("Mon 08:00-18:00 +02:00", "IANA"),
        ("Mon 08:00-18:00 " + "A" * 500, "at most 200"),
    ],
)
def test_what_is_misspelt_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_opening(text)
