"""The queue and the group commit, over a store that can be away, slow and poisoned."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from countersign.recorder.committer import Closed, Committer, Gate, Stopped
from countersign.recorder.entry import Entry, Settled, Verdict, accept
from countersign.runtime.recording import to_message
from tests.support.events import request
from tests.support.memory_store import MemoryStore
from tests.support.recorders import until

RECORDED = [Verdict.RECORDED]


class SlowStore(MemoryStore):
    """Commits only when told."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Semaphore(0)

    async def append(self, entries: Sequence[Entry]) -> list[Settled]:
        await self.go.acquire()
        return await super().append(entries)


def entries(count: int, **changes: object) -> list[Entry]:
    return [accept(to_message(request(**changes))) for _ in range(count)]  # type: ignore[arg-type]


class Doubtful:
    """A gate that opens when told."""

    def __init__(self) -> None:
        self.stopped = ""
        self.doubts = 0
        self.opened = asyncio.Event()
        self.asked: list[int] = []

    async def passed(self, events: int) -> None:
        self.asked.append(events)
        await self.opened.wait()

    def doubt(self) -> None:
        self.doubts += 1


@asynccontextmanager
async def running(
    store: MemoryStore, *, queue_events: int = 100, queue_bytes: int = 10**7, gate: Gate | None = None
) -> AsyncIterator[Committer]:
    committer = Committer(store, queue_events=queue_events, queue_bytes=queue_bytes, gate=gate)
    task = asyncio.ensure_future(committer.run())
    try:
        yield committer
    finally:
        await committer.close(grace_s=0.2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_queued_during_a_commit_is_one_group() -> None:
    store = SlowStore()
    async with running(store) as committer:
        first = await committer.put(entries(1))
        await asyncio.sleep(0)
        others = [await committer.put(entries(2)) for _ in range(5)]
        for _ in range(2):
            store.go.release()
        await asyncio.gather(first, *others)
    assert store.commits == [1, 10]


async def test_nothing_is_acknowledged_while_the_store_is_away_and_all_is_when_it_is_back() -> None:
    store = MemoryStore()
    async with running(store) as committer:
        await until(lambda: committer.available)
        store.away = True
        waiting = [await committer.put(entries(1)) for _ in range(5)]
        await until(lambda: not committer.available)
        assert not any(one.done() for one in waiting)
        assert committer.queue_depth == 5
        store.away = False
        assert await asyncio.gather(*waiting) == [RECORDED] * 5
        assert committer.available
    assert committer.queue_depth == 0


async def test_lost_acknowledgement_doubles_nothing() -> None:
    store = MemoryStore()
    store.lose_acknowledgement = True
    async with running(store) as committer:
        assert await (await committer.put(entries(3))) == RECORDED * 3
    assert len(store.rows) == 3


@pytest.mark.parametrize(("queue_events", "queue_bytes"), [(4, 10**7), (100, 4 * 2_000)])
async def test_full_queue_holds_senders_back_in_order_and_drops_nothing(queue_events: int, queue_bytes: int) -> None:
    store = SlowStore()
    async with running(store, queue_events=queue_events, queue_bytes=queue_bytes) as committer:
        putting = [asyncio.ensure_future(committer.put(entries(1))) for _ in range(12)]
        await until(lambda: committer.queue_depth >= 4)
        await asyncio.sleep(0)
        taken = sum(one.done() for one in putting)
        assert taken < 12
        assert committer.queue_depth == taken
        for _ in range(12):
            store.go.release()
        assert await asyncio.gather(*[await one for one in putting]) == [RECORDED] * 12


async def test_batch_larger_than_the_queue_is_taken_alone() -> None:
    async with running(MemoryStore(), queue_events=2, queue_bytes=10) as committer:
        assert await (await committer.put(entries(9))) == RECORDED * 9


async def test_poisoned_event_is_refused_alone(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    batch = entries(9)
    store.poison = {batch[6].event_id}
    async with running(store) as committer:
        verdicts = await (await committer.put(batch))
    assert [index for index, verdict in enumerate(verdicts) if verdict is not Verdict.RECORDED] == [6]
    assert "event refused" in caplog.text


async def test_sender_that_went_away_harms_nobody() -> None:
    store = SlowStore()
    async with running(store) as committer:
        gone, stays = await committer.put(entries(1)), await committer.put(entries(1))
        gone.cancel()
        store.go.release()
        store.go.release()
        assert await stays == RECORDED


async def test_close_fails_what_cannot_become_durable_and_takes_nothing_more() -> None:
    store = MemoryStore()
    store.away = True
    async with running(store) as committer:
        waiting = await committer.put(entries(1))
    with pytest.raises(Closed):
        await waiting
    with pytest.raises(Closed):
        await committer.put(entries(1))


async def test_outage_is_told_loudly_and_once(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    store.away = True
    caplog.set_level(logging.INFO)
    async with running(store) as committer:
        waiting = await committer.put(entries(1))
        await asyncio.sleep(0.2)
        store.away = False
        await waiting
    messages = [record.message for record in caplog.records]
    assert messages == ["the record is not available: away", "the record is available"]


async def test_nothing_is_committed_while_the_gate_is_closed_and_all_is_once_it_opens() -> None:
    store, gate = MemoryStore(), Doubtful()
    async with running(store, gate=gate) as committer:
        waiting = [await committer.put(entries(2)) for _ in range(3)]
        await until(lambda: gate.asked != [])
        assert (store.rows, committer.queue_depth) == ([], 6)
        gate.opened.set()
        assert await asyncio.gather(*waiting) == [RECORDED * 2] * 3
    assert sum(gate.asked) == 6


async def test_stopped_log_refuses_at_once_and_says_why() -> None:
    gate = Doubtful()
    gate.opened.set()
    async with running(MemoryStore(), gate=gate) as committer:
        gate.stopped = "the database is older than the log"
        with pytest.raises(Stopped, match="older than the log"):
            await committer.put(entries(1))


async def test_gate_hears_of_every_lost_connection_and_is_asked_again() -> None:
    store, gate = MemoryStore(), Doubtful()
    gate.opened.set()
    async with running(store, gate=gate) as committer:
        await (await committer.put(entries(1)))
        store.lose_acknowledgement = True
        await (await committer.put(entries(1)))
    assert gate.doubts == 1
    assert gate.asked == [1, 1, 1]


async def test_record_that_began_without_its_database_connects_before_the_gate_is_asked() -> None:
    store, gate = MemoryStore(), Doubtful()
    store.away = True
    async with running(store, gate=gate) as committer:
        waiting = await committer.put(entries(1))
        await until(lambda: gate.doubts > 0)
        assert gate.asked == []
        store.away = False
        gate.opened.set()
        assert await waiting == RECORDED
