"""Moments and spans as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

_S = 1_000_000


def moment(at_us: int) -> str:
    """Return a moment (microseconds since the epoch) with its zone: ``2026-11-22 14:03:05 UTC``."""
    return datetime.fromtimestamp(at_us // _S, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def span(us: int) -> str:
    """Return a span in its two largest units: ``3 min 5 s``; ``0 s`` when it is over."""
    seconds = max(0, us // _S)
    parts = []
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
