"""Who watches is told everything, soon, and never that silence is news."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import grpc
import pytest

from countersign.api.access.v1 import usage_pb2, usage_pb2_grpc
from countersign.model.rule import Window
from countersign.recorder.entry import accept
from countersign.recorder.usage import counter as counter_module
from countersign.recorder.usage import server as server_module
from countersign.recorder.usage.counter import UsageCounter
from countersign.recorder.usage.server import UsageServer
from countersign.runtime.moments import now_us
from countersign.runtime.postgres import DatabaseUnavailable
from countersign.runtime.recording import to_message
from countersign.runtime.usage import UsageView
from tests.support.events import ALICE, new_id, request, response
from tests.support.memory_store import MemoryStore
from tests.support.memory_usage import MemoryUsageStore
from tests.support.recorders import until

SOON_S = 20.0


class Bench:
    """A record in memory, who counts it, and who tells of it."""

    def __init__(self) -> None:
        self.record = MemoryStore()
        self.usage = MemoryUsageStore(self.record)
        self.server = UsageServer(self.usage)

    async def calls(self, count: int, subject: str = "alice") -> None:
        """Record allowed calls of somebody, and count them."""
        who = replace(ALICE, subject=subject)
        events = [request(principal=who, time_us=now_us()) for _ in range(count)]
        await self.record.append([accept(to_message(event)) for event in events])
        await self.usage.count(10_000)

    @asynccontextmanager
    async def serving(self, address: str = "127.0.0.1:0") -> AsyncIterator[str]:
        grpc_server = grpc.aio.server()
        usage_pb2_grpc.add_UsageServiceServicer_to_server(self.server, grpc_server)
        port = grpc_server.add_insecure_port(address)
        await grpc_server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            self.server.drain()
            await grpc_server.stop(2)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@asynccontextmanager
async def watching(address: str, position: int = 0) -> AsyncIterator[AsyncIterator[usage_pb2.WatchUsageResponse]]:
    async with grpc.aio.insecure_channel(address) as channel, asyncio.timeout(SOON_S):
        stream = usage_pb2_grpc.UsageServiceStub(channel).WatchUsage(usage_pb2.WatchUsageRequest(position=position))
        yield aiter(stream)
        stream.cancel()


@asynccontextmanager
async def viewing(address: str) -> AsyncIterator[UsageView]:
    view = UsageView(address)
    await view.start()
    try:
        yield view
    finally:
        await view.close()


async def whole(messages: AsyncIterator[usage_pb2.WatchUsageResponse]) -> list[usage_pb2.WatchUsageResponse]:
    """Messages up to one that completes what is known."""
    found = [await anext(messages)]
    while not found[-1].complete:
        found.append(await anext(messages))
    return found


async def test_everything_is_told_in_pages_then_only_what_changes(bench: Bench) -> None:
    for number in range(9):
        await bench.calls(2, f"subject-{number}")
    async with bench.serving() as address, watching(address) as messages:
        first = await whole(messages)
        assert len(first) > 1
        minutes = [one for page in first for one in page.buckets if one.window == usage_pb2.USAGE_WINDOW_MINUTE]
        assert sum(one.calls for one in minutes) == 18
        await bench.calls(1, "subject-3")
        more = await anext(messages)
        while not more.buckets:
            more = await anext(messages)
        assert len({one.key for one in more.buckets}) == 1
        assert more.position > first[-1].position


async def test_a_heartbeat_comes_when_nothing_changes(bench: Bench) -> None:
    async with bench.serving() as address, watching(address) as messages:
        beats = [await anext(messages) for _ in range(3)]
    assert all(beat.complete and not beat.buckets and not beat.restarted for beat in beats)
    gaps = [after.time_us - before.time_us for before, after in pairwise(beats)]
    assert max(gaps) < 2_000_000


async def test_who_comes_back_is_told_only_what_it_missed(bench: Bench) -> None:
    await bench.calls(1, "bob")
    async with bench.serving() as address:
        async with watching(address) as messages:
            position = (await whole(messages))[-1].position
        await bench.calls(1)
        async with watching(address, position) as messages:
            missed = await whole(messages)
    assert len({one.key for page in missed for one in page.buckets}) == 1
    assert not missed[0].restarted


async def test_a_position_of_a_future_that_is_no_more_begins_anew(bench: Bench) -> None:
    await bench.calls(3)
    async with bench.serving() as address, watching(address, 10_000) as messages:
        first, *rest = await whole(messages)
    assert first.restarted
    assert not any(page.restarted for page in rest)
    assert sum(one.calls for page in (first, *rest) for one in page.buckets) == 9


async def test_nothing_is_told_while_the_database_is_away(bench: Bench) -> None:
    async with bench.serving() as address, watching(address) as messages:
        await whole(messages)
        bench.record.away = True
        pending = asyncio.ensure_future(anext(messages))
        await asyncio.wait([pending], timeout=2.5 * server_module.HEARTBEAT_S)
        # One more may have been on its way.
        if pending.done():
            pending = asyncio.ensure_future(anext(messages))
            await asyncio.wait([pending], timeout=1.5 * server_module.HEARTBEAT_S)
        assert not pending.done()
        bench.record.away = False
        assert (await pending).complete


async def test_too_many_watchers_are_turned_away_and_those_who_left_do_not_count(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MAX_WATCHERS", 1)
    async with bench.serving() as address:
        async with watching(address) as messages:
            await anext(messages)
            with pytest.raises(grpc.aio.AioRpcError, match="RESOURCE_EXHAUSTED"):
                async with watching(address) as others:
                    await anext(others)

        async def admitted() -> bool:
            try:
                async with watching(address) as messages:
                    return bool((await anext(messages)).complete)
            except grpc.aio.AioRpcError:
                return False

        async with asyncio.timeout(SOON_S):
            while not await admitted():
                pass


async def test_streams_end_well_when_the_recorder_stops(bench: Bench) -> None:
    async with bench.serving() as address, watching(address) as messages:
        await whole(messages)
        bench.server.drain()
        rest = [message async for message in messages]
    assert len(rest) <= 1, "at most the message that was on its way"


async def test_a_view_knows_what_was_counted_before_and_hears_what_comes(bench: Bench) -> None:
    await bench.calls(4)
    async with bench.serving() as address, viewing(address) as view:
        assert not view.fresh
        await until(lambda: view.fresh)
        assert view.of(ALICE, "orders", now_us()).calls_24h == 4
        session = new_id()
        events = [request(session, time_us=now_us()), response(session, time_us=now_us(), row_count=30, size_bytes=9)]
        await bench.record.append([accept(to_message(event)) for event in events])
        counter = asyncio.ensure_future(UsageCounter(bench.usage).run())
        await until(lambda: view.of(ALICE, "orders", now_us()).rows_1m == 30)
        usage = view.of(ALICE, "orders", now_us())
        assert (usage.calls_1m, usage.calls_1h, usage.bytes_24h) == (5, 5, 9)
        assert len(view.departures(ALICE, "orders", Window.MINUTE, now_us())) >= 1
        counter.cancel()
        await asyncio.gather(counter, return_exceptions=True)


async def test_a_view_goes_on_at_another_recorder_where_it_was(bench: Bench) -> None:
    await bench.calls(4)
    async with AsyncExitStack() as stack:
        async with bench.serving() as address:
            view = await stack.enter_async_context(viewing(address))
            await until(lambda: view.fresh)
        await bench.calls(3)
        bench.server = UsageServer(bench.usage)
        await stack.enter_async_context(bench.serving(address))
        await until(lambda: view.of(ALICE, "orders", now_us()).calls_24h == 7)


async def test_the_counter_counts_on_after_failures_and_when_others_counted(bench: Bench) -> None:
    counter = asyncio.ensure_future(UsageCounter(bench.usage).run())
    bench.record.away = True
    await asyncio.sleep(0)
    bench.usage.busy = True
    bench.record.away = False
    events = [request(time_us=now_us()) for _ in range(5_000)]
    await bench.record.append([accept(to_message(event)) for event in events])
    bench.usage.busy = False

    async with bench.serving() as address, viewing(address) as view:
        await until(lambda: view.fresh and view.of(ALICE, "orders", now_us()).calls_24h >= 5_000)
        assert view.of(ALICE, "orders", now_us()).calls_24h == 5_000
    counter.cancel()
    await asyncio.gather(counter, return_exceptions=True)


async def test_events_that_are_too_much_for_one_statement_do_not_stop_the_counting(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Weak(MemoryUsageStore):
        async def count(self, at_most: int) -> int | None:
            if at_most > 20:
                raise DatabaseUnavailable("the statement took too long")
            return await super().count(at_most)

    monkeypatch.setattr(counter_module, "EVERY_S", 0.001)
    monkeypatch.setattr(counter_module, "LONGEST_WAIT_S", 0.001)
    bench.usage = Weak(bench.record)
    bench.server = UsageServer(bench.usage)
    events = [request(time_us=now_us()) for _ in range(100)]
    await bench.record.append([accept(to_message(event)) for event in events])
    counter = asyncio.ensure_future(UsageCounter(bench.usage).run())
    async with bench.serving() as address, viewing(address) as view:
        await until(lambda: view.of(ALICE, "orders", now_us()).calls_24h == 100)
    counter.cancel()
    await asyncio.gather(counter, return_exceptions=True)


async def test_as_many_old_buckets_are_pruned_as_there_are(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(MemoryUsageStore):
        pruned = 0

        async def prune(self, at_most: int) -> int:
            self.pruned += 1
            return at_most if self.pruned < 100 else 0

    monkeypatch.setattr(counter_module, "EVERY_S", 0.001)
    monkeypatch.setattr(counter_module, "PRUNE_EVERY_S", 0.5)
    full = Full(bench.record)
    counter = asyncio.ensure_future(UsageCounter(full).run())
    # Far fewer than a hundred times half a second.
    await until(lambda: full.pruned >= 100)
    counter.cancel()
    await asyncio.gather(counter, return_exceptions=True)
