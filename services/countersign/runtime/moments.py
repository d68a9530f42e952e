"""The real clock and real ids; whatever decides by them takes them as arguments."""

from __future__ import annotations

import time
import uuid


def now_us() -> int:
    """Return the time in microseconds since the epoch."""
    return time.time_ns() // 1000


def new_id() -> str:
    """Return a fresh UUID."""
    return str(uuid.uuid4())
