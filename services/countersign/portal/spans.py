"""How long something is, for people."""

from __future__ import annotations


def in_words(span_us: int) -> str:
    """Return a span in the one unit that says enough."""
    seconds = max(0, span_us // 1_000_000)
    for unit_s, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= 2 * unit_s:
            return f"{seconds // unit_s} {unit}s"
    return f"{seconds} seconds"
