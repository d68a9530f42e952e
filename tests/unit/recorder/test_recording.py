"""The sender's side against a scripted recorder that refuses, is silent, breaks and lies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import grpc
import pytest

from countersign.api.recorder.v1 import recorder_pb2, recorder_pb2_grpc
from countersign.model.continuation import next_session
from countersign.runtime.recording import MAX_EVENT_BYTES, NotRecorded, Recorder, to_message
from tests.support.events import new_id, request
from tests.support.recorders import until

EVENT_BYTES = to_message(request()).ByteSize()
Answer = Callable[[recorder_pb2.AppendRequest], recorder_pb2.AppendResponse | None]


def acknowledge(batch: recorder_pb2.AppendRequest) -> recorder_pb2.AppendResponse | None:
    return recorder_pb2.AppendResponse(batch_id=batch.batch_id)


def silent(_: recorder_pb2.AppendRequest) -> recorder_pb2.AppendResponse | None:
    return None


def breaking(_: recorder_pb2.AppendRequest) -> recorder_pb2.AppendResponse | None:
    raise ConnectionResetError


def refuse(batch: recorder_pb2.AppendRequest) -> recorder_pb2.AppendResponse | None:
    first = recorder_pb2.AppendRefusal(event_id=batch.events[0].event_id, message="target is missing")
    return recorder_pb2.AppendResponse(batch_id=batch.batch_id, refusals=[first])


def lie(batch: recorder_pb2.AppendRequest) -> recorder_pb2.AppendResponse | None:
    return recorder_pb2.AppendResponse(batch_id=batch.batch_id + 99)


@dataclass
class Scripted(recorder_pb2_grpc.RecorderServiceServicer):
    answer: Answer = acknowledge
    streams: int = 0
    batches: list[list[str]] = field(default_factory=list)

    async def Append(
        self,
        request_iterator: AsyncIterator[recorder_pb2.AppendRequest],
        context: grpc.aio.ServicerContext[object, object],
    ) -> AsyncIterator[recorder_pb2.AppendResponse]:
        self.streams += 1
        async for batch in request_iterator:
            self.batches.append([event.event_id for event in batch.events])
            try:
                answer = self.answer(batch)
            except ConnectionResetError:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
            if answer is not None:
                yield answer


def seal_first(batch: recorder_pb2.AppendRequest) -> recorder_pb2.AppendResponse | None:
    """All sessions are sealed but those that go on from one."""
    sealed = [event for event in batch.events if not event.continues]
    code = recorder_pb2.REFUSAL_CODE_SESSION_SEALED
    refusals = [
        recorder_pb2.AppendRefusal(
            event_id=event.event_id, code=code, continue_as=str(next_session(UUID(event.session_id)))
        )
        for event in sealed
    ]
    return recorder_pb2.AppendResponse(batch_id=batch.batch_id, refusals=refusals)


def seal_all(batch: recorder_pb2.AppendRequest) -> recorder_pb2.AppendResponse | None:
    """Says what does not go on from the event's session."""
    code, event = recorder_pb2.REFUSAL_CODE_SESSION_SEALED, batch.events[0]
    refused = recorder_pb2.AppendRefusal(event_id=event.event_id, code=code, message="sealed", continue_as=new_id())
    return recorder_pb2.AppendResponse(batch_id=batch.batch_id, refusals=[refused])


@asynccontextmanager
async def serving(scripted: Scripted, port: int = 0) -> AsyncIterator[int]:
    server = grpc.aio.server(options=(("grpc.max_receive_message_length", 80 * 2**20),))
    recorder_pb2_grpc.add_RecorderServiceServicer_to_server(scripted, server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(None)


@asynccontextmanager
async def house(
    scripted: Scripted,
    *,
    queue_events: int = 100,
    queue_bytes: int = 10**6,
    timeout_s: float = 10,
    batches_under_way: int = 64,
) -> AsyncIterator[Recorder]:
    async with serving(scripted) as port:
        sender = Recorder(
            f"127.0.0.1:{port}",
            queue_events=queue_events,
            queue_bytes=queue_bytes,
            timeout_s=timeout_s,
            batches_under_way=batches_under_way,
        )
        await sender.start()
        try:
            yield sender
        finally:
            await sender.close()


async def test_event_is_recorded_when_acknowledged() -> None:
    async with house(Scripted()) as sender:
        await sender.record(request())
        assert (sender.queue_depth, sender.queue_size_bytes) == (0, 0)


async def test_refused_event_raises_with_the_reason_and_the_others_are_recorded() -> None:
    scripted = Scripted(refuse)
    async with house(scripted) as sender:
        events = [request() for _ in range(5)]
        results = await asyncio.gather(*[sender.record(event) for event in events], return_exceptions=True)
    refused = {batch[0] for batch in scripted.batches}
    for event, result in zip(events, results, strict=True):
        assert (str(result) == "target is missing") == (event.event_id in refused)
        assert (result is None) == (event.event_id not in refused)


async def test_event_of_a_sealed_session_is_sent_again_where_it_goes_on_and_the_next_one_at_once() -> None:
    scripted = Scripted(seal_first)
    session = new_id()
    async with house(scripted) as sender:
        events = [request(session) for _ in range(3)]
        await asyncio.gather(*[sender.record(event) for event in events])
        sent = sum(map(len, scripted.batches))
        await sender.record(request(session))
        assert (sender.queue_depth, sender.queue_size_bytes) == (0, 0)
    assert sum(map(len, scripted.batches)) == sent + 1
    assert {event.event_id for event in events} <= {event_id for batch in scripted.batches for event_id in batch}


async def test_refusal_that_names_no_continuation_of_the_session_is_a_refusal() -> None:
    async with house(Scripted(seal_all)) as sender:
        with pytest.raises(NotRecorded, match="sealed"):
            await sender.record(request())
        assert sender.queue_depth == 0


async def test_silence_ends_in_time_and_the_late_acknowledgement_frees_the_queue() -> None:
    scripted = Scripted(silent)
    async with house(scripted, timeout_s=0.5) as sender:
        with pytest.raises(NotRecorded, match=r"did not acknowledge within 0\.5 s"):
            await sender.record(request())
        # It was sent, so its memory is still held: it counts until the stream says what became of it.
        assert sender.queue_depth == 1
        scripted.answer = breaking
        with pytest.raises(NotRecorded):
            await sender.record(request())
        scripted.answer = acknowledge
        await until(lambda: sender.queue_depth == 0)
        await sender.record(request())


async def test_broken_stream_is_made_again_and_what_is_waited_for_sent_again_in_order() -> None:
    scripted = Scripted(silent)
    async with house(scripted) as sender:
        events = [request() for _ in range(4)]
        waiting = []
        for number, event in enumerate(events):
            waiting.append(asyncio.ensure_future(sender.record(event)))
            await until(lambda number=number: sum(map(len, scripted.batches)) > number)  # type: ignore[misc]
        waiting[1].cancel()
        scripted.answer = breaking
        trigger = asyncio.ensure_future(sender.record(request()))
        await until(lambda: scripted.streams >= 2)
        scripted.answer = acknowledge
        await asyncio.gather(*waiting[:1], *waiting[2:], trigger)
        again = [event_id for batch in scripted.batches[5:] for event_id in batch]
        wanted = [event.event_id for event in (events[0], *events[2:])]
        assert again[-4:-1] == wanted
        assert events[1].event_id not in again[-4:]


async def test_acknowledgement_of_what_was_not_sent_is_not_believed() -> None:
    scripted = Scripted(lie)
    async with house(scripted, timeout_s=0.5) as sender:
        with pytest.raises(NotRecorded):
            await sender.record(request())
        assert scripted.streams >= 2


@pytest.mark.parametrize("limits", [{"queue_events": 3}, {"queue_bytes": 3 * EVENT_BYTES}])
async def test_full_queue_fails_at_once(limits: dict[str, int]) -> None:
    scripted = Scripted(silent)
    async with house(scripted, **limits) as sender:
        waiting = [asyncio.ensure_future(sender.record(request())) for _ in range(3)]
        await until(lambda: sender.queue_depth == 3)
        with pytest.raises(NotRecorded, match="too many events"):
            await asyncio.wait_for(sender.record(request()), 0.05)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_nobody_there_fails_in_time_holds_nothing_and_works_once_somebody_is() -> None:
    async with serving(Scripted()) as port:
        pass
    sender = Recorder(f"127.0.0.1:{port}", queue_events=9, queue_bytes=10**6, timeout_s=0.2)
    await sender.start()
    results = await asyncio.gather(*[sender.record(request()) for _ in range(5)], return_exceptions=True)
    assert all(isinstance(result, NotRecorded) for result in results)
    assert sender.queue_depth == 0
    assert not sender.connected
    async with serving(Scripted(), port):
        await until(lambda: sender.connected)
        await sender.record(request())
        await sender.close()


async def test_cancelled_waiter_leaves_the_others_unharmed() -> None:
    scripted = Scripted(silent)
    async with house(scripted) as sender:
        gone = asyncio.ensure_future(sender.record(request()))
        stays = asyncio.ensure_future(sender.record(request()))
        await until(lambda: len(scripted.batches) > 0)
        gone.cancel()
        scripted.answer = breaking
        trigger = asyncio.ensure_future(sender.record(request()))
        await until(lambda: scripted.streams >= 2)
        scripted.answer = acknowledge
        await asyncio.gather(stays, trigger)
        assert gone.cancelled()


async def test_close_fails_those_who_wait_and_those_who_come() -> None:
    async with house(Scripted(silent)) as sender:
        waiting = asyncio.ensure_future(sender.record(request()))
        await until(lambda: sender.queue_depth == 1)
        await sender.close()
        for recording in (waiting, sender.record(request())):
            with pytest.raises(NotRecorded, match="stopping"):
                await recording


async def test_largest_event_passes_and_a_larger_one_is_refused_at_once() -> None:
    async with house(Scripted(), queue_bytes=2**27) as sender:
        await sender.record(request(body=bytes(64 * 2**20)))
        with pytest.raises(NotRecorded, match="at most"):
            await sender.record(request(body=bytes(MAX_EVENT_BYTES)))


async def test_what_queues_while_a_message_is_sent_shares_the_next() -> None:
    scripted = Scripted()
    async with house(scripted) as sender:
        await asyncio.gather(*[sender.record(request()) for _ in range(100)])
    assert len(scripted.batches) < 20


async def test_no_more_batches_are_under_way_than_allowed() -> None:
    scripted = Scripted(silent)
    async with house(scripted, batches_under_way=2) as sender:
        waiting = []
        for number in range(2):
            waiting.append(asyncio.ensure_future(sender.record(request())))
            await until(lambda number=number: len(scripted.batches) > number)  # type: ignore[misc]
        waiting += [asyncio.ensure_future(sender.record(request())) for _ in range(20)]
        await until(lambda: sender.queue_depth == 22)
        assert len(scripted.batches) == 2
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
