"""The feed on a real database: nothing above the checkpoint, nothing left out, one run a sink, all of it recorded."""

from __future__ import annotations

import json

import grpc
import psycopg
import pytest

from countersign.api.recorder.v1 import event_pb2, feed_pb2
from countersign.recorder.feed import store
from tests.contract.feed.conftest import Rig, indices
from tests.support.events import ALICE, BOB, approval, new_id, request, response

ABORTED, HELD = grpc.StatusCode.ABORTED, grpc.StatusCode.FAILED_PRECONDITION


async def test_events_come_in_order_and_none_above_the_checkpoint(rig: Rig) -> None:
    start = await rig.append(*[request() for _ in range(6)])
    _, opened = await rig.open()
    rig.size = start + 4
    pages = await rig.read(opened.session_id, start, start + 4)
    assert indices(pages) == list(range(start, start + 4))
    assert {page.published_size for page in pages} == {start + 4}
    rig.size = start + 5
    assert indices(await rig.read(opened.session_id, start + 4, start + 5)) == [start + 4]


async def test_what_is_published_later_comes_on_the_same_stream(rig: Rig) -> None:
    start = await rig.append(*[request() for _ in range(3)])
    rig.size = start + 1
    _, opened = await rig.open()
    stream = rig.stub.StreamPublished(
        feed_pb2.StreamPublishedRequest(from_index=start, session_id=opened.session_id), timeout=20
    )
    came: list[int] = []
    async for page in stream:
        came += indices([page])
        rig.size = start + 3
        if len(came) == 3:
            break
    stream.cancel()
    assert came == [start, start + 1, start + 2]


async def test_events_say_whose_session_it_is_also_where_they_do_not_say_themselves(rig: Rig) -> None:
    session = new_id()
    start = await rig.append(request(session), response(session), approval(session))
    rig.size = start + 3
    _, opened = await rig.open()
    ((asked, answered, decided),) = [page.events for page in await rig.read(opened.session_id, start, start + 3)]
    assert asked.principal == asked.event.event.principal
    assert (answered.principal.subject, answered.event.event.HasField("principal")) == (ALICE.subject, False)
    assert (decided.principal.subject, decided.event.event.principal.subject) == (ALICE.subject, BOB.subject)


async def test_bodies_come_only_when_asked_for(rig: Rig) -> None:
    start = await rig.append(request(body=b"hello" * 100), request(body=b""))
    rig.size = start + 2
    _, opened = await rig.open()
    (with_bodies,) = await rig.read(opened.session_id, start, start + 2, bodies=True)
    assert [one.event.event.body for one in with_bodies.events] == [b"hello" * 100, b""]
    assert not any(one.event.body_erased for one in with_bodies.events)
    (without,) = await rig.read(opened.session_id, start, start + 2)
    assert [one.event.event.body for one in without.events] == [b"", b""]


async def test_pages_are_bounded_by_bytes_and_number(rig: Rig) -> None:
    big = [request(body=bytes(store.PAGE_BYTES // 3)) for _ in range(4)] + [request(body=bytes(2 * store.PAGE_BYTES))]
    start = await rig.append(*big, *[request() for _ in range(store.PAGE_EVENTS + 1)])
    rig.size = await rig.head()
    _, opened = await rig.open()
    rig.size = start + 5
    pages = await rig.read(opened.session_id, start, start + 5, bodies=True)
    assert indices(pages) == list(range(start, start + 5))
    assert [len(page.events) for page in pages] == [2, 2, 1]
    rig.size = start + 5 + store.PAGE_EVENTS + 1
    pages = await rig.read(opened.session_id, start + 5, rig.size)
    assert [len(page.events) for page in pages] == [store.PAGE_EVENTS, 1]


async def test_a_cursor_is_durable_and_never_goes_back(rig: Rig) -> None:
    start = await rig.append(*[request() for _ in range(4)])
    rig.size = start + 4
    sink, opened = await rig.open()
    assert opened.next_index == 0
    assert await rig.move(sink, opened.session_id, start + 3) == start + 3
    assert await rig.move(sink, opened.session_id, start + 1) == start + 3
    await rig.move(sink, opened.session_id, 0, release=True)
    _, again = await rig.open(sink)
    assert again.next_index == start + 3
    with pytest.raises(psycopg.errors.CheckViolation):
        await rig.rows("UPDATE countersign.sinks SET next_index = 0 WHERE name = %s", sink)


async def test_no_cursor_moves_above_the_checkpoint(rig: Rig) -> None:
    start = await rig.append(request(), request())
    rig.size = start + 1
    sink, opened = await rig.open()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await rig.move(sink, opened.session_id, start + 2)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert await rig.move(sink, opened.session_id, start + 1) == start + 1


async def test_a_sink_is_lent_to_one_run_until_it_ends_or_is_silent(rig: Rig) -> None:
    rig.size = await rig.append(request()) + 1
    sink, first = await rig.open()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await rig.open(sink)
    assert refused.value.code() is HELD
    await rig.expire(sink)
    # Late, and nobody took it: it goes on.
    await rig.move(sink, first.session_id, 0)
    await rig.expire(sink)
    _, second = await rig.open(sink)
    for call in (rig.move(sink, first.session_id, rig.size), rig.read(first.session_id, 0, rig.size)):
        with pytest.raises(grpc.aio.AioRpcError) as lost:
            await call
        assert lost.value.code() is ABORTED
    await rig.move(sink, second.session_id, 1)


async def test_nobody_reads_without_a_run(rig: Rig) -> None:
    rig.size = await rig.append(request()) + 1
    for run, code in ((new_id(), ABORTED), ("", grpc.StatusCode.INVALID_ARGUMENT)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await rig.read(run, 0, 1)
        assert refused.value.code() is code


async def test_each_run_is_on_the_record_before_it_reads_and_a_refused_one_is_not(rig: Rig) -> None:
    sink, opened = await rig.open()
    with pytest.raises(grpc.aio.AioRpcError):
        await rig.open(sink)
    rows = await rig.rows(
        "SELECT session_id::text, kind, record FROM countersign.events WHERE method = 'OpenSink' AND name = %s", sink
    )
    ((session, kind, record),) = rows
    assert (session, kind) == (opened.session_id, event_pb2.EVENT_KIND_AUDIT_READ)
    assert json.loads(str(record))["principal"]["subject"] == "export"


async def test_a_run_that_cannot_be_recorded_does_not_begin_and_holds_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from countersign.recorder.audit import AuditTrail, NotAudited

    async def failing(*_: object) -> None:
        raise NotAudited

    sink = new_id()
    with monkeypatch.context() as patched:
        patched.setattr(AuditTrail, "append", failing)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await rig.open(sink)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    await rig.open(sink)


async def test_a_gap_in_the_record_is_said_and_not_passed_over(rig: Rig) -> None:
    rig.size = await rig.head() + 5
    _, opened = await rig.open()
    # What opening recorded is there; four that are said to be published are not.
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await rig.read(opened.session_id, rig.size - 5, rig.size)
    assert refused.value.code() is grpc.StatusCode.DATA_LOSS


async def test_all_sinks_are_told_with_how_far_they_are(rig: Rig) -> None:
    rig.size = await rig.append(request()) + 1
    sink, opened = await rig.open()
    await rig.move(sink, opened.session_id, 1)
    told = await rig.stub.ListSinks(feed_pb2.ListSinksRequest())
    assert told.published_size == rig.size
    (mine,) = [one for one in told.sinks if one.sink == sink]
    assert (mine.description, mine.next_index, mine.running) == ("ocsf out", 1, True)
    await rig.move(sink, opened.session_id, 1, release=True)
    told = await rig.stub.ListSinks(feed_pb2.ListSinksRequest())
    assert [one.running for one in told.sinks if one.sink == sink] == [False]


async def test_a_body_that_was_erased_is_said_to_be_and_the_rest_is_fed(rig: Rig) -> None:
    start = await rig.append(request(body=b"hello", target="erased"), request(body=b"", target="erased"))
    rig.size = start + 2
    ((shelf,),) = await rig.rows("SELECT shelf FROM countersign.events WHERE index = %s", start)
    # As retention erases: by dropping the shelf's table.
    await rig.rows(f"DROP TABLE countersign.bodies_{shelf}")
    _, opened = await rig.open()
    (page,) = await rig.read(opened.session_id, start, start + 2, bodies=True)
    assert [(one.event.event.body, one.event.body_erased) for one in page.events] == [(b"", True), (b"", False)]
