"""What every store promises of sessions that end: one seal, nothing after it, and where what comes later goes."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from countersign.model.continuation import next_session
from countersign.model.event import Event
from countersign.recorder.entry import Entry, Sealed, Settled, Verdict, accept, sealing
from countersign.recorder.ports import SealRow, SessionRow
from countersign.runtime.recording import to_message
from tests.contract.recorder.conftest import Stores
from tests.support.events import ALICE, START_US, new_id, request, response

ROOT = bytes(range(32))
RECORDED = Verdict.RECORDED


def seal(session: str, count: int) -> Entry:
    return sealing(
        UUID(session), target="orders", event_count=count, root=ROOT, unanswered_count=2, reason="ended", at_us=START_US
    )


async def append(stores: Stores, *entries: Entry | Event) -> list[Settled]:
    return await stores.writer.append([accept(to_message(one)) if isinstance(one, Event) else one for one in entries])


async def session_of(stores: Stores, session: str) -> SessionRow:
    row = await stores.reader.session(UUID(session))
    assert row is not None
    return row


@pytest.mark.parametrize("beside", [0, 9], ids=["alone", "in a group"])
async def test_session_tells_its_seal_and_the_seal_is_its_last_event(stores: Stores, beside: int) -> None:
    session = new_id()
    await append(stores, request(session), response(session))
    others = [request() for _ in range(beside)]
    assert await append(stores, *others, seal(session, 2)) == [RECORDED] * (beside + 1)
    row = await session_of(stores, session)
    assert row.seal is not None
    sealed = SealRow(2 + beside, ROOT, 2, row.seal.sealed_at, "ended")
    assert (row.event_count, row.seal) == (3, sealed)
    stored = await stores.reader.events(UUID(session), start=2, stop=9)
    assert [(one.index, one.sequence, one.body) for one in stored] == [(2 + beside, 2, b"")]


async def test_sealed_session_takes_nothing_and_says_where_to_go_on(stores: Stores) -> None:
    session = new_id()
    await append(stores, request(session), seal(session, 1))
    onwards = Sealed(next_session(UUID(session)))
    assert await append(stores, request(session), response(session), seal(session, 2)) == [
        onwards,
        onwards,
        Verdict.STALE,
    ]
    assert (await session_of(stores, session)).event_count == 2


async def test_stale_seal_changes_nothing(stores: Stores) -> None:
    session = new_id()
    await append(stores, request(session), request(session))
    for count in (1, 3):
        assert await append(stores, seal(session, count)) == [Verdict.STALE]
    row = await session_of(stores, session)
    assert (row.event_count, row.seal) == (2, None)


@pytest.mark.parametrize("links", [1, 3, 120])
async def test_open_end_of_a_chain_is_found_however_long_it_is(stores: Stores, links: int) -> None:
    first = before = new_id()
    await append(stores, request(first), seal(first, 1))
    entries: list[Entry | Event] = []
    for _ in range(links):
        after = str(next_session(UUID(before)))
        entries += [request(after, continues=before), seal(after, 1)]
        before = after
    assert await append(stores, *entries) == [RECORDED] * (2 * links)
    assert await append(stores, request(first)) == [Sealed(next_session(UUID(before)))]
    row = await session_of(stores, before)
    assert row.continues is not None
    assert next_session(row.continues) == UUID(before)


async def test_seal_that_races_with_an_event_is_appended_only_when_it_counts_it(stores: Stores) -> None:
    session = new_id()
    await append(stores, request(session))
    late = request(session)
    assert await append(stores, late, seal(session, 1)) == [RECORDED, Verdict.STALE]
    assert await append(stores, seal(session, 2), late, request(session)) == [
        RECORDED,
        RECORDED,
        Sealed(next_session(UUID(session))),
    ]


async def test_request_of_another_is_refused_before_it_learns_that_the_session_is_sealed(stores: Stores) -> None:
    session = new_id()
    await append(stores, request(session), seal(session, 1))
    assert await append(stores, request(session, target="payroll")) == [Verdict.WRONG_SESSION]
    continued = request(str(next_session(UUID(session))), continues=session, target="payroll")
    assert await append(stores, continued) == [Verdict.WRONG_SESSION]


async def test_what_goes_on_is_of_the_same_principal_also_when_it_begins_with_an_answer(stores: Stores) -> None:
    first = new_id()
    second = str(next_session(UUID(first)))
    third = str(next_session(UUID(second)))
    await append(stores, request(first), seal(first, 1))
    assert await append(stores, response(second, continues=first), seal(second, 1)) == [RECORDED, RECORDED]
    assert await append(stores, response(third, continues=second)) == [RECORDED]
    whose = (await session_of(stores, first)).who
    assert whose.subject
    for session in (second, third):
        assert (await session_of(stores, session)).who == whose
    stranger = replace(ALICE, subject="mallory")
    assert await append(stores, request(third, principal=stranger)) == [Verdict.WRONG_SESSION]
