"""Usage counted from a store in memory, in the plainest way: what the real one is compared with."""

from __future__ import annotations

import json
from collections.abc import Callable

from countersign.api.recorder.v1 import event_pb2
from countersign.model.methods import is_connection
from countersign.model.rule import Window
from countersign.model.windows import TIERS, usage_key
from countersign.recorder.entry import Entry
from countersign.recorder.usage.ports import Changes, UsageBucket
from countersign.runtime.moments import now_us
from tests.support.memory_store import MemoryStore

PAGE = 5
TRUSTED_US = 5_000_000


class MemoryUsageStore:
    """See ``UsageStore``. An event is recorded when it is counted. Set ``busy`` to let another recorder count."""

    def __init__(self, record: MemoryStore, clock_us: Callable[[], int] = now_us) -> None:
        self.busy = False
        self._record = record
        self._clock_us = clock_us
        self._next = 0
        self._change = 0
        self._counted_until_us = clock_us()
        self._buckets: dict[tuple[bytes, Window, int], list[int]] = {}

    async def count(self, at_most: int) -> int | None:
        """See ``UsageStore``."""
        await self._record.ping()
        if self.busy:
            return None
        taken = self._record.rows[self._next : self._next + at_most]
        self._change += bool(taken)
        for _, _, entry in taken:
            await self._add(entry)
        self._next += len(taken)
        left = len(self._record.rows) - self._next
        if not left:
            self._counted_until_us = self._clock_us()
        return left

    async def _add(self, entry: Entry) -> None:
        calls = rows = size_bytes = 0
        if entry.kind == event_pb2.EVENT_KIND_REQUEST:
            calls = int(entry.outcome == event_pb2.OUTCOME_ALLOW and not is_connection(entry.method))
        elif entry.kind in (event_pb2.EVENT_KIND_RESPONSE, event_pb2.EVENT_KIND_STREAM_EVENT):
            fact = json.loads(entry.record)
            rows, size_bytes = fact.get("row_count", 0), fact.get("size_bytes", 0)
        session = await self._record.session(entry.session_id)
        if not (calls or rows or size_bytes) or session is None or not session.who.subject:
            return
        key = usage_key(session.who.issuer, session.who.subject, session.target)
        now = self._clock_us()
        time_us = entry.time_us if abs(entry.time_us - now) <= TRUSTED_US else now
        for window, tier in TIERS.items():
            bucket = self._buckets.setdefault((key, window, tier.bucket(time_us)), [0, 0, 0, 0])
            for place, more in enumerate((calls, rows, size_bytes)):
                bucket[place] += more
            bucket[3] = self._change

    async def prune(self, at_most: int) -> int:
        """See ``UsageStore``."""
        now = self._clock_us()
        over = [one for one in self._buckets if one[2] < TIERS[one[1]].oldest(now)][:at_most]
        for one in over:
            del self._buckets[one]
        return len(over)

    async def changes(self, position: int) -> Changes:
        """See ``UsageStore``."""
        await self._record.ping()
        changed = sorted((one[3], key, one[:3]) for key, one in self._buckets.items() if one[3] > position)
        last = changed[PAGE - 1][0] if len(changed) >= PAGE else self._change
        page = [(key, counted) for change, key, counted in changed if change <= last]
        buckets = tuple(UsageBucket(*key, *counted) for key, counted in page)
        until = self._clock_us() if self._next == len(self._record.rows) else self._counted_until_us
        return Changes(buckets, min(last, self._change), self._change, self._clock_us(), until)

    async def close(self) -> None:
        """See ``UsageStore``."""
