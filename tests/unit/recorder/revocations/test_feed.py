"""Who follows revocations hears all of them, and hears nothing at all while they cannot be read."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import pytest

from countersign.api.access.v1 import revocations_pb2, revocations_pb2_grpc
from countersign.api.recorder.v1 import event_pb2
from countersign.recorder.audit import NotAudited
from countersign.recorder.revocations import asked, feed, follower
from countersign.recorder.revocations.book import RevocationBook
from countersign.recorder.revocations.events import By
from countersign.recorder.revocations.feed import RevocationFeedServer
from countersign.recorder.revocations.follower import Follower
from countersign.recorder.revocations.ports import NotInForce, Revoked
from countersign.runtime.moments import now_us
from tests.support.events import ALICE
from tests.support.memory_revocations import MemoryRevocationStore
from tests.support.recorders import until
from tests.support.revokers import ISSUER, Revoker, following, revocation


@dataclass
class Record:
    """The record; ``stopped``, it takes nothing."""

    store: MemoryRevocationStore
    told: list[event_pb2.Event] = field(default_factory=list)
    stopped: bool = False

    async def __call__(self, event: event_pb2.Event) -> None:
        if self.stopped:
            raise NotAudited
        self.told.append(event)
        self.store.record.add(uuid.UUID(event.event_id))


@dataclass
class World:
    """A feed over a store in memory, and who speaks to it."""

    store: MemoryRevocationStore
    book: RevocationBook
    record: Record
    follower: Follower
    channel: grpc.aio.Channel

    async def revoke(self, value: str = "mallory") -> str:
        return await revoke(self.book, value)


async def revoke(book: RevocationBook, value: str = "mallory") -> str:
    """Have an operator revoke a principal; return the revocation's id."""
    wanted = asked.revocation(revocation(value=value), now_us())
    put = await book.revoke([Revoked(wanted, ISSUER, "olga")], By(ALICE))
    return put.in_force[0].revocation.revocation_id


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, seconds in (
        (feed, "HEARTBEAT_S", 0.02),
        (follower, "LOOK_EVERY_S", 0.02),
        (follower, "RECONNECT_EVERY_S", 0.02),
        (follower, "SILENT_AFTER_S", 0.1),
    ):
        monkeypatch.setattr(module, name, seconds)


@asynccontextmanager
async def world(*, most: int = 1_000) -> AsyncIterator[World]:
    store = MemoryRevocationStore(most=most)
    record = Record(store)
    follows = Follower(store)
    book = RevocationBook(store, record, clock_us=now_us)
    server = grpc.aio.server()
    service = RevocationFeedServer(store, follows, book, clock_us=now_us)
    revocations_pb2_grpc.add_RevocationFeedServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    running = asyncio.ensure_future(follows.run())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield World(store, book, record, follows, channel)
    service.drain()
    await server.stop(1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_nothing_is_told_while_the_store_is_away_and_what_changed_when_it_is_back() -> None:
    async with world() as it:
        first = await it.revoke("first")
        async with following(it.channel) as service:
            await service.knows(first)
            it.store.away = True
            await until(lambda: not it.follower.knows)
            # One that was on its way may still arrive.
            heard = len(service.messages)
            silent_s = time.monotonic()
            await until(lambda: time.monotonic() - silent_s > 10 * feed.HEARTBEAT_S)
            assert len(service.messages) <= heard + 1
            it.store.away = False
            second = await it.revoke("second")
            await service.knows(second)
            assert service.known.keys() == {first, second}
            # It was away, and is the same: nothing is told twice.
            assert not any(one.restarted for one in service.messages)


async def test_all_is_told_anew_when_another_copy_takes_the_store_s_place() -> None:
    async with world() as it:
        stays = await it.revoke("stays")
        older = MemoryRevocationStore()
        older.restore(it.store)
        lost = await it.revoke("lost")
        async with following(it.channel) as service:
            await service.knows(lost)
            it.store.away = True
            await until(lambda: not it.follower.knows)
            it.store.restore(older)
            # Others went on with it: the version says nothing.
            book = RevocationBook(it.store, it.record, clock_us=now_us)
            it.store.away = False
            others = [await revoke(book, f"other {number}") for number in range(3)]
            await service.knows(others[-1])
            assert service.known.keys() == {stays, *others}
            assert any(one.restarted for one in service.messages)


@pytest.mark.parametrize("follows_before", [True, False])
async def test_nothing_is_told_by_a_copy_that_lags_behind(*, follows_before: bool) -> None:
    async with world() as it:
        first = await it.revoke("first")
        lagging = MemoryRevocationStore()
        lagging.restore(it.store)
        async with following(it.channel) as service:
            if follows_before:
                await service.knows(first)
            it.store.readers = lagging
            second = await it.revoke("second")
            await until(lambda: it.follower.newest == 2)
            if not follows_before:
                service.messages.clear()
            heard, since_s = len(service.messages), time.monotonic()
            await until(lambda: time.monotonic() - since_s > 10 * feed.HEARTBEAT_S)
            assert len(service.messages) <= heard + 1
            it.store.readers = None
            await service.knows(second)
            assert service.known.keys() == {first, second}


async def test_a_lost_notification_heals() -> None:
    async with world() as it, following(it.channel) as service:
        it.store.deaf = True
        made = await it.revoke()
        await service.knows(made)


async def test_who_asks_while_the_store_is_away_is_told_nothing_rather_than_that_nothing_is_revoked() -> None:
    async with world() as it:
        made = await it.revoke()
        it.store.away = True
        await until(lambda: not it.follower.knows)
        late = asyncio.ensure_future(_first(it.channel))
        await until(lambda: it.store.looked > 0)
        done, _ = await asyncio.wait([late], timeout=10 * feed.HEARTBEAT_S)
        assert not done
        it.store.away = False
        message = await late
        assert [one.revocation_id for one in message.revocations] == [made]


async def _first(channel: grpc.aio.Channel) -> revocations_pb2.WatchRevocationsResponse:
    call = revocations_pb2_grpc.RevocationFeedServiceStub(channel).WatchRevocations(
        revocations_pb2.WatchRevocationsRequest()
    )
    message = await anext(aiter(call))
    call.cancel()
    return message


async def test_there_are_only_so_many_who_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MAX_WATCHERS", 1)
    async with world() as it, following(it.channel):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await _first(it.channel)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_what_cannot_be_recorded_is_in_force_all_the_same_and_recorded_later() -> None:
    async with world() as it, following(it.channel) as service:
        it.record.stopped = True
        with pytest.raises(NotAudited):
            await it.revoke()
        [made] = [one.revocation.revocation_id for one in await it.store.page("", "", before=None, limit=9, now_us=0)]
        await service.knows(made)
        it.record.stopped = False
        assert await it.book.tend(older_than_s=0) == 1
        [told] = it.record.told
        assert (told.name, told.method, told.reason) == ("mallory", "Revoke", "case 17")


async def test_who_asks_again_for_what_is_not_recorded_yet_has_it_recorded() -> None:
    async with world() as it:
        it.record.stopped = True
        with pytest.raises(NotAudited):
            await it.revoke()
        with pytest.raises(NotAudited):
            await it.revoke()
        it.record.stopped = False
        await it.revoke()
        assert len(it.record.told) == 1


async def test_what_cannot_be_recorded_is_not_lifted() -> None:
    async with world() as it, following(it.channel) as service:
        made = await it.revoke()
        await service.knows(made)
        known = await it.store.get(made, 0)
        assert known is not None
        it.record.stopped = True
        with pytest.raises(NotAudited):
            await it.book.lift(known, "found", By(ALICE))
        assert await it.store.get(made, 0) is not None
        it.record.stopped = False
        # The first to ask is the one who lifts it, as the record says.
        assert not await it.book.lift(known, "found again", By(ALICE))
        await service.forgot(made)
        assert [one.reason for one in it.record.told] == ["case 17", "found"]
        with pytest.raises(NotInForce):
            await it.book.lift(known, "found", By(ALICE))


async def test_what_was_recorded_by_one_that_died_is_not_recorded_again() -> None:
    async with world() as it:
        it.record.stopped = True
        with pytest.raises(NotAudited):
            await it.revoke()
        [untold] = await it.store.overdue(0, 9)
        it.store.record.add(untold.event_id)
        it.record.stopped = False
        assert await it.book.tend(older_than_s=0) == 1
        assert it.record.told == []
        assert await it.book.tend(older_than_s=0) == 0


async def test_what_could_not_be_told_for_a_day_is_told_as_of_now() -> None:
    store = MemoryRevocationStore()
    record = Record(store, stopped=True)
    now = [now_us()]
    book = RevocationBook(store, record, clock_us=lambda: now[0])
    with pytest.raises(NotAudited):
        await revoke(book)
    record.stopped = False
    now[0] += 86_400_000_000
    assert await book.tend(older_than_s=0) == 1
    assert [one.time_us for one in record.told] == now
    assert await book.tend(older_than_s=0) == 0


async def test_issuers_that_tell_too_much_are_told_so() -> None:
    async with world(most=10) as it:
        people = Revoker(it.channel)
        for _ in range(9):
            await people.apply(revocation(by_issuer=ISSUER))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await people.apply(revocation(by_issuer=ISSUER))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        # And operators still can.
        await it.revoke()


async def test_services_that_bring_what_cannot_be_kept_are_told_to_try_again() -> None:
    async with world() as it:
        people = Revoker(it.channel)
        it.store.away = True
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await people.apply(revocation(by_issuer=ISSUER))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        it.store.away = False
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await people.apply(revocation())
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
