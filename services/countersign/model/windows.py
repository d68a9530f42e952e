"""Sliding windows, counted in buckets: which bucket a moment falls into, and which of them a window still holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from countersign.model.rule import Window

_SECOND_US = 1_000_000
# What the record's searchable columns keep of a text, which is all that the counter sees of it.
_KEPT_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Tier:
    """The buckets of one window: bucket ``n`` holds the moments ``n * bucket_us <= time_us < (n + 1) * bucket_us``.

    A window holds its oldest bucket in full, so a sum over it is never too low, and at most one bucket too long.
    """

    bucket_us: int
    window_us: int

    def bucket(self, time_us: int) -> int:
        """Return the bucket of a moment (microseconds since the epoch)."""
        return time_us // self.bucket_us

    def oldest(self, now_us: int) -> int:
        """Return the first bucket that the window ending now still holds; later ones, also future ones, count."""
        return (now_us - self.window_us) // self.bucket_us

    def leaves_us(self, bucket: int) -> int:
        """Return the first moment at which the window does not hold the bucket any more."""
        return (bucket + 1) * self.bucket_us + self.window_us


TIERS: Mapping[Window, Tier] = MappingProxyType(
    {
        Window.MINUTE: Tier(2 * _SECOND_US, 60 * _SECOND_US),
        Window.HOUR: Tier(60 * _SECOND_US, 3_600 * _SECOND_US),
        Window.DAY: Tier(1_800 * _SECOND_US, 86_400 * _SECOND_US),
    }
)
"""The buckets of each window; each coarser bucket is a whole number of finer ones."""


@dataclass(frozen=True, slots=True)
class Departure:
    """``calls`` leave a window ``after_us`` microseconds from now."""

    after_us: int
    calls: int


@lru_cache(maxsize=10_000)
def usage_key(issuer: str, subject: str, target: str) -> bytes:
    """Return under which key use is counted: SHA-256 of the three SHA-256 of issuer, subject and target in UTF-8.

    The three are taken as the record's columns hold them (at most 500 code points, and no NUL), since answers are
    attributed by these: whoever shares them shares the counts.
    """
    texts = (text[:_KEPT_CHARACTERS].replace("\0", "\ufffd") for text in (issuer, subject, target))
    # A lone surrogate cannot stand in an event, so nothing is ever counted for it.
    parts = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts)
    return hashlib.sha256(b"".join(parts)).digest()
