"""What was used, in memory: never less than was told, whoever calls and however many they are."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from itertools import chain

from countersign.model.rule import Window
from countersign.model.situation import Usage
from countersign.model.windows import TIERS, Departure

MAX_BUCKETS = 300_000
"""About 60 MB when some thousand callers use all of them, 175 MB when a hundred thousand use three each."""

_SHARED_ENTRIES = 256
_CALLS, _ROWS, _BYTES, _OWN = range(4)

# calls, rows, bytes as told from outside; calls as counted here.
_Bucket = list[int]


class Counts:
    """Buckets by key, with two sources of calls: totals told from outside, and calls counted here as they pass.

    A bucket counts whichever is more. Memory is bounded without ever forgetting what a window still holds: once
    ``max_buckets`` are held, what comes on top is kept in 256 entries that many keys share: each bucket as the most
    that was told of any of them, and all their calls. So a caller with many subjects makes some counts too high, and
    none too low.
    """

    def __init__(self, *, max_buckets: int = MAX_BUCKETS) -> None:
        self._max_buckets = max_buckets
        self._held = 0
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._shared: dict[int, _Entry] = {}

    @property
    def held_buckets(self) -> int:
        """How many buckets keys hold of their own."""
        return self._held

    def put(self, key: bytes, window: Window, bucket: int, calls: int, rows: int, size_bytes: int) -> None:
        """Set the totals of a bucket, as told from outside."""
        found, is_own = self._bucket(key, window, bucket)
        told = (calls, rows, size_bytes)
        found[:_OWN] = told if is_own else map(max, found[:_OWN], told)

    def add_call(self, key: bytes, now_us: int) -> None:
        """Count a call that passes here, now."""
        for window, tier in TIERS.items():
            self._bucket(key, window, tier.bucket(now_us))[0][_OWN] += 1

    def usage(self, key: bytes, now_us: int) -> Usage:
        """Sum up what the windows that end now hold."""
        sums = [self._sums(key, window, now_us) for window in (Window.MINUTE, Window.HOUR, Window.DAY)]
        (calls_1m, rows_1m, bytes_1m), (calls_1h, rows_1h, bytes_1h), (calls_24h, rows_24h, bytes_24h) = sums
        return Usage(
            *(calls_1m, calls_1h, calls_24h),
            *(rows_1m, rows_1h, rows_24h),
            *(bytes_1m, bytes_1h, bytes_24h),
        )

    def departures(self, key: bytes, window: Window, now_us: int) -> tuple[Departure, ...]:
        """Return when the calls leave that the window holds now, first those that leave first."""
        tier = TIERS[window]
        oldest = tier.oldest(now_us)
        buckets = self._seen(key, window)
        return tuple(
            Departure(tier.leaves_us(bucket) - now_us, max(buckets[bucket][_CALLS], buckets[bucket][_OWN]))
            for bucket in sorted(buckets)
            if bucket >= oldest
        )

    def forget_told(self) -> None:
        """Set all that was told from outside to nothing; what was counted here stays."""
        for entry in chain(self._entries.values(), self._shared.values()):
            for bucket in entry.buckets():
                bucket[:_OWN] = (0, 0, 0)

    def prune(self, now_us: int, *, at_most: int) -> None:
        """Let go of what no window holds any more, of ``at_most`` keys: those that were not looked at for longest."""
        for _ in range(min(at_most, len(self._entries))):
            key, entry = self._entries.popitem(last=False)
            self._held -= entry.prune(now_us)
            if entry:
                self._entries[key] = entry
        for number, entry in list(self._shared.items()):
            entry.prune(now_us)
            if not entry:
                del self._shared[number]

    def _bucket(self, key: bytes, window: Window, bucket: int) -> tuple[_Bucket, bool]:
        """Return the bucket, made when missing, and whether it is the key's own."""
        entry = self._entries.get(key)
        if entry is not None and (found := entry.windows[window].get(bucket)) is not None:
            return found, True
        shared = self._shared_with(key, entry)
        if shared is not None and (found := shared.windows[window].get(bucket)) is not None:
            return found, False
        if self._held >= self._max_buckets:
            if entry is not None:
                entry.spilled = True
            shared = self._shared.setdefault(_number(key), _Entry(spilled=True))
            made = shared.windows[window][bucket] = [0, 0, 0, 0]
            return made, False
        if entry is None:
            entry = self._entries[key] = _Entry(spilled=shared is not None)
        self._held += 1
        made = entry.windows[window][bucket] = [0, 0, 0, 0]
        return made, True

    def _seen(self, key: bytes, window: Window) -> Mapping[int, _Bucket]:
        """Return the buckets that count for the key: its own, and where some of its may be, the shared ones."""
        entry = self._entries.get(key)
        shared = self._shared_with(key, entry)
        if shared is None:
            return {} if entry is None else entry.windows[window]
        own = {} if entry is None else entry.windows[window]
        merged = dict(shared.windows[window])
        for bucket, counted in own.items():
            merged[bucket] = [*map(max, counted, merged[bucket])] if bucket in merged else counted
        return merged

    def _shared_with(self, key: bytes, entry: _Entry | None) -> _Entry | None:
        """Return the shared entry where some of the key's buckets may be: maybe all, when it has no entry itself."""
        return self._shared.get(_number(key)) if entry is None or entry.spilled else None

    def _sums(self, key: bytes, window: Window, now_us: int) -> tuple[int, int, int]:
        oldest = TIERS[window].oldest(now_us)
        calls = rows = size_bytes = 0
        for bucket, (told, had, size, own) in self._seen(key, window).items():
            if bucket >= oldest:
                calls += told
                # Not max(): it takes half of the time, on the way of each call that is judged by usage.
                if own > told:
                    calls += own - told
                rows += had
                size_bytes += size
        return calls, rows, size_bytes


class _Entry:
    """The buckets of one key, or of several. ``spilled`` when some of its buckets may be among the shared ones."""

    __slots__ = ("spilled", "windows")

    def __init__(self, *, spilled: bool) -> None:
        self.spilled = spilled
        self.windows: dict[Window, dict[int, _Bucket]] = {window: {} for window in TIERS}

    def __bool__(self) -> bool:
        return any(self.windows.values())

    def buckets(self) -> Iterator[_Bucket]:
        return chain.from_iterable(buckets.values() for buckets in self.windows.values())

    def prune(self, now_us: int) -> int:
        """Drop what is over; return how many buckets that were."""
        dropped = 0
        for window, buckets in self.windows.items():
            oldest = TIERS[window].oldest(now_us)
            over = [bucket for bucket in buckets if bucket < oldest]
            for bucket in over:
                del buckets[bucket]
            dropped += len(over)
        return dropped


def _number(key: bytes) -> int:
    return int.from_bytes(key[:4], "big") % _SHARED_ENTRIES
