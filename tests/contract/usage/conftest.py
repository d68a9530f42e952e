"""Every store that counts, behind the same tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from countersign.model.event import Event
from countersign.model.rule import Window
from countersign.model.windows import usage_key
from countersign.recorder.entry import accept
from countersign.recorder.ports import AppendStore
from countersign.recorder.store import PostgresAppendStore
from countersign.recorder.usage.ports import UsageBucket, UsageStore
from countersign.recorder.usage.store import PostgresUsageStore
from countersign.runtime.recording import to_message
from tests.support.memory_store import MemoryStore
from tests.support.memory_usage import MemoryUsageStore
from tests.support.postgres import postgres as postgres

ISSUER = "https://issuer.example"


@dataclass(frozen=True)
class Counting:
    """A record and who counts it."""

    record: AppendStore
    usage: UsageStore

    async def append(self, *events: Event) -> None:
        """Make events durable."""
        await self.record.append([accept(to_message(event)) for event in events])

    async def count_all(self, at_most: int = 1_000) -> None:
        """Count until nothing is left."""
        while await self.usage.count(at_most):
            pass

    async def buckets(self) -> dict[tuple[bytes, Window, int], UsageBucket]:
        """All buckets, read page by page."""
        found: dict[tuple[bytes, Window, int], UsageBucket] = {}
        position = 0
        while True:
            changes = await self.usage.changes(position)
            found |= {(one.key, one.window, one.bucket): one for one in changes.buckets}
            position = changes.position
            if position >= changes.newest:
                return found

    async def totals(
        self, subject: str = "alice", target: str = "orders", window: Window = Window.DAY
    ) -> tuple[int, int, int]:
        """Calls, rows and bytes of all buckets of a window."""
        key = usage_key(ISSUER, subject, target)
        mine = [one for one in (await self.buckets()).values() if (one.key, one.window) == (key, window)]
        return sum(one.calls for one in mine), sum(one.rows for one in mine), sum(one.size_bytes for one in mine)


@pytest.fixture(params=["memory", "postgres"])
async def counting(request: pytest.FixtureRequest) -> AsyncIterator[Counting]:
    if request.param == "memory":
        memory = MemoryStore()
        yield Counting(memory, MemoryUsageStore(memory))
        return
    dsn = request.getfixturevalue("postgres").database()
    both = Counting(PostgresAppendStore(dsn), PostgresUsageStore(dsn))
    await both.record.open()
    yield both
    await both.record.close()
    await both.usage.close()
