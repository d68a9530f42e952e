"""What happened to approvals is recorded in order, once, and before anybody relies on it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from countersign.api.recorder.v1 import event_pb2
from countersign.approver.events import event_of, stray_event
from countersign.approver.outbox import Outbox
from countersign.approver.ports import Came
from countersign.model.decision import Outcome
from countersign.model.event import Event
from countersign.recorder.entry import accept
from countersign.runtime.postgres import DatabaseUnavailable
from countersign.runtime.recording import NotRecorded, to_message
from tests.support.approvals import MINUTE, NOON, TWO_OWNERS, owner, person
from tests.support.approving import asking
from tests.support.memory_approvals import MemoryApprovalStore
from tests.support.recorders import until
from tests.support.sinks import Sink


async def approved(store: MemoryApprovalStore) -> str:
    asked = (await store.ask(asking(TWO_OWNERS), NOON)).approval
    for number in (1, 2):
        version = (await store.get(asked.id)).version
        await store.decide(asked.id, owner(number), version=version, agrees=True, note="ok", now_us=NOON)
    return asked.id


async def test_changes_are_recorded_in_order_each_once_the_one_before_is_durable() -> None:
    store, sink = MemoryApprovalStore(), Sink()
    approval_id = await approved(store)
    sink.open.clear()
    flushing = asyncio.ensure_future(Outbox(store, sink).flush(approval_id))
    await sink.asked.wait()
    assert [event.method for event in sink.handed_in] == ["asked"]
    sink.open.set()
    await flushing
    assert [event.method for event in sink.durable] == ["asked", "agreed", "approved"]
    assert await store.outbox(10) == []


async def test_what_two_relays_send_is_the_same_event() -> None:
    store, sink = MemoryApprovalStore(), Sink()
    approval_id = await approved(store)
    sink.open.clear()
    both = [asyncio.ensure_future(Outbox(store, sink).flush(approval_id)) for _ in range(2)]
    await until(lambda: len(sink.handed_in) == 2)
    sink.open.set()
    await asyncio.gather(*both)
    sent: dict[str, Event] = {}
    for event in sink.handed_in:
        assert sent.setdefault(event.event_id, event) == event
    assert [event.method for event in sent.values()] == ["asked", "agreed", "approved"]


async def test_two_who_wait_for_the_same_record_send_it_once() -> None:
    store, sink = MemoryApprovalStore(), Sink()
    approval_id = await approved(store)
    outbox = Outbox(store, sink)
    sink.open.clear()
    both = [asyncio.ensure_future(outbox.flush(approval_id)) for _ in range(2)]
    await sink.asked.wait()
    sink.open.set()
    await asyncio.gather(*both)
    assert len(sink.handed_in) == 3


async def test_what_is_not_durable_stays_and_nothing_after_it_is_sent() -> None:
    store, sink = MemoryApprovalStore(), Sink()
    approval_id = await approved(store)
    sink.refuse = lambda event: event.method == "agreed"
    with pytest.raises(NotRecorded):
        await Outbox(store, sink).flush(approval_id)
    assert [event.method for event in sink.handed_in] == ["asked", "agreed"]
    assert [one.what for one in await store.outbox(10)] == ["agreed", "approved"]


async def test_one_that_cannot_be_recorded_holds_up_no_other_and_all_are_once_it_can() -> None:
    store, sink = MemoryApprovalStore(), Sink()
    stuck, other = await approved(store), await approved(store)
    sink.refuse = lambda event: event.approval_id == stuck
    running = asyncio.ensure_future(Outbox(store, sink, look_s=0.01).run())
    await until(lambda: [event.approval_id for event in sink.durable] == [other] * 3)
    sink.refuse = lambda _: False
    await until(lambda: [event.approval_id for event in sink.durable[3:]] == [stuck] * 3)
    running.cancel()


async def test_the_relay_outlives_a_database_that_is_away() -> None:
    store, sink = MemoryApprovalStore(), Sink()
    approval_id = await approved(store)
    store.away = True
    outbox = Outbox(store, sink, look_s=0.01)
    with pytest.raises(DatabaseUnavailable):
        await outbox.flush(approval_id)
    running = asyncio.ensure_future(outbox.run())
    store.away = False
    await until(lambda: len(sink.durable) == 3)
    running.cancel()


async def test_every_event_is_one_that_the_recorder_takes_and_says_what_the_call_may_now() -> None:
    store = MemoryApprovalStore()
    approval_id = await approved(store)
    other = (await store.ask(asking(), NOON)).approval
    await store.decide(other.id, owner(), version=1, agrees=False, note="no", now_us=NOON)
    over = (await store.ask(asking(), NOON)).approval
    one = await store.get(approval_id)
    await store.consume(approval_id, one.digest, "5b1f6a54-0f4e-4c0c-8b2e-3a6a1f0d7c11", NOON)
    await store.expire(10, NOON + 60 * MINUTE)
    waiting = await store.outbox(100)
    await store.note(replace(waiting[0], event_id=other.id, what="decision_refused", note="you may not"))
    events = [event_of(transition) for transition in await store.outbox(100)]
    for event in events:
        assert accept(to_message(event), clock_us=lambda: NOON).kind == event_pb2.EVENT_KIND_APPROVAL
    outcomes = {(event.approval_id, event.method): event.decision and event.decision.outcome for event in events}
    assert outcomes == {
        (approval_id, "asked"): Outcome.APPROVE,
        (approval_id, "agreed"): Outcome.APPROVE,
        (approval_id, "approved"): Outcome.ALLOW,
        (approval_id, "consumed"): Outcome.ALLOW,
        (approval_id, "decision_refused"): Outcome.DENY,
        (other.id, "asked"): Outcome.APPROVE,
        (other.id, "denied"): Outcome.DENY,
        (over.id, "asked"): Outcome.APPROVE,
        (over.id, "expired"): Outcome.DENY,
    }
    assert {event.principal for event in events if event.method == "expired"} == {None}
    told = json.loads(next(event.body for event in events if event.method == "approved"))
    assert (told["state"], [one["note"] for one in told["decisions"]]) == ("approved", ["ok", "ok"])


def test_what_somebody_tried_with_no_approval_is_recorded_in_a_session_of_their_own() -> None:
    who = person("mallory")
    events = [
        stray_event(f"5b1f6a54-0f4e-4c0c-8b2e-3a6a1f0d7c1{number}", who, "link_refused", "forged", "x", NOON, Came())
        for number in range(2)
    ]
    for event in events:
        accept(to_message(event), clock_us=lambda: NOON)
    assert events[0].session_id == events[1].session_id
    assert events[0].principal == who
