"""StreamCalls over a store in memory: what is asked, what is told, and that the reading is recorded first."""

from __future__ import annotations

from dataclasses import replace

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from countersign.api.recorder.v1 import event_pb2, session_pb2
from countersign.model.event import EventKind
from countersign.runtime.recording import to_message
from tests.support.events import ALICE, START_US, new_id, request, response
from tests.unit.recorder.test_sessions import CAROL, House, by
from tests.unit.recorder.test_sessions import house as house

DAY_US = 86_400 * 10**6


def at(time_us: int) -> Timestamp:
    return Timestamp(seconds=time_us // 10**6, nanos=time_us % 10**6 * 1_000)


def asked(**changes: object) -> session_pb2.StreamCallsRequest:
    wanted = session_pb2.StreamCallsRequest(since=at(START_US - DAY_US), until=at(START_US + DAY_US))
    wanted.MergeFrom(session_pb2.StreamCallsRequest(**changes))  # type: ignore[arg-type]  # each test names its fields
    return wanted


async def stream(house: House, wanted: session_pb2.StreamCallsRequest) -> list[session_pb2.StreamCallsResponse]:
    return [one async for one in house.stub.StreamCalls(wanted, metadata=by(CAROL))]


def facts(answers: list[session_pb2.StreamCallsResponse]) -> list[session_pb2.CallFact]:
    return [fact for answer in answers for fact in answer.facts]


async def test_calls_come_whole_and_answers_without_what_they_held(house: House) -> None:
    session = new_id()
    call = request(session)
    answer = response(session, call_id=call.call_id, row_count=12, size_bytes=900)
    await house.record(to_message(call), to_message(answer))
    [first, second] = facts(await stream(house, asked()))
    assert first.call.event == to_message(call)
    assert (first.call.index, second.answer.index) == (0, 1)
    assert second.answer == session_pb2.CallAnswer(
        index=1,
        kind=event_pb2.EVENT_KIND_RESPONSE,
        time_us=answer.time_us,
        session_id=session,
        call_id=call.call_id,
        issuer=ALICE.issuer,
        subject="alice",
        target="orders",
        size_bytes=900,
        row_count=12,
    )


async def test_stream_goes_on_where_it_broke_off_and_ends_with_what_was_there(house: House) -> None:
    events = [to_message(request()) for _ in range(10)]
    await house.record(*events)
    answers = await stream(house, asked())
    assert [fact.call.event for fact in facts(answers)] == events
    assert {answer.end_index for answer in answers} == {11}  # the reading itself is on record, too
    assert [answer.next_index for answer in answers] == [3, 6, 9, 11]
    rest = facts(await stream(house, asked(from_index=answers[1].next_index)))
    assert [fact.call.event for fact in rest] == events[6:]
    assert await stream(house, asked(from_index=2**63 - 1)) == []


async def test_one_call_is_sent_by_its_id(house: House) -> None:
    events = [request() for _ in range(5)]
    await house.record(*map(to_message, events))
    wanted = session_pb2.StreamCallsRequest(filter=session_pb2.CallFilter(event_id=events[3].event_id))
    [fact] = facts(await stream(house, wanted))
    assert (fact.call.index, fact.call.event) == (3, to_message(events[3]))


async def test_every_reading_of_calls_is_recorded(house: House) -> None:
    event = request()
    await house.record(to_message(event))
    await stream(house, asked(filter=session_pb2.CallFilter(subject="alice")))
    await stream(house, session_pb2.StreamCallsRequest(filter=session_pb2.CallFilter(event_id=event.event_id)))
    audits = house.audits()
    assert [(one.method, one.name) for one in audits] == [("StreamCalls", ""), ("StreamCalls", event.event_id)]
    assert b'"subject": "alice"' in audits[0].body


BAD = [
    (session_pb2.StreamCallsRequest(), "since: "),
    (session_pb2.StreamCallsRequest(since=at(START_US)), "until: "),
    (session_pb2.StreamCallsRequest(since=at(START_US), until=at(START_US)), "until: not after since"),
    (session_pb2.StreamCallsRequest(since=Timestamp(seconds=10**15), until=at(START_US)), "since: not a time"),
    (asked(bodies_since=Timestamp(nanos=-1)), "bodies_since: not a time"),
    (asked(from_index=2**63), "from_index: "),
    (asked(filter=session_pb2.CallFilter(event_id=new_id())), "filter.event_id: names one event"),
    (session_pb2.StreamCallsRequest(filter=session_pb2.CallFilter(event_id="7")), "filter.event_id: not a UUID"),
]


@pytest.mark.parametrize(("wanted", "said"), BAD)
async def test_question_that_is_not_well_formed_is_refused(
    house: House, wanted: session_pb2.StreamCallsRequest, said: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream(house, wanted)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (caught.value.details() or "").startswith(said)


async def test_event_that_is_no_call_is_not_found(house: House) -> None:
    audit = request(kind=EventKind.AUDIT_READ)
    await house.record(to_message(audit))
    for event_id in (audit.event_id, new_id()):
        wanted = session_pb2.StreamCallsRequest(filter=session_pb2.CallFilter(event_id=event_id))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream(house, wanted)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_streams_are_as_few_as_replays(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countersign.recorder.sessions.MAX_REPLAYS", 0)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream(house, asked())
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_subject_of_another_issuer_is_told_apart(house: House) -> None:
    other = replace(ALICE, issuer="https://other.example")
    await house.record(to_message(request()), to_message(request(principal=other)))
    found = facts(await stream(house, asked(filter=session_pb2.CallFilter(subject="alice"))))
    assert [fact.call.event.principal.issuer for fact in found] == [ALICE.issuer, other.issuer]
