"""Moments as people write them, in microseconds since the epoch."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_AGO = re.compile(r"([0-9]{1,6})([smhdw])\Z")
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


class NoMoment(ValueError):
    """The text is no moment; the message says what to write."""


def read_moment(text: str) -> int:
    """Read an ISO 8601 date and time; UTC unless it says otherwise. Raises ``NoMoment``."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (moment - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        raise NoMoment("write for example 2026-11-21T10:00:00Z") from None


def read_moment_or_age(text: str, now_us: int) -> int:
    """Read a moment, or how long ago it was (``90s``, ``15m``, ``12h``, ``7d``, ``2w``). Raises ``NoMoment``."""
    if age := _AGO.match(text):
        return now_us - int(age[1]) * _UNITS_S[age[2]] * 1_000_000
    try:
        return read_moment(text)
    except NoMoment:
        raise NoMoment("write for example 7d, 12h, or 2026-11-21T10:00:00Z") from None


def write_moment(time_us: int) -> str:
    """Write a moment in UTC, with as many decimals as it has."""
    moment = _EPOCH + timedelta(microseconds=time_us)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    decimals = f"{moment.microsecond:06}".rstrip("0")
    return f"{text}.{decimals}Z" if decimals else f"{text}Z"
