"""Small words: lists, counts, times and cut texts, for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from countersign.model.visible import visible

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEPS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def line(text: str, characters: int) -> str:
    """Return a short text of others as one visible line of at most so many characters."""
    # Cut first: what nobody will read need not be looked at.
    shown = visible(text[:characters])
    return shown if len(text) <= characters and len(shown) <= characters else f"{shown[: characters - 1]}…"


def lines(text: str) -> str:
    """Return a text of others, line by line, visible."""
    return visible(text.replace("\t", "    "), keep="\n")


def clipped(text: str, characters: int, more: int = 0) -> str:
    """Return the beginning of ``text``, and how much more there is; ``more`` characters were left away before."""
    more += max(0, len(text) - characters)
    return f"{text[:characters]}… ({more:,} more characters, open to see)" if more else text


def words(text: str, characters: int) -> str:
    """Return a text of others as one visible line; of a long one the beginning, and how much more there is."""
    # Its lines become one: of our own words nobody else begins a line.
    return clipped(visible(text[:characters].replace("\n", " ")), characters, max(0, len(text) - characters))


def enumeration(names: Sequence[str], last: str, at_most: int) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``; of many the first, and how many others."""
    shown = list(names[:at_most])
    if len(names) > at_most:
        shown.append(f"{len(names) - at_most} more")
    return f" {last} ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def moment(at_us: int) -> str:
    """Return ``2026-11-22 14:03 UTC``."""
    # No fromtimestamp: it rounds through floating point.
    return (_EPOCH + timedelta(microseconds=at_us)).strftime("%Y-%m-%d %H:%M UTC")


def instant(at_us: int) -> str:
    """Return a moment for machines: RFC 3339, in UTC, with milliseconds; empty for 0."""
    when = _EPOCH + timedelta(microseconds=at_us)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at_us else ""


def relative(in_us: int) -> str:
    """Return ``in 12 minutes`` or ``12 minutes ago``, in the largest unit of which there are two, or one second."""
    seconds = abs(in_us) // 1_000_000
    size, unit = next((step for step in _STEPS if seconds >= 2 * step[0]), _STEPS[-1])
    count = seconds // size
    length = f"{count} {unit}{'' if count == 1 else 's'}"
    return f"in {length}" if in_us >= 0 else f"{length} ago"
