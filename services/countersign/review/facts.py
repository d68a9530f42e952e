"""What the gateway tells for a review: use, summed up; times in microseconds since the epoch, UTC."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Use:
    """What one principal did with one name of one target; see ``Use`` in review.proto."""

    issuer: str
    subject: str
    kind: str
    groups: tuple[str, ...]
    target: str
    method: str
    name: str
    rules: tuple[str, ...]
    allowed: int
    denied: int
    asked: int
    approved: int
    masked: int
    rows: int
    size_bytes: int
    first_us: int
    last_us: int


@dataclass(frozen=True, slots=True)
class SessionUse:
    """What was used in one session; see ``SessionUse`` in review.proto. ``by_hour`` are 24 counts of calls."""

    session_id: str
    issuer: str
    subject: str
    target: str
    started_us: int
    names: tuple[str, ...]
    calls: int
    rows: int
    size_bytes: int
    by_hour: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Period:
    """The time of a review, and since when sessions were read to compare with."""

    since_us: int
    until_us: int
    look_back_us: int
