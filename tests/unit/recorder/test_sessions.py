"""The SessionService over a store in memory: who may read, what is refused, that readings are recorded first."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

import grpc
import pytest

from countersign.api.recorder.v1 import event_pb2, session_pb2, session_pb2_grpc
from countersign.model.principal import Principal
from countersign.recorder.audit import AuditTrail, auditor_session
from countersign.recorder.committer import Committer
from countersign.recorder.door import PRINCIPAL_METADATA, Door
from countersign.recorder.entry import accept, to_event
from countersign.recorder.ports import SealRow, SessionRow
from countersign.recorder.sessions import SessionServer, to_session
from countersign.recorder.who import Who
from countersign.runtime.live import Live
from countersign.runtime.recording import to_message
from countersign.runtime.sealing import KEY_BYTES, Sealer
from tests.support.events import ALICE, START_US, new_id, request
from tests.support.memory_store import MemoryStore
from tests.support.recorders import SEALER, until
from tests.support.revoking import FakeRevocations, of_principal

CAROL = replace(ALICE, subject="carol", groups=("auditors",))
ASKED = session_pb2.ListSessionsRequest()


@dataclass
class House:
    """The service, what stands behind it, and who asks."""

    store: MemoryStore
    waits: list[float] = field(default_factory=list)
    stuck: asyncio.Event = field(default_factory=asyncio.Event)
    hold: bool = False
    auditors: set[str] = field(default_factory=lambda: {"auditors"})
    channel: grpc.aio.Channel | None = None
    service: SessionServer | None = None
    revocations: FakeRevocations = field(default_factory=FakeRevocations)

    async def sleep(self, wait_s: float) -> None:
        self.waits.append(wait_s)
        await asyncio.sleep(0)
        if self.hold:
            self.stuck.set()
            await asyncio.Event().wait()

    @property
    def stub(self) -> session_pb2_grpc.SessionServiceAsyncStub:
        assert self.channel is not None
        return session_pb2_grpc.SessionServiceStub(self.channel)

    def replays_under_way(self) -> int:
        assert self.service is not None
        return self.service._replays

    async def record(self, *events: event_pb2.Event) -> None:
        await self.store.append([accept(event) for event in events])

    def audits(self) -> list[event_pb2.Event]:
        return [to_event(entry.record, entry.body) for *_, entry in self.store.rows if entry.kind == 6]

    async def replay(self, asked: session_pb2.ReplaySessionRequest) -> list[event_pb2.RecordedEvent]:
        return [one.event async for one in self.stub.ReplaySession(asked, metadata=by(CAROL))]


def by(principal: Principal) -> tuple[tuple[str, str], ...]:
    return ((PRINCIPAL_METADATA, SEALER.seal_principal(principal)),)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House(MemoryStore())
    committer = Committer(house.store, queue_events=100, queue_bytes=10**7)

    running = asyncio.ensure_future(committer.run())
    server = grpc.aio.server()
    service = SessionServer(
        house.store,
        Door(
            AuditTrail(committer),
            live=Live(house.revocations, lambda: 1),
            open_principal=SEALER.open_principal,
            is_auditor=lambda principal: bool(house.auditors & set(principal.groups)),
        ),
        sleep=house.sleep,
    )
    house.service = service
    session_pb2_grpc.add_SessionServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        house.channel = channel
        yield house
    await server.stop(None)
    await committer.close(grace_s=0.1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


FOREIGN = Sealer(bytes(KEY_BYTES - 1) + b"1").seal_principal(CAROL)


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        ((PRINCIPAL_METADATA, ""),),
        ((PRINCIPAL_METADATA, "x"),),
        ((PRINCIPAL_METADATA, FOREIGN),),
        (*by(CAROL), *by(CAROL)),
    ],
)
async def test_nobody_and_the_unclear_are_unauthenticated(house: House, metadata: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.stub.ListSessions(ASKED, metadata=metadata)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_others_are_refused_and_their_attempts_recorded(house: House) -> None:
    session = new_id()
    await house.record(to_message(request(session)))
    for call in (
        house.stub.ListSessions(ASKED, metadata=by(ALICE)),
        house.stub.GetSession(session_pb2.GetSessionRequest(session_id=session), metadata=by(ALICE)),
        house.stub.ReplaySession(session_pb2.ReplaySessionRequest(session_id=session), metadata=by(ALICE)).read(),
        house.stub.StreamCalls(session_pb2.StreamCallsRequest(), metadata=by(ALICE)).read(),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    # The four calls began together.
    assert {(one.method, one.decision.outcome, one.principal.subject) for one in house.audits()} == {
        (method, event_pb2.OUTCOME_DENY, "alice")
        for method in ("ListSessions", "GetSession", "ReplaySession", "StreamCalls")
    }
    assert len(house.audits()) == 4


async def test_no_form_of_a_question_keeps_an_attempt_off_the_record(house: House) -> None:
    asked = session_pb2.ListSessionsRequest()
    asked.filter.since.seconds = 2**60
    wordy = session_pb2.GetSessionRequest(session_id="\0" * 15_000)
    for call in (
        house.stub.ListSessions(asked, metadata=by(ALICE)),
        house.stub.GetSession(wordy, metadata=by(ALICE)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert sorted(one.method for one in house.audits()) == ["GetSession", "ListSessions"]
    assert all(json.loads(one.body) for one in house.audits())


@pytest.mark.parametrize("principal", [ALICE, CAROL])
async def test_oversize_question_is_refused_and_cannot_fill_the_record(house: House, principal: Principal) -> None:
    asked = session_pb2.GetSessionRequest(session_id="x" * 20_000)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.stub.GetSession(asked, metadata=by(principal))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert house.audits() == []


async def test_every_reading_is_recorded_in_the_auditors_own_session(house: House) -> None:
    session = new_id()
    await house.record(to_message(request(session)))
    await house.stub.ListSessions(session_pb2.ListSessionsRequest(page_size=7), metadata=by(CAROL))
    await house.stub.GetSession(session_pb2.GetSessionRequest(session_id=session), metadata=by(CAROL))
    await house.replay(session_pb2.ReplaySessionRequest(session_id=session, from_sequence=1))
    audits = house.audits()
    assert [(one.method, one.name) for one in audits] == [
        ("ListSessions", ""),
        ("GetSession", session),
        ("ReplaySession", session),
    ]
    assert {(one.session_id, one.target, one.principal.subject) for one in audits} == {
        (str(auditor_session(CAROL)), "countersign", "carol")
    }
    assert json.loads(audits[0].body) == {"page_size": 7}
    assert auditor_session(CAROL) != auditor_session(replace(CAROL, token_id="other"))


async def test_nothing_is_read_when_the_reading_cannot_be_recorded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = new_id()
    await house.record(to_message(request(session)))
    monkeypatch.setattr("countersign.recorder.audit._WAIT_S", 0.05)

    async def refuse(_: object) -> list[object]:
        raise AssertionError("read before it was recorded")

    async def hang(_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(house.store, "session", refuse)
    monkeypatch.setattr(house.store, "append", hang)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.stub.GetSession(session_pb2.GetSessionRequest(session_id=session), metadata=by(CAROL))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_pages_lead_through_all_sessions(house: House) -> None:
    sessions = [new_id() for _ in range(5)]
    for session in sessions:
        await house.record(to_message(request(session)))
    asked = session_pb2.ListSessionsRequest(page_size=2, filter=session_pb2.SessionFilter(target="orders"))
    found: list[str] = []
    while True:
        page = await house.stub.ListSessions(asked, metadata=by(CAROL))
        found += [one.session_id for one in page.sessions]
        if not page.next_page_token:
            break
        asked.page_token = page.next_page_token
    assert found == sessions[::-1]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (session_pb2.ReplaySessionRequest(session_id="7"), grpc.StatusCode.INVALID_ARGUMENT),
        (session_pb2.ReplaySessionRequest(session_id=new_id()), grpc.StatusCode.NOT_FOUND),
        (
            session_pb2.ReplaySessionRequest(session_id=new_id(), original_pace=True, max_wait_seconds=3601),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
    ],
)
async def test_replay_of_nothing_is_refused(
    house: House, asked: session_pb2.ReplaySessionRequest, status: grpc.StatusCode
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.replay(asked)
    assert caught.value.code() is status


async def test_replay_gives_all_events_in_order_from_where_it_was_asked(house: House) -> None:
    session = new_id()
    events = [to_message(request(session)) for _ in range(10)]
    await house.record(*events)
    found = await house.replay(session_pb2.ReplaySessionRequest(session_id=session, from_sequence=4))
    assert [(one.sequence, one.event) for one in found] == list(enumerate(events))[4:]
    assert all(one.HasField("recorded_at") for one in found)
    beyond = session_pb2.ReplaySessionRequest(session_id=session, from_sequence=2**64 - 1)
    assert await house.replay(beyond) == []


async def test_pace_is_the_original_and_bounded(house: House) -> None:
    session = new_id()
    times = [0, 500_000, 400_000, 60_000_000]
    await house.record(*[to_message(request(session, time_us=START_US + time)) for time in times])
    asked = session_pb2.ReplaySessionRequest(session_id=session, original_pace=True, max_wait_seconds=20)
    assert len(await house.replay(asked)) == 4
    assert house.waits == [0.5, 20]


async def test_replay_ends_when_its_reader_goes_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countersign.recorder.sessions.MAX_REPLAYS", 1)
    session = new_id()
    await house.record(*[to_message(request(session, time_us=START_US + time)) for time in (0, 9)])
    house.hold = True
    asked = session_pb2.ReplaySessionRequest(session_id=session, original_pace=True)
    call = house.stub.ReplaySession(asked, metadata=by(CAROL))
    await call.read()
    await house.stuck.wait()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.replay(asked)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    call.cancel()
    house.hold = False

    await until(lambda: house.replays_under_way() == 0)
    assert len(await house.replay(asked)) == 2


async def test_a_following_reader_hears_what_comes_and_leaves_room_for_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("countersign.recorder.sessions.MAX_FOLLOWS", 1)
    session = new_id()
    await house.record(to_message(request(session)))
    asked = session_pb2.ReplaySessionRequest(session_id=session, follow=True)
    call = house.stub.ReplaySession(asked, metadata=by(CAROL))
    heard = call.__aiter__()
    assert (await anext(heard)).event.sequence == 0
    await house.record(to_message(request(session)))
    assert (await anext(heard)).event.sequence == 1
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.replay(asked)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(await house.replay(session_pb2.ReplaySessionRequest(session_id=session))) == 2
    assert house.service is not None
    house.service.drain()
    assert [one async for one in heard] == []
    await until(lambda: house.replays_under_way() == 0)


async def test_who_is_no_auditor_any_more_follows_no_more(house: House) -> None:
    session = new_id()
    await house.record(to_message(request(session)))
    heard = house.stub.ReplaySession(
        session_pb2.ReplaySessionRequest(session_id=session, follow=True), metadata=by(CAROL)
    ).__aiter__()
    await anext(heard)
    house.auditors.clear()
    await house.record(to_message(request(session)))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(heard)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


class _Fading(set[str]):
    """The groups of auditors: whoever is in one is in none when that is asked again."""

    def __and__(self, other: AbstractSet[object]) -> set[str]:
        found = super().__and__(other)
        self.clear()
        return found


@pytest.mark.parametrize("what", ["replay", "calls"])
async def test_who_is_no_auditor_any_more_is_told_no_more_of_what_takes_long(house: House, what: str) -> None:
    session = new_id()
    await house.record(to_message(request(session)))
    house.auditors = _Fading({"auditors"})
    asked = session_pb2.StreamCallsRequest()
    asked.since.FromSeconds(0)
    asked.until.GetCurrentTime()
    paced = session_pb2.ReplaySessionRequest(session_id=session, original_pace=True)
    replay = what == "replay"
    stub = house.stub
    call = stub.ReplaySession(paced, metadata=by(CAROL)) if replay else stub.StreamCalls(asked, metadata=by(CAROL))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(call))
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_session_tells_its_seal_and_what_it_goes_on_from() -> None:
    row = SessionRow(UUID(int=1), 0, Who("i", "alice", (), "person", "t"), "orders", 1, 2, 8, 1, 0, 0, 0, UUID(int=2))
    assert not to_session(row).HasField("seal")
    sealed_at = datetime(2026, 11, 22, tzinfo=UTC)
    found = to_session(replace(row, seal=SealRow(7, b"r" * 32, 3, sealed_at, "ended")))
    assert found.seal == event_pb2.Seal(event_count=7, root=b"r" * 32, unanswered_count=3)
    assert (found.sealed_at.ToDatetime(UTC), found.seal_reason, found.continues) == (
        sealed_at,
        "ended",
        str(UUID(int=2)),
    )


async def test_missing_event_is_told_and_not_passed_over(house: House) -> None:
    session = new_id()
    await house.record(*[to_message(request(session)) for _ in range(5)])
    del house.store.rows[2]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.replay(session_pb2.ReplaySessionRequest(session_id=session))
    assert caught.value.code() is grpc.StatusCode.DATA_LOSS


async def test_store_that_is_away_is_unavailable(house: House) -> None:
    async def away(*_: object, **__: object) -> None:
        house.store.away = True
        await house.store.ping()

    house.store.sessions = away  # type: ignore[method-assign,assignment]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.stub.ListSessions(ASKED, metadata=by(CAROL))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    await until(lambda: house.store.away)


async def test_a_replay_that_waits_ends_at_once_for_a_reader_who_is_revoked(house: House) -> None:
    await house.record(*[to_message(request(time_us=START_US + number)) for number in range(1)])
    session_id = to_event(house.store.rows[0][-1].record, house.store.rows[0][-1].body).session_id
    house.hold = True
    asked = session_pb2.ReplaySessionRequest(session_id=session_id, follow=True)
    replay = house.stub.ReplaySession(asked, metadata=by(CAROL))
    assert await replay.read() is not grpc.aio.EOF
    await house.stuck.wait()
    house.revocations.revoke(of_principal(CAROL))
    assert await replay.code() is grpc.StatusCode.UNAUTHENTICATED
    await until(lambda: not house.replays_under_way())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.stub.GetSession(session_pb2.GetSessionRequest(session_id=session_id), metadata=by(CAROL))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    house.revocations.forget()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.stub.GetSession(session_pb2.GetSessionRequest(session_id=session_id), metadata=by(CAROL))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
