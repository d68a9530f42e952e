"""What every store of the recorder promises of calls over all sessions."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from uuid import UUID

import pytest

from countersign.model.event import Event, EventKind
from countersign.recorder import stored_calls
from countersign.recorder.entry import accept, to_event
from countersign.recorder.ports import CallFilter, StoredFact
from countersign.runtime.recording import to_message
from tests.contract.recorder.conftest import Stores
from tests.support.events import ALICE, new_id, request, response

# What is recorded now was seen now: the walk along the record relies on it.
NOW_US = time.time_ns() // 1_000
EVER = CallFilter(NOW_US - 10**9, NOW_US + 10**9)
BOB = replace(ALICE, subject="bob")


async def record(stores: Stores, *events: Event) -> None:
    await stores.writer.append([accept(to_message(event)) for event in events])


async def read(stores: Stores, wanted: CallFilter = EVER, start: int = 0) -> list[StoredFact]:
    found: list[StoredFact] = []
    within = await stores.reader.indices(wanted.since_us, wanted.until_us)
    start = max(start, within.start)
    while start < within.stop:
        page = await stores.reader.facts(wanted, start=start, stop=within.stop)
        assert page.next_index > start
        assert all(start <= fact.event.index < page.next_index for fact in page.facts)
        found += page.facts
        start = page.next_index
    return found


def ids(facts: list[StoredFact]) -> list[str]:
    return [json.loads(fact.event.record)["event_id"] for fact in facts]


async def test_calls_and_answers_come_in_the_order_of_the_record_and_nothing_else(stores: Stores) -> None:
    session = new_id()
    events = [
        request(session, time_us=NOW_US),
        request(session, kind=EventKind.AUDIT_READ, time_us=NOW_US),
        response(session, time_us=NOW_US, row_count=7),
        request(time_us=NOW_US, principal=BOB),
        response(session, kind=EventKind.STREAM_END, time_us=NOW_US),
        request(kind=EventKind.REFUSED, principal=None, decision=None, time_us=NOW_US),
        *(request(time_us=NOW_US) for _ in range(9)),
    ]
    await record(stores, *events)
    found = await read(stores)
    assert ids(found) == [one.event_id for one in (events[0], *events[2:5], *events[6:])]
    assert [fact.is_call for fact in found[:4]] == [True, False, True, False]
    assert [fact.subject for fact in found[:4]] == ["alice", "alice", "bob", "alice"]
    assert {fact.issuer for fact in found} == {ALICE.issuer}


async def test_bodies_are_those_of_calls_from_the_time_asked_for(stores: Stores) -> None:
    session = new_id()
    early, late = request(session, time_us=NOW_US), request(session, time_us=NOW_US + 5)
    await record(stores, early, response(session, time_us=NOW_US + 6), late)
    found = await read(stores, replace(EVER, bodies_since_us=NOW_US + 5))
    assert [fact.event.body for fact in found] == [None, None, late.body]
    assert to_event(found[2].event.record, found[2].event.body) == to_message(late)


FILTERS = [
    (EVER, "abc"),
    (replace(EVER, subject="bob"), "b"),
    (replace(EVER, subject="bob\0"), ""),
    (replace(EVER, target="other"), "c"),
    (replace(EVER, target="other", subject="bob"), ""),
    (CallFilter(NOW_US + 10, NOW_US + 20), "b"),
    (CallFilter(NOW_US - 9, NOW_US), ""),
]


@pytest.mark.parametrize(("wanted", "expected"), FILTERS)
async def test_filter_finds_exactly_what_it_describes(stores: Stores, wanted: CallFilter, expected: str) -> None:
    calls = {
        "a": request(time_us=NOW_US),
        "b": request(time_us=NOW_US + 10, principal=BOB),
        "c": request(time_us=NOW_US + 20, target="other"),
    }
    await record(stores, *calls.values())
    assert ids(await read(stores, wanted)) == [calls[letter].event_id for letter in expected]


@pytest.mark.parametrize("page_events", [1, 3, 10])
async def test_pages_leave_nothing_out_and_repeat_nothing(
    stores: Stores, page_events: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_calls, "PAGE_EVENTS", page_events)
    monkeypatch.setattr(stored_calls, "WALK_EVENTS", 4)
    monkeypatch.setattr(stored_calls, "PAGE_BYTES", 3_000)
    events = [request(time_us=NOW_US, body=b"x" * size) for size in (10, 1_000, 5_000, 10, 10, 3_000, 10, 900, 10)]
    await record(stores, *events)
    assert ids(await read(stores)) == [event.event_id for event in events]
    assert ids(await read(stores, start=6)) == [event.event_id for event in events[6:]]


async def test_what_was_recorded_far_from_the_time_asked_for_is_not_walked_through(stores: Stores) -> None:
    await record(stores, *(request(time_us=NOW_US) for _ in range(9)))
    for away in (-(10**12), 10**12):
        assert await read(stores, CallFilter(NOW_US + away, NOW_US + away + 10**9)) == []


async def test_empty_record_has_no_calls(stores: Stores) -> None:
    await stores.writer.open()
    assert await read(stores) == []
    assert await stores.reader.call(UUID(new_id())) is None


async def test_one_call_is_found_by_its_id_and_an_answer_is_not(stores: Stores) -> None:
    call, answer = request(time_us=NOW_US), response(new_id(), time_us=NOW_US)
    await record(stores, request(time_us=NOW_US), call, answer)
    stored = await stores.reader.call(UUID(call.event_id))
    assert stored is not None
    assert to_event(stored.record, stored.body) == to_message(call)
    assert await stores.reader.call(UUID(answer.event_id)) is None
