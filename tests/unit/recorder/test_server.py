"""The Append stream: who is refused, who is not harmed by it, and how a stream ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import grpc
import pytest

from countersign.api.recorder.v1 import event_pb2, recorder_pb2, recorder_pb2_grpc
from countersign.model.continuation import next_session
from countersign.recorder.committer import Committer
from countersign.recorder.entry import DAY_US, Verdict, sealing
from countersign.recorder.server import RecorderServer
from countersign.runtime.recording import to_message
from tests.support.events import START_US, new_id, request
from tests.support.memory_store import MemoryStore
from tests.support.recorders import until

Stream = grpc.aio.StreamStreamCall[recorder_pb2.AppendRequest, recorder_pb2.AppendResponse]


@dataclass
class House:
    store: MemoryStore
    committer: Committer
    server: RecorderServer
    stub: recorder_pb2_grpc.RecorderServiceAsyncStub
    running: asyncio.Task[None]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    store = MemoryStore()
    committer = Committer(store, queue_events=20, queue_bytes=10**7)

    running = asyncio.ensure_future(committer.run())
    service = RecorderServer(committer)
    server = grpc.aio.server()
    recorder_pb2_grpc.add_RecorderServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield House(store, committer, service, recorder_pb2_grpc.RecorderServiceStub(channel), running)
    await server.stop(None)
    await committer.close(grace_s=0.1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def message(event_id: str | None = None, **changes: object) -> event_pb2.Event:
    return to_message(request(event_id=event_id or new_id(), **changes))  # type: ignore[arg-type]


async def answer(stream: Stream) -> recorder_pb2.AppendResponse:
    read = await stream.read()
    assert isinstance(read, recorder_pb2.AppendResponse)
    return read


async def send(stream: Stream, batch_id: int, *events: event_pb2.Event) -> None:
    await stream.write(recorder_pb2.AppendRequest(batch_id=batch_id, events=events))


async def test_bad_event_is_refused_alone_and_told_why(house: House) -> None:
    stream = house.stub.Append()
    bad = message(time_us=0, body=b"never shown")
    await send(stream, 1, message(), bad, message())
    answered = await answer(stream)
    [refused] = answered.refusals
    assert (refused.event_id, refused.code) == (bad.event_id, recorder_pb2.REFUSAL_CODE_INVALID)
    assert "time_us" in refused.message
    assert "never shown" not in refused.message
    assert len(house.store.rows) == 2


async def test_conflict_is_refused_alone_and_told_loudly(house: House, caplog: pytest.LogCaptureFixture) -> None:
    stream = house.stub.Append()
    event_id = new_id()
    await send(stream, 1, message(event_id))
    await answer(stream)
    await send(stream, 2, message(event_id, body=b"other"), message())
    [refused] = (await answer(stream)).refusals
    assert (refused.event_id, refused.code) == (event_id, recorder_pb2.REFUSAL_CODE_CONFLICT)
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]
    assert len(house.store.rows) == 2


async def test_each_refusal_says_why_by_its_code_and_harms_nobody(house: House) -> None:
    stream = house.stub.Append()
    session = UUID(new_id())
    seal = sealing(
        session, target="orders", event_count=1, root=bytes(32), unanswered_count=0, reason="idle", at_us=START_US
    )
    mine = new_id()
    await send(stream, 1, message(session_id=str(session)), message(session_id=mine))
    assert not (await answer(stream)).refusals
    assert await (await house.committer.put([seal])) == [Verdict.RECORDED]
    bad = [
        (message(session_id=str(session)), recorder_pb2.REFUSAL_CODE_SESSION_SEALED),
        (message(session_id=mine, target="payroll"), recorder_pb2.REFUSAL_CODE_WRONG_SESSION),
        (message(time_us=START_US - 2 * DAY_US), recorder_pb2.REFUSAL_CODE_CLOCK_SKEW),
        (message(reason="x" * 70_000), recorder_pb2.REFUSAL_CODE_TOO_LARGE),
        (message(target=""), recorder_pb2.REFUSAL_CODE_INVALID),
    ]
    await send(stream, 2, *[event for event, _ in bad], message())
    refusals = {one.event_id: one for one in (await answer(stream)).refusals}
    assert {event_id: one.code for event_id, one in refusals.items()} == {event.event_id: code for event, code in bad}
    assert refusals[bad[0][0].event_id].continue_as == str(next_session(session))
    assert len(house.store.rows) == 4


async def test_each_batch_is_answered_once_in_order_the_empty_ones_too(house: House) -> None:
    stream = house.stub.Append()
    for number in (7, 5, 9):
        await send(stream, number, *([message()] if number != 5 else []))
    assert [(await answer(stream)).batch_id for _ in range(3)] == [7, 5, 9]
    await stream.done_writing()
    assert await stream.code() is grpc.StatusCode.OK


async def test_too_large_batch_ends_the_stream(house: House) -> None:
    stream = house.stub.Append()
    await send(stream, 1, *[event_pb2.Event()] * 1_001)
    assert await stream.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert house.store.rows == []


async def test_full_queue_stops_the_reading_and_drops_nothing(house: House) -> None:
    house.store.away = True
    streams = [house.stub.Append() for _ in range(6)]
    for stream in streams:
        for number in range(5):
            await send(stream, number, message(), message())
    await until(lambda: house.committer.queue_depth == 20)
    house.store.away = False
    for stream in streams:
        assert [(await answer(stream)).batch_id for _ in range(5)] == list(range(5))
    assert len(house.store.rows) == 60


async def test_drained_stream_ends_well_once_everything_taken_is_answered(house: House) -> None:
    house.store.away = True
    stream = house.stub.Append()
    await send(stream, 1, message())
    await until(lambda: house.committer.queue_depth == 1)
    house.server.drain()
    house.store.away = False
    assert (await answer(stream)).batch_id == 1
    assert await stream.code() is grpc.StatusCode.OK
    late = house.stub.Append()
    assert await late.read() is grpc.aio.EOF


async def test_stopping_recorder_acknowledges_nothing_that_is_not_durable(house: House) -> None:
    house.store.away = True
    stream = house.stub.Append()
    await send(stream, 1, message())
    await until(lambda: house.committer.queue_depth == 1)
    house.running.cancel()
    assert await stream.code() is grpc.StatusCode.UNAVAILABLE
    assert await stream.details() == "the recorder is stopping"
    assert house.store.rows == []


async def test_sender_that_hangs_up_leaves_nothing_behind(house: House) -> None:
    house.store.away = True
    stream = house.stub.Append()
    await send(stream, 1, message())
    await until(lambda: house.committer.queue_depth == 1)
    stream.cancel()
    await until(lambda: not house.server._readers)
    house.store.away = False
    await until(lambda: house.committer.queue_depth == 0)
