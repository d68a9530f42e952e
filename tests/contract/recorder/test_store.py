"""What every store of the recorder promises."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from countersign.model.decision import Outcome
from countersign.model.event import Event, EventKind, Finding
from countersign.recorder.entry import Entry, Verdict, accept, to_event
from countersign.recorder.ports import SessionFilter
from countersign.runtime.recording import to_message
from tests.contract.recorder.conftest import Stores
from tests.support.events import START_US, approval, decision, new_id, request, response

RECORDED, CONFLICT = Verdict.RECORDED, Verdict.CONFLICT


def entries(*events: Event) -> list[Entry]:
    return [accept(to_message(event)) for event in events]


async def all_events(stores: Stores, session: str) -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    while page := await stores.reader.events(UUID(session), start=len(found), stop=2**62):
        found += [(one.index, one.sequence, json.loads(one.record)["event_id"]) for one in page]
    return found


@pytest.mark.parametrize("count", [1, 7, 8, 40])
async def test_indices_and_sequences_are_dense_in_order_of_commit(stores: Stores, count: int) -> None:
    one, other = new_id(), new_id()
    first = [request(one) for _ in range(count)]
    second = [request(session) for _ in range(count) for session in (one, other)]
    await stores.writer.append(entries(*first))
    await stores.writer.append(entries(*second))
    mine, others = await all_events(stores, one), await all_events(stores, other)
    assert sorted(index for index, *_ in mine + others) == list(range(3 * count))
    assert [sequence for _, sequence, _ in mine] == list(range(2 * count))
    assert [sequence for _, sequence, _ in others] == list(range(count))
    assert [event for *_, event in mine] == [one.event_id for one in (*first, *second[::2])]


async def test_same_event_again_is_recorded_once_and_acknowledged(stores: Stores) -> None:
    event = request()
    assert await stores.writer.append(entries(event)) == [RECORDED]
    assert await stores.writer.append(entries(event, request(event.session_id), event)) == [RECORDED] * 3
    assert len(await all_events(stores, event.session_id)) == 2


async def test_same_event_twice_in_one_commit_is_recorded_once(stores: Stores) -> None:
    event = request()
    assert await stores.writer.append(entries(event, event)) == [RECORDED] * 2
    assert len(await all_events(stores, event.session_id)) == 1


@pytest.mark.parametrize("change", [{"body": b"other"}, {"name": "other"}, {"status": 200}])
async def test_other_content_under_a_known_id_is_a_conflict_and_harms_nobody(
    stores: Stores, change: dict[str, object]
) -> None:
    event = request()
    await stores.writer.append(entries(event))
    liar = request(event.session_id, **({"event_id": event.event_id, "call_id": event.call_id} | change))
    assert await stores.writer.append(entries(liar, request(event.session_id))) == [CONFLICT, RECORDED]
    [first, _] = await stores.reader.events(UUID(event.session_id), start=0, stop=10)
    assert to_event(first.record, first.body) == to_message(event)


async def test_conflict_within_one_commit_keeps_the_first(stores: Stores) -> None:
    event = request()
    liar = request(event.session_id, event_id=event.event_id, body=b"other")
    assert await stores.writer.append(entries(event, liar)) == [RECORDED, CONFLICT]


async def test_event_comes_back_as_it_was_sent(stores: Stores) -> None:
    odd = request(
        name='a\0b"\u2028é\U0001f600' + "x" * 5_000,
        reason="line\nbreak",
        findings=(Finding("EMAIL", "$.rows[3].mail", 2), Finding("SECRET")),
        duration_us=2**53 - 1,
        body=bytes(range(256)) * 40,
        traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01",
    )
    await stores.writer.append(entries(odd))
    [stored] = await stores.reader.events(UUID(odd.session_id), start=0, stop=1)
    assert to_event(stored.record, stored.body) == to_message(odd)


async def test_session_sums_up_its_events(stores: Stores) -> None:
    session = new_id()
    await stores.writer.append(
        entries(
            request(session, kind=EventKind.REFUSED, principal=None, decision=None, time_us=START_US - 5),
            request(session),
        )
    )
    await stores.writer.append(
        entries(
            request(session, decision=decision(Outcome.DENY), findings=(Finding("EMAIL", "$.a", 2),)),
            response(session, findings=(Finding("US_SSN"),), time_us=START_US + 9),
        )
    )
    row = await stores.reader.session(UUID(session))
    assert row is not None
    assert (row.who.subject, row.who.groups, row.target) == ("alice", ("analysts",), "orders")
    assert (row.first_time_us, row.last_time_us, row.event_count) == (START_US - 5, START_US + 9, 4)
    assert (row.allowed_count, row.denied_count, row.refused_count, row.finding_count) == (1, 1, 1, 3)


async def test_principal_is_learned_from_a_later_event(stores: Stores) -> None:
    session = new_id()
    await stores.writer.append(entries(response(session)))
    await stores.writer.append(entries(request(session)))
    row = await stores.reader.session(UUID(session))
    assert row is not None
    assert row.who.subject == "alice"


async def test_who_decides_about_a_call_never_becomes_whose_session_it_is(stores: Stores) -> None:
    session, other = new_id(), new_id()
    await stores.writer.append(entries(approval(session, "asked"), approval(session), approval(other)))
    await stores.writer.append(entries(request(session), *[approval(session, "consumed") for _ in range(9)]))
    row, nobodys = [await stores.reader.session(UUID(one)) for one in (session, other)]
    assert row is not None
    assert nobodys is not None
    assert (row.who.subject, row.event_count, row.allowed_count) == ("alice", 12, 1)
    assert nobodys.who.subject == ""


async def test_unknown_session_is_none(stores: Stores) -> None:
    await stores.writer.open()
    assert await stores.reader.session(UUID(new_id())) is None
    assert await stores.reader.events(UUID(new_id()), start=0, stop=9) == []


async def test_pages_are_stable_while_sessions_come_and_go_on(stores: Stores) -> None:
    old = [new_id() for _ in range(5)]
    for session in old:
        await stores.writer.append(entries(request(session)))
    [newest, second] = await stores.reader.sessions(SessionFilter(), before=None, limit=2)
    await stores.writer.append(entries(request(), request(old[0]), request(old[4])))
    rest = await stores.reader.sessions(SessionFilter(), before=second.first_index, limit=9)
    assert [str(row.session_id) for row in (newest, second, *rest)] == old[::-1]


FILTERS = [
    (SessionFilter(subject="alice"), "abc"),
    (SessionFilter(subject="alice\0"), ""),
    (SessionFilter(target="other"), "b"),
    (SessionFilter(name="export_table"), "c"),
    (SessionFilter(name="only answered"), ""),
    (SessionFilter(outcome=2), "c"),
    (SessionFilter(outcome=4), "b"),
    (SessionFilter(since_us=START_US + 10), "bc"),
    (SessionFilter(until_us=START_US + 1), "a"),
    (SessionFilter(since_us=START_US + 15, until_us=START_US + 25), "b"),
    (SessionFilter(since_us=START_US + 21, until_us=START_US + 29), ""),
    (SessionFilter(target="other", outcome=2), ""),
]


@pytest.mark.parametrize(("wanted", "expected"), FILTERS)
async def test_filter_finds_exactly_what_it_describes(stores: Stores, wanted: SessionFilter, expected: str) -> None:
    names = {letter: new_id() for letter in "abc"}
    await stores.writer.append(
        entries(
            request(names["a"]),
            response(names["a"], name="only answered", time_us=START_US + 5),
            request(names["b"], target="other", time_us=START_US + 20, decision=decision(Outcome.APPROVE)),
            request(names["c"], name="export_table", decision=decision(Outcome.DENY), time_us=START_US + 10),
            response(names["c"], time_us=START_US + 30),
        )
    )
    found = await stores.reader.sessions(wanted, before=None, limit=9)
    assert [str(row.session_id) for row in found] == [names[letter] for letter in reversed(expected)]


async def test_empty_append_is_no_commit(stores: Stores) -> None:
    assert await stores.writer.append([]) == []
