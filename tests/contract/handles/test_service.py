"""The recorder's handles as authz and masker have them: bound to their owners, bounded, and away when it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from uuid import UUID

import grpc
import pytest

from countersign.api.access.v1 import handles_pb2 as pb
from countersign.api.access.v1 import handles_pb2_grpc
from countersign.mcp import Handle, HandleKind
from countersign.model.continuation import next_session
from countersign.model.event import EventKind
from countersign.recorder.handles import HandleRoom
from countersign.recorder.handles.server import MOST_AT_ONCE, MOST_MASKS
from countersign.recorder.handles.shares import Bounds
from countersign.runtime.handles import LIFETIME_US, HandleOwner, HandlesAway, Known, RecorderHandles
from countersign.runtime.moments import now_us
from tests.support.events import new_id, request, response
from tests.support.memory_handles import MemoryHandleStore
from tests.support.recorders import running_recorder, running_sender

KEY = bytes(range(32))
ALICE = HandleOwner("session-1", "https://issuer.example", "alice", "orders")
HASH = bytes(16)
BOUNDS = Bounds(target=4_000, principal=3_000, both=2_400)


class Clocked(MemoryHandleStore):
    """A store whose clock a test turns."""

    def __init__(self) -> None:
        self.later_us = 0
        super().__init__(clock_us=lambda: now_us() + self.later_us)


@pytest.fixture
def kept() -> Clocked:
    return Clocked()


@pytest.fixture
async def served(kept: Clocked) -> AsyncIterator[tuple[HandleRoom, str]]:
    room, server = HandleRoom(kept, BOUNDS), grpc.aio.server()
    room.register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield room, f"127.0.0.1:{port}"
    await server.stop(None)


@pytest.fixture
async def handles(served: tuple[HandleRoom, str]) -> AsyncIterator[RecorderHandles]:
    client = RecorderHandles(served[1], KEY)
    await client.start()
    yield client
    await client.close()


@pytest.mark.parametrize(
    ("kind", "same", "others"),
    [
        (
            HandleKind.REQUEST,
            [replace(ALICE, target="another")],
            [replace(ALICE, session_id="session-2")],
        ),
        (
            HandleKind.OWN_TASK,
            [replace(ALICE, target="another")],
            [replace(ALICE, session_id="session-2")],
        ),
        (
            HandleKind.STATE,
            [replace(ALICE, session_id="session-2")],
            [replace(ALICE, subject="bob"), replace(ALICE, issuer="x"), replace(ALICE, target="another")],
        ),
        (
            HandleKind.TASK,
            [replace(ALICE, session_id="session-2")],
            [replace(ALICE, subject="bob"), replace(ALICE, issuer="x"), replace(ALICE, target="another")],
        ),
    ],
)
async def test_a_handle_is_good_for_whom_it_was_shown_to(
    handles: RecorderHandles, kind: HandleKind, same: list[HandleOwner], others: list[HandleOwner]
) -> None:
    handle = Handle(kind, "1", "roots/list")
    await handles.keep(ALICE, [handle])
    for owner in (ALICE, *same):
        assert await handles.find(owner, [handle]) == [Known("roots/list")]
    for owner in others:
        assert await handles.find(owner, [handle]) == [None]
    for other in HandleKind:
        assert (await handles.find(ALICE, [Handle(other, "1")]) == [None]) is (other is not kind)
    assert await handles.find(ALICE, [Handle(kind, '"1"')]) == [None]


async def test_another_key_knows_nothing_of_it(handles: RecorderHandles, served: tuple[HandleRoom, str]) -> None:
    await handles.keep(ALICE, [Handle(HandleKind.STATE, "opaque")])
    stranger = RecorderHandles(served[1], bytes(32))
    await stranger.start()
    assert await stranger.find(ALICE, [Handle(HandleKind.STATE, "opaque")]) == [None]
    await stranger.close()


async def test_a_task_is_known_for_as_long_as_its_target_says_and_a_month_at_most(
    handles: RecorderHandles, kept: Clocked
) -> None:
    tasks = [
        Handle(HandleKind.TASK, str(days), "", lifetime_us=int(days * LIFETIME_US)) for days in (0, 0.5, 3, 40, 10**6)
    ]
    await handles.keep(ALICE, tasks)
    for day, known in ((0.9, 5), (1.1, 3), (2.9, 3), (3.1, 2), (29.9, 2), (30.1, 0)):
        kept.later_us = int(day * LIFETIME_US)
        assert sum(what is not None for what in await handles.find(ALICE, tasks)) == known


async def test_the_end_of_a_session_ends_what_it_was_asked_and_nothing_else(handles: RecorderHandles) -> None:
    some = [
        *(Handle(HandleKind.REQUEST, "1"), Handle(HandleKind.OWN_TASK, "t")),
        *(Handle(HandleKind.STATE, "a"), Handle(HandleKind.TASK, "t")),
    ]
    await handles.keep(ALICE, some)
    await handles.drop_session(ALICE)
    assert await handles.find(ALICE, some) == [None, None, Known(), Known()]


async def test_more_than_fit_into_one_message_are_kept_and_found(handles: RecorderHandles) -> None:
    many = [Handle(HandleKind.TASK, f"task {number}") for number in range(MOST_AT_ONCE + 1)]
    await handles.keep(ALICE, many)
    assert await handles.find(ALICE, [*many, Handle(HandleKind.TASK, "x")]) == [*[Known()] * len(many), None]


async def test_a_store_that_is_away_or_full_fails_the_call_and_not_the_recorder(
    handles: RecorderHandles, served: tuple[HandleRoom, str], kept: Clocked
) -> None:
    room, handle = served[0], Handle(HandleKind.STATE, "opaque")
    await handles.keep(ALICE, [handle])
    await room.tend(most_held=1)
    with pytest.raises(HandlesAway):
        await handles.keep(ALICE, [handle])
    await room.tend()
    await handles.keep(ALICE, [handle])
    kept.away = True
    assert await room.tend() == 0
    for asked in (
        handles.keep(ALICE, [handle]),
        handles.find(ALICE, [handle]),
        handles.take(ALICE, [replace(handle, answer="{}")]),
        handles.spend(ALICE, [replace(handle, answer="{}")]),
        handles.drop_session(ALICE),
        handles.has_ended(new_id(), new_id()),
    ):
        with pytest.raises(HandlesAway):
            await asked


def tasks(count: int, first: int = 0) -> list[Handle]:
    return [Handle(HandleKind.TASK, f"task {number}") for number in range(first, first + count)]


@pytest.mark.parametrize(
    ("owners", "refused", "others"),
    [
        ([ALICE], [ALICE], [replace(ALICE, subject="bob"), replace(ALICE, target="another")]),
        (
            [replace(ALICE, subject=subject) for subject in ("bob", "carol", "dora", "erin")],
            [ALICE, replace(ALICE, subject="frank")],
            [replace(ALICE, target="another"), replace(ALICE, subject="bob", target="another")],
        ),
        (
            [replace(ALICE, target=target) for target in ("one", "two", "three")],
            [ALICE, replace(ALICE, target="four")],
            [replace(ALICE, subject="bob"), replace(ALICE, subject="bob", target="one")],
        ),
    ],
    ids=["a principal at a target", "a target", "a principal"],
)
async def test_who_floods_is_refused_alone(
    handles: RecorderHandles,
    served: tuple[HandleRoom, str],
    owners: list[HandleOwner],
    refused: list[HandleOwner],
    others: list[HandleOwner],
) -> None:
    async def flood() -> None:
        for owner in owners:
            for first in range(0, BOUNDS.both, 100):
                await handles.keep(owner, tasks(100, first))

    await served[0].tend()
    # Where nobody knows how much a share holds, it is taken to hold half of what it may.
    with pytest.raises(HandlesAway):
        await flood()
    for _ in range(3):
        await served[0].tend()
        with pytest.raises(HandlesAway):
            await flood()
    for owner in refused:
        with pytest.raises(HandlesAway):
            await handles.keep(owner, tasks(1_000, 10_000))
    for owner in others:
        await handles.keep(owner, tasks(1))
        assert await handles.find(owner, tasks(1)) == [Known()]


async def test_who_flooded_is_served_again_once_that_is_over(
    handles: RecorderHandles, served: tuple[HandleRoom, str], kept: Clocked
) -> None:
    with pytest.raises(HandlesAway):
        await handles.keep(ALICE, tasks(BOUNDS.both))
    assert (await handles.find(ALICE, tasks(1))) == [Known()], "what was shown before stays good"
    kept.later_us = 31 * LIFETIME_US
    await served[0].tend()
    await handles.keep(ALICE, tasks(500))


async def test_the_masks_of_all_calls_that_showed_a_handle_are_known(handles: RecorderHandles) -> None:
    state = Handle(HandleKind.STATE, "opaque")
    await handles.keep(ALICE, [state], ("secrets", "pii"))
    await handles.keep(ALICE, [state], ("cards",))
    assert await handles.find(ALICE, [state]) == [Known(masks=("cards", "pii", "secrets"))]


async def test_a_request_is_taken_for_one_answer_and_spent_once(handles: RecorderHandles) -> None:
    asked = Handle(HandleKind.REQUEST, "1", "ping")
    yes, no = replace(asked, answer='{"result":{}}'), replace(asked, answer='{"result":{ }}')
    await handles.keep(ALICE, [asked])
    assert not await handles.spend(ALICE, [yes]), "nobody took it"
    assert await handles.take(ALICE, [yes])
    assert not await handles.take(ALICE, [no])
    assert not await handles.spend(ALICE, [no])
    assert await handles.take(ALICE, [yes])
    assert await handles.spend(ALICE, [yes])
    assert not await handles.spend(ALICE, [yes])
    assert not await handles.take(ALICE, [yes])


async def test_who_is_not_connected_knows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countersign.runtime.handles.TIMEOUT_S", 0.1)
    handles = RecorderHandles("127.0.0.1:1", KEY)
    with pytest.raises(HandlesAway):
        await handles.find(ALICE, [Handle(HandleKind.STATE, "opaque")])
    await handles.start()
    with pytest.raises(HandlesAway):
        await handles.find(ALICE, [Handle(HandleKind.STATE, "opaque")])
    await handles.close()


def keeping(
    *handles: pb.Handle, target: bytes = HASH, principal: bytes = HASH, masks: Sequence[str] = ()
) -> pb.KeepHandlesRequest:
    return pb.KeepHandlesRequest(handles=handles, target=target, principal=principal, masks=masks)


@pytest.mark.parametrize(
    "request_",
    [
        keeping(),
        keeping(pb.Handle(scope=HASH, mark=HASH)),
        keeping(pb.Handle(scope=HASH, mark=HASH, lifetime_us=31 * LIFETIME_US)),
        keeping(pb.Handle(scope=HASH, mark=HASH, what="x" * 200, lifetime_us=1)),
        keeping(pb.Handle(scope=HASH, mark=HASH, what="\0", lifetime_us=1)),
        keeping(pb.Handle(scope=HASH, mark=HASH, lifetime_us=1), target=b""),
        keeping(pb.Handle(scope=HASH, mark=HASH, lifetime_us=1), principal=b"short"),
        keeping(pb.Handle(scope=HASH, mark=HASH, lifetime_us=1), masks=["\0"]),
        keeping(pb.Handle(scope=HASH, mark=HASH, lifetime_us=1), masks=["x"] * (MOST_MASKS + 1)),
        pb.FindHandlesRequest(handles=[pb.Handle(scope=HASH, mark=b"short")]),
        pb.FindHandlesRequest(handles=[pb.Handle(scope=b"", mark=HASH)]),
        pb.FindHandlesRequest(handles=[pb.Handle(scope=HASH, mark=HASH)] * (MOST_AT_ONCE + 1)),
        pb.TakeHandlesRequest(handles=[pb.Handle(scope=HASH, mark=HASH, answer=HASH)] * 2),
        pb.TakeHandlesRequest(handles=[pb.Handle(scope=HASH, mark=HASH)]),
        pb.SpendHandlesRequest(handles=[pb.Handle(scope=HASH, mark=HASH, answer=b"x")]),
        pb.DropHandlesRequest(scope=b"x"),
        pb.HasEndedRequest(session_id="x", call_id=str(new_id())),
    ],
)
async def test_what_is_not_well_formed_is_refused(served: tuple[HandleRoom, str], request_: object) -> None:
    async with grpc.aio.insecure_channel(served[1]) as channel:
        stub = handles_pb2_grpc.HandleServiceStub(channel)
        method = getattr(stub, type(request_).__name__.removesuffix("Request"))
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await method(request_, timeout=5)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_call_has_ended_once_its_answer_is_on_the_record(dsn: str) -> None:
    async with running_recorder(dsn) as (_, address), running_sender(address) as sender:
        handles = RecorderHandles(address, KEY)
        await handles.start()
        first, other = request(), request()
        for event in (first, other):
            await sender.record(event)
        assert not await handles.has_ended(first.session_id, first.call_id)
        await sender.record(response(first.session_id, call_id=first.call_id))
        assert await handles.has_ended(first.session_id, first.call_id)
        assert not await handles.has_ended(other.session_id, other.call_id)
        assert not await handles.has_ended(other.session_id, first.call_id)
        # What nobody waited for is under way at its target still.
        gone = response(other.session_id, call_id=other.call_id, status=0, reason="the caller hung up")
        for event in (gone, replace(gone, event_id=new_id(), kind=EventKind.STREAM_END)):
            await sender.record(event)
            assert not await handles.has_ended(other.session_id, other.call_id)
        # Its session was sealed while it was under way, and went on.
        onwards = str(next_session(UUID(other.session_id)))
        await sender.record(response(onwards, call_id=other.call_id))
        assert await handles.has_ended(other.session_id, other.call_id)
        await handles.close()
