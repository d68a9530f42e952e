"""What was used before each recorded call, counted again from the record by the windows of the live counters."""

from __future__ import annotations

from collections import deque

from countersign.model.methods import is_connection
from countersign.model.principal import Principal
from countersign.model.rule import Window
from countersign.model.situation import Usage
from countersign.model.windows import TIERS, Tier, usage_key
from countersign.rehearsal.record import RecordedAnswer, RecordedCall

LONGEST_US = max(tier.window_us + tier.bucket_us for tier in TIERS.values())
"""How long before a moment the record must be read to know what was used in all windows that end then."""

_SWEEP_FROM_KEYS = 10_000


class UsageHistory:
    """Counts in the order of the record, as the live counters do: allowed calls, rows and bytes of answers.

    Holds what a day's principals and targets need, and forgets those that fell silent.
    """

    def __init__(self) -> None:
        self._entries: dict[bytes, _Entry] = {}
        self._sweep_at = _SWEEP_FROM_KEYS

    def before(self, principal: Principal, target: str, time_us: int) -> Usage:
        """Return what this principal had of the target in the windows that end at ``time_us``."""
        entry = self._entries.get(usage_key(principal.issuer, principal.subject, target))
        return entry.usage(time_us) if entry else Usage()

    def add_call(self, recorded: RecordedCall) -> None:
        """Count a call, if it was allowed and no connection method."""
        if recorded.decision.allowed and not is_connection(recorded.call.method):
            who = recorded.principal
            self._entry(who.issuer, who.subject, recorded.call.target, recorded.time_us).add(recorded.time_us, 1, 0, 0)

    def add_answer(self, answer: RecordedAnswer) -> None:
        """Count an answer."""
        entry = self._entry(answer.issuer, answer.subject, answer.target, answer.time_us)
        entry.add(answer.time_us, 0, answer.rows, answer.size_bytes)

    def _entry(self, issuer: str, subject: str, target: str, time_us: int) -> _Entry:
        key = usage_key(issuer, subject, target)
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) >= self._sweep_at:
                self._sweep(time_us)
            entry = self._entries[key] = _Entry()
        return entry

    def _sweep(self, time_us: int) -> None:
        self._entries = {key: entry for key, entry in self._entries.items() if entry.newest_us > time_us - LONGEST_US}
        self._sweep_at = max(_SWEEP_FROM_KEYS, 2 * len(self._entries))


class _Entry:
    """The buckets of one principal at one target."""

    __slots__ = ("_tiers", "newest_us")

    def __init__(self) -> None:
        self.newest_us = 0
        self._tiers = {window: _Buckets(tier) for window, tier in TIERS.items()}

    def add(self, time_us: int, calls: int, rows: int, size_bytes: int) -> None:
        self.newest_us = max(self.newest_us, time_us)
        for buckets in self._tiers.values():
            buckets.add(time_us, calls, rows, size_bytes)

    def usage(self, time_us: int) -> Usage:
        minute, hour, day = (self._tiers[window].sums(time_us) for window in (Window.MINUTE, Window.HOUR, Window.DAY))
        calls, rows, sizes = zip(minute, hour, day, strict=True)
        return Usage(*calls, *rows, *sizes)


class _Buckets:
    """The buckets of one window, oldest first; late events go into theirs as long as it is held."""

    __slots__ = ("_held", "_tier")

    def __init__(self, tier: Tier) -> None:
        self._tier = tier
        self._held: deque[list[int]] = deque()

    def add(self, time_us: int, calls: int, rows: int, size_bytes: int) -> None:
        number = self._tier.bucket(time_us)
        bucket = next((one for one in reversed(self._held) if one[0] == number), None)
        if bucket is None:
            bucket = [number, 0, 0, 0]
            self._held.append(bucket)
            self._forget(time_us)
        bucket[1] += calls
        bucket[2] += rows
        bucket[3] += size_bytes

    def sums(self, time_us: int) -> tuple[int, int, int]:
        oldest = self._tier.oldest(time_us)
        held = [one for one in self._held if one[0] >= oldest]
        return sum(one[1] for one in held), sum(one[2] for one in held), sum(one[3] for one in held)

    def _forget(self, time_us: int) -> None:
        # A bucket more than the window holds, for events that were recorded a little out of order.
        oldest = self._tier.oldest(time_us) - 1
        while self._held and self._held[0][0] < oldest:
            self._held.popleft()
