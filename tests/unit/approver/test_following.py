"""Nobody who waits for an approval is forgotten, and not too many wait."""

from __future__ import annotations

import asyncio

import pytest

from countersign.approver.following import Following, NoRoom
from countersign.approver.ports import NoSuchApproval
from countersign.model.approval import Approval, ApprovalState, Person
from countersign.runtime.postgres import DatabaseUnavailable
from tests.support.approvals import NOON, owner
from tests.support.approving import asking
from tests.support.memory_approvals import MemoryApprovalStore
from tests.support.recorders import until

ANN = Person("https://idp.test", "ann")


async def asked(store: MemoryApprovalStore) -> Approval:
    return (await store.ask(asking(), NOON)).approval


async def agree(store: MemoryApprovalStore, one: Approval) -> None:
    await store.decide(one.id, owner(), version=one.version, agrees=True, note="", now_us=NOON)


async def test_a_hint_wakes_who_waits_and_no_other() -> None:
    store = MemoryApprovalStore()
    following = Following(store)
    one, other = await asked(store), await asked(store)
    waits = [asyncio.ensure_future(following.wait(each.id, each.version, 300)) for each in (one, other)]
    await until(lambda: following.waiting == 2)
    await agree(store, one)
    following.hint(one.id)
    assert (await asyncio.wait_for(waits[0], 20)).state is ApprovalState.APPROVED
    assert not waits[1].done()
    waits[1].cancel()
    await asyncio.gather(waits[1], return_exceptions=True)
    assert following.waiting == 0


async def test_a_change_that_no_hint_told_of_is_found_also_after_the_database_was_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryApprovalStore()
    following = Following(store, poll_s=0.01)
    one = await asked(store)
    waiting = asyncio.ensure_future(following.wait(one.id, one.version, 300))
    await until(lambda: following.waiting == 1)
    store.away = True
    running = asyncio.ensure_future(following.run())
    await until(lambda: "cannot be told" in caplog.text)
    store.away = False
    await agree(store, one)
    assert (await asyncio.wait_for(waiting, 20)).state is ApprovalState.APPROVED
    running.cancel()


async def test_a_new_approval_that_no_hint_told_of_is_found_by_who_watches() -> None:
    store = MemoryApprovalStore()
    following = Following(store, poll_s=0.01)
    running = asyncio.ensure_future(following.run())
    with following.watching(ANN) as watch:
        one = await asked(store)
        assert await watch.changed(30) == {one.id}
        watch.known[one.id] = one.version
        await agree(store, one)
        assert await watch.changed(30) == {one.id}
    running.cancel()


async def test_what_changed_before_the_wait_began_is_told_at_once() -> None:
    store = MemoryApprovalStore()
    one = await asked(store)
    await agree(store, one)
    assert (await Following(store).wait(one.id, one.version, 300)).version == 2


async def test_a_wait_ends_with_its_time_and_without_one_asks_only() -> None:
    store = MemoryApprovalStore()
    one = await asked(store)
    assert await Following(store).wait(one.id, one.version, 0.0) == one
    assert await Following(store).wait(one.id, one.version, 0.01) == one


async def test_no_more_wait_than_there_is_room_for() -> None:
    store = MemoryApprovalStore()
    following = Following(store, most_waits=1, most_watches=1)
    one = await asked(store)
    waiting = asyncio.ensure_future(following.wait(one.id, one.version, 300))
    await until(lambda: following.waiting == 1)
    with pytest.raises(NoRoom):
        await asyncio.wait_for(following.wait(one.id, one.version, 300), 20)
    with following.watching(ANN), pytest.raises(NoRoom), following.watching(ANN):
        pass
    following.drain()
    with pytest.raises(NoRoom):
        await asyncio.wait_for(waiting, 20)


async def test_nobody_watches_so_often_that_others_cannot() -> None:
    following = Following(MemoryApprovalStore(), most_watches=100, most_watches_each=2)
    elsewhere = Person("https://other.test", ANN.subject)
    with following.watching(ANN), following.watching(ANN):
        with pytest.raises(NoRoom), following.watching(ANN):
            pass
        with following.watching(elsewhere):
            pass
    with following.watching(ANN):
        pass


async def test_who_waits_for_what_is_not_there_or_cannot_be_read_is_told() -> None:
    store = MemoryApprovalStore()
    following = Following(store)
    with pytest.raises(NoSuchApproval):
        await following.wait("5b1f6a54-0f4e-4c0c-8b2e-3a6a1f0d7c11", 1, 30)
    store.away = True
    with pytest.raises(DatabaseUnavailable):
        await following.wait("5b1f6a54-0f4e-4c0c-8b2e-3a6a1f0d7c11", 1, 30)
    assert following.waiting == 0


async def test_who_watches_and_does_not_read_holds_no_more_than_a_bound() -> None:
    following = Following(MemoryApprovalStore())
    with following.watching(ANN) as watch:
        for number in range(6_000):
            following.hint(str(number))
        assert watch.lost
        assert len(await watch.changed(0)) == 5_000
