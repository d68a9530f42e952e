"""The SearchService over a store in memory: who may search, what is refused, that it is recorded first, following."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from countersign.api.recorder.v1 import event_pb2, search_pb2, search_pb2_grpc
from countersign.model.event import Event
from countersign.model.principal import Principal
from countersign.recorder.audit import AuditTrail
from countersign.recorder.committer import Committer
from countersign.recorder.door import PRINCIPAL_METADATA, Door
from countersign.recorder.entry import accept, to_event
from countersign.recorder.search import following, server
from countersign.recorder.search.following import Head
from countersign.recorder.search.server import SearchServer
from countersign.runtime.live import Live
from countersign.runtime.recording import to_message
from tests.support.events import ALICE, new_id, request
from tests.support.memory_search import MemorySearchStore
from tests.support.memory_store import MemoryStore
from tests.support.recorders import SEALER, until
from tests.support.revoking import FakeRevocations, of_principal

CAROL = replace(ALICE, subject="carol", groups=("auditors",))
ORDERS = search_pb2.EventFilter(target="orders")
Answer = search_pb2.FollowEventsResponse


def by(principal: Principal) -> tuple[tuple[str, str], ...]:
    return ((PRINCIPAL_METADATA, SEALER.seal_principal(principal)),)


@dataclass
class House:
    """The service, what stands behind it, and who asks."""

    record: MemoryStore = field(default_factory=MemoryStore)
    auditors: set[str] = field(default_factory=lambda: {"carol"})
    encrypted: bool = False

    def __post_init__(self) -> None:
        self.store = MemorySearchStore(self.record)
        self.head = Head(self.store, every_s=0.002)
        self.revocations = FakeRevocations()
        self.committer = Committer(self.record, queue_events=100, queue_bytes=10**7)
        door = Door(
            AuditTrail(self.committer),
            live=Live(self.revocations, lambda: 1),
            open_principal=SEALER.open_principal,
            is_auditor=lambda principal: principal.subject in self.auditors,
        )
        self.service = SearchServer(self.store, self.head, door, is_encrypted=lambda: self.encrypted)

    async def more(self, *events: Event) -> None:
        await self.record.append([accept(to_message(one)) for one in events])

    def audits(self) -> list[event_pb2.Event]:
        return [to_event(entry.record, entry.body) for *_, entry in self.record.rows if entry.kind == 6]


@dataclass
class Asking(House):
    """The service, asked over gRPC."""

    stub: search_pb2_grpc.SearchServiceAsyncStub = field(init=False)

    async def search(self, **asked: object) -> search_pb2.SearchEventsResponse:
        given = search_pb2.SearchEventsRequest(**{"filter": ORDERS, **asked})  # type: ignore[arg-type]  # as it takes
        return await self.stub.SearchEvents(given, metadata=by(CAROL))

    def follow(self, **asked: object) -> grpc.aio.UnaryStreamCall[search_pb2.FollowEventsRequest, Answer]:
        given = search_pb2.FollowEventsRequest(**{"filter": ORDERS, **asked})  # type: ignore[arg-type]  # as it takes
        return self.stub.FollowEvents(given, metadata=by(CAROL))


@pytest.fixture
async def house() -> AsyncIterator[Asking]:
    house = Asking()
    running = [asyncio.ensure_future(house.committer.run()), asyncio.ensure_future(house.head.run())]
    serving = grpc.aio.server()
    search_pb2_grpc.add_SearchServiceServicer_to_server(house.service, serving)
    port = serving.add_insecure_port("127.0.0.1:0")
    await serving.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        house.stub = search_pb2_grpc.SearchServiceStub(channel)
        yield house
    house.head.drain()
    await serving.stop(None)
    for one in running:
        one.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def refused(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


async def events_of(call: AsyncIterable[Answer], count: int) -> list[event_pb2.RecordedEvent]:
    """The next ``count`` events of a stream, and no more."""
    found: list[event_pb2.RecordedEvent] = []
    async for answer in call:
        found += answer.events
        if len(found) >= count:
            break
    assert len(found) == count
    return found


async def test_a_search_is_recorded_before_anything_is_told(house: Asking) -> None:
    await house.more(request())
    answer = await house.search()
    assert [one.index for one in answer.events] == [0]
    assert answer.complete
    (audit,) = house.audits()
    assert (audit.method, audit.principal.subject, audit.decision.outcome) == ("SearchEvents", "carol", 1)
    assert b'"orders"' in audit.body
    await house.committer.close(grace_s=1)
    assert (await refused(house.search()))[0] == grpc.StatusCode.UNAVAILABLE


async def test_who_is_no_auditor_is_told_nothing_and_recorded(house: Asking) -> None:
    asked = search_pb2.SearchEventsRequest(filter=ORDERS)
    code, _ = await refused(house.stub.SearchEvents(asked, metadata=by(ALICE)))
    assert code == grpc.StatusCode.PERMISSION_DENIED
    assert [one.decision.outcome for one in house.audits()] == [2]


async def test_pages_go_on_where_the_last_ended_whatever_is_recorded_meanwhile(house: Asking) -> None:
    await house.more(*[request() for _ in range(5)])
    answer = await house.search(page_size=2)
    found = [one.index for one in answer.events]
    while answer.next_page_token:
        await house.more(request())
        answer = await house.search(page_size=2, page_token=answer.next_page_token)
        found += [one.index for one in answer.events]
    assert found == [4, 3, 2, 1, 0]


async def test_a_page_with_bodies_is_bounded_by_them_and_loses_none(house: Asking) -> None:
    await house.more(*[request(body=b"x" * 100) for _ in range(5)])
    house.store.page_bytes = 250
    answer = await house.search(bodies=True)
    assert [one.index for one in answer.events] == [4, 3]
    assert {one.event.body for one in answer.events} == {b"x" * 100}
    answer = await house.search(bodies=True, page_token=answer.next_page_token)
    assert [one.index for one in answer.events] == [2, 1]
    assert [one.event.body for one in (await house.search()).events] == [b""] * 5


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"page_size": 501}, "page_size"),
        ({"page_token": "AAAA"}, "page_token"),
        ({"filter": search_pb2.EventFilter(text=" - ")}, "filter.text"),
        ({"filter": search_pb2.EventFilter(text="x" * 501)}, "filter.text"),
        ({"filter": search_pb2.EventFilter(session_id="abc")}, "filter.session_id"),
        ({"filter": search_pb2.EventFilter(call_id=new_id().upper())}, "filter.call_id"),
        ({"filter": search_pb2.EventFilter(approval_id="1")}, "filter.approval_id"),
        ({"filter": search_pb2.EventFilter(outcome=9)}, "filter.outcome"),  # type: ignore[arg-type]  # unknown
        ({"filter": search_pb2.EventFilter(kinds=[event_pb2.EVENT_KIND_UNSPECIFIED])}, "filter.kinds"),
        ({"filter": search_pb2.EventFilter(since=Timestamp(seconds=5), until=Timestamp(seconds=5))}, "filter.until"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_question_that_is_not_well_formed_is_refused_and_says_where(
    house: Asking, asked: dict[str, object], field: str
) -> None:
    code, details = await refused(house.search(**asked))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith(f"{field}:")


async def test_a_token_is_of_its_filter_alone(house: Asking) -> None:
    await house.more(request(), request())
    token = (await house.search(page_size=1)).next_page_token
    code, details = await refused(house.search(page_token=token, filter=search_pb2.EventFilter(target="crm")))
    assert (code, details.partition(":")[0]) == (grpc.StatusCode.INVALID_ARGUMENT, "page_token")


async def test_words_of_encrypted_bodies_are_not_searched(house: Asking) -> None:
    house.encrypted = True
    asked = search_pb2.EventFilter(text="secret")
    code, details = await refused(house.search(filter=asked))
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert "recording.encryption" in details
    assert (await refused(house.follow(filter=asked).read()))[0] == grpc.StatusCode.FAILED_PRECONDITION
    assert (await house.search()).complete


async def test_text_is_found_in_bodies(house: Asking) -> None:
    await house.more(request(body=b'{"a":"green apples"}'), request(body=b'{"a":"red"}'), request(body=b""))
    answer = await house.search(filter=search_pb2.EventFilter(text="apples -red"))
    assert [one.index for one in answer.events] == [0]


async def test_who_follows_misses_nothing_and_gets_nothing_twice(
    house: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "WALK_EVENTS", 3)
    monkeypatch.setattr(following, "PAGE_EVENTS", 2)
    await house.more(*[request() for _ in range(10)])
    call = house.follow(from_index=4)
    found = await events_of(call, 6)
    for _ in range(3):
        await house.more(*[request(target=target) for target in ("orders", "crm", "orders", "crm", "crm")])
        found += await events_of(call, 2)
    call.cancel()
    theirs = [index for index, _, entry in house.record.rows if entry.target == "orders" and index >= 4]
    assert [one.index for one in found] == theirs


async def test_following_begins_with_what_comes_unless_an_index_is_named(house: Asking) -> None:
    await house.more(request())
    call = house.follow()
    reading = asyncio.ensure_future(events_of(call, 1))
    await until(lambda: bool(house.audits()))
    await house.more(request())
    (one,) = await reading
    assert one.index == 2  # behind the record of the question itself
    call.cancel()
    code, details = await refused(house.follow(from_index=99).read())
    assert (code, details.partition(":")[0]) == (grpc.StatusCode.INVALID_ARGUMENT, "from_index")


async def test_who_follows_hears_that_the_stream_lives(house: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following.steps, "__kwdefaults__", {"heartbeat_s": 0.01})
    await house.more(request())
    call = house.follow(from_index=1)
    answers = [await call.read() for _ in range(3)]
    assert [isinstance(one, Answer) and not one.events for one in answers] == [True] * 3
    call.cancel()


async def test_who_follows_shows_again_who_they_are(house: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was true of a token when a stream began is not true for ever."""
    monkeypatch.setattr(following, "LONGEST_S", 0.02)
    monkeypatch.setattr(following.steps, "__kwdefaults__", {"heartbeat_s": 0.005})
    await house.more(request())
    told = [answer async for answer in house.follow(from_index=0)]
    assert [one.index for answer in told for one in answer.events] == [0]
    assert told[-1].next_index > 0


async def test_one_look_serves_all_who_follow_and_nobody_looks_for_none(house: Asking) -> None:
    calls = [house.follow() for _ in range(5)]
    reading = [asyncio.ensure_future(events_of(call, 1)) for call in calls]
    await until(lambda: len(house.audits()) == 5)
    await until(lambda: house.head._waiting == 5)
    before = house.store.looks
    await house.more(request())
    await asyncio.gather(*reading)
    assert house.store.looks - before < 5
    for call in calls:
        call.cancel()
    await until(lambda: house.service._followers == 0)
    assert not house.head._awaited.is_set()


async def test_a_stream_ends_when_the_recorder_drains(house: Asking) -> None:
    call = house.follow()
    reading = asyncio.ensure_future(_all(call))
    await until(lambda: house.head._waiting == 1)
    house.head.drain()
    await reading
    assert await call.code() == grpc.StatusCode.OK


async def test_a_stream_ends_when_an_older_copy_of_the_record_was_restored(
    house: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following.steps, "__kwdefaults__", {"heartbeat_s": 0.05})
    await house.more(request(), request())
    reading = asyncio.ensure_future(_all(house.follow(from_index=2)))
    await until(lambda: house.head._waiting == 1)
    house.store.cut_to = 1
    assert (await refused(reading))[0] == grpc.StatusCode.DATA_LOSS


async def test_who_is_no_auditor_any_more_follows_no_more(house: Asking) -> None:
    call = house.follow()
    reading = asyncio.ensure_future(_all(call))
    await until(lambda: house.head._waiting == 1)
    house.auditors.clear()
    await house.more(request())
    assert (await refused(reading))[0] == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(("bound", "ask"), [("MAX_FOLLOWERS", "follow"), ("MAX_SEARCHES", "search")])
async def test_how_many_search_and_follow_is_bounded(
    house: Asking, monkeypatch: pytest.MonkeyPatch, bound: str, ask: str
) -> None:
    monkeypatch.setattr(server, bound, 0)
    asked: Callable[[], Awaitable[object]] = house.search if ask == "search" else lambda: house.follow().read()
    assert (await refused(asked()))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED


async def _all(call: AsyncIterable[Answer]) -> list[Answer]:
    return [one async for one in call]


async def test_who_follows_and_is_revoked_hears_no_more(house: Asking) -> None:
    await house.more(request())
    call = house.follow(from_index=0)
    assert await call.read() is not grpc.aio.EOF
    house.revocations.revoke(of_principal(CAROL))
    assert await call.code() is grpc.StatusCode.UNAUTHENTICATED
