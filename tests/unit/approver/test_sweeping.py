"""What is over ends by itself, is recorded, and wakes who waits; what was begun is finished."""

from __future__ import annotations

import asyncio

import pytest

from countersign.approver.finishing import finished
from countersign.approver.following import Following
from countersign.approver.outbox import Outbox
from countersign.approver.sweeping import AT_ONCE, Sweeper
from countersign.model.approval import ApprovalState
from tests.support.approvals import MINUTE, NOON
from tests.support.approving import asking
from tests.support.memory_approvals import MemoryApprovalStore
from tests.support.recorders import until
from tests.support.sinks import Sink


async def test_who_waits_for_what_nobody_decides_hears_that_it_expired_and_so_does_the_record() -> None:
    store, sink, now_us = MemoryApprovalStore(), Sink(), [NOON]
    following, outbox = Following(store), Outbox(store, sink, look_s=300)
    sweeper = Sweeper(store, outbox, following, lambda: now_us[0], every_s=0.01)
    asked = (await store.ask(asking(), NOON)).approval
    waiting = asyncio.ensure_future(following.wait(asked.id, asked.version, 300))
    running = asyncio.gather(sweeper.run(), outbox.run())
    await until(lambda: sweeper.available)
    assert not waiting.done()
    now_us[0] = asked.expires_at_us
    assert (await asyncio.wait_for(waiting, 20)).state is ApprovalState.EXPIRED
    await until(lambda: [event.method for event in sink.durable] == ["asked", "expired"])
    running.cancel()


async def test_it_is_available_as_long_as_the_database_answers() -> None:
    store = MemoryApprovalStore()
    sweeper = Sweeper(store, Outbox(store, Sink()), Following(store), lambda: NOON, every_s=0.01)
    store.away = True
    running = asyncio.ensure_future(sweeper.run())
    for away in (False, True, False):
        store.away = away
        await until(lambda: sweeper.available is not store.away)
    running.cancel()


async def test_more_than_a_batch_ends_without_waiting_for_the_next_time() -> None:
    store = MemoryApprovalStore()
    sweeper = Sweeper(store, Outbox(store, Sink()), Following(store), lambda: NOON + 60 * MINUTE, every_s=300)
    ids = [(await store.ask(asking(), NOON)).approval.id for _ in range(AT_ONCE + 1)]
    running = asyncio.ensure_future(sweeper.run())
    await until(lambda: sweeper.available)
    for each in ids:
        assert (await store.get(each)).state is ApprovalState.EXPIRED
    running.cancel()


async def test_a_change_whose_caller_is_cancelled_is_finished_first() -> None:
    began, goes_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def change() -> None:
        began.set()
        await goes_on.wait()
        done.set()

    calling = asyncio.ensure_future(finished(change()))
    await began.wait()
    calling.cancel()
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert done.is_set()
