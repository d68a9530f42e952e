"""Sessions that are unlike their principal's own past: new targets and tools, volumes, hours."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import median

from countersign.review.facts import SessionUse

MIN_PAST = 5
"""Earlier sessions without which nothing is unusual yet."""
SPREADS = 6.0
"""A volume stands out beyond the median by so many spreads (1.4826 x the median absolute deviation) ..."""
TIMES = 3.0
"""... and beyond so many times the median, and beyond the floor of its kind."""
FLOORS = {"rows": 100, "bytes": 100_000, "calls": 30}
MIN_CALLS_OF_HOURS = 30
"""Earlier calls without which hours say nothing."""
_MOST_KEPT = 500
_SPREAD_OF_MAD = 1.4826
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Unusual:
    """A session and why it stands out, in words; ``first_seen``: its principal has no past to compare with."""

    session: SessionUse
    first_seen: bool
    reasons: tuple[str, ...]


@dataclass(slots=True)
class _Past:
    """What a principal did before."""

    sessions: int = 0
    names: dict[str, set[str]] = field(default_factory=dict)
    volumes: dict[tuple[str, str], deque[int]] = field(default_factory=dict)
    by_hour: list[int] = field(default_factory=lambda: [0] * 24)

    def add(self, session: SessionUse) -> None:
        self.sessions += 1
        self.names.setdefault(session.target, set()).update(session.names)
        for what, value in _volumes(session):
            self.volumes.setdefault((session.target, what), deque(maxlen=_MOST_KEPT)).append(value)
        for hour, calls in enumerate(session.by_hour):
            self.by_hour[hour] += calls


def unusual_sessions(sessions: Iterable[SessionUse], since_us: int) -> Iterator[Unusual]:
    """Compare each session that began at ``since_us`` or later with all earlier ones of its principal.

    Earlier parts of sessions that went on into the time of the review are the past, too.
    """
    past: dict[tuple[str, str], _Past] = {}
    for session in sorted(sessions, key=lambda one: (one.started_us, one.session_id)):
        known = past.setdefault((session.issuer, session.subject), _Past())
        if session.started_us >= since_us:
            if not known.sessions:
                yield Unusual(session, True, ("first seen: there is no past to compare with",))
            elif known.sessions >= MIN_PAST and (reasons := tuple(_reasons(session, known))):
                yield Unusual(session, False, reasons)
        known.add(session)


def _reasons(session: SessionUse, past: _Past) -> Iterator[str]:
    known = past.names.get(session.target)
    if known is None:
        yield f"new target: never used {session.target} in {past.sessions} sessions before"
    elif new := sorted(set(session.names) - known):
        more = f" and {len(new) - _SHOWN} more" if len(new) > _SHOWN else ""
        yield f"new at {session.target}: {', '.join(new[:_SHOWN])}{more}"
    for what, value in _volumes(session):
        earlier = past.volumes.get((session.target, what), ())
        if len(earlier) >= MIN_PAST and value > (bound := _bound(earlier, FLOORS[what])):
            usual = round(median(earlier))
            yield f"volume: {value:,} {what}, usually about {usual:,} and hardly more than {round(bound):,}"
    if sum(past.by_hour) >= MIN_CALLS_OF_HOURS:
        hours = [hour for hour in range(24) if session.by_hour[hour] and not _near(past.by_hour, hour)]
        if hours:
            told = ", ".join(f"{hour:02}:00" for hour in hours)
            yield f"hours: calls at {told} UTC, where there were none before, nor an hour beside"


def _bound(earlier: Iterable[int], floor: int) -> float:
    values = list(earlier)
    middle = median(values)
    spread = _SPREAD_OF_MAD * median(abs(value - middle) for value in values)
    return float(max(floor, TIMES * middle, middle + SPREADS * spread))


def _near(by_hour: list[int], hour: int) -> bool:
    return any(by_hour[(hour + beside) % 24] for beside in (-1, 0, 1))


def _volumes(session: SessionUse) -> tuple[tuple[str, int], ...]:
    return ("rows", session.rows), ("bytes", session.size_bytes), ("calls", session.calls)
