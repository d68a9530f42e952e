"""Sessions are listed by what their events have, whether these are indexed or not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from countersign.recorder.ports import SessionFilter
from countersign.recorder.reading import PostgresReadStore
from countersign.recorder.search import marked_sessions
from countersign.recorder.search.block import BLOCK_EVENTS
from countersign.recorder.search.ports import Wanted
from tests.support.postgres import Postgres
from tests.support.searched import LABELS, RELATIONS, RULES, Chance, fits, index_all, record

EVENTS = BLOCK_EVENTS


@pytest.fixture(scope="module", params=["indexed", "not indexed"])
def recorded(request: pytest.FixtureRequest, postgres: Postgres) -> tuple[str, Chance]:
    dsn, chance = postgres.database(), Chance(12)

    async def fill() -> None:
        await record(dsn, chance.more(EVENTS))
        if request.param == "indexed":
            await index_all(dsn)

    asyncio.run(fill())
    return dsn, chance


async def test_sessions_are_listed_by_what_their_events_have(recorded: tuple[str, Chance]) -> None:
    dsn, chance = recorded
    call = next(one.event for one in chance.events if one.event.approval_id)
    asked: list[dict[str, Any]] = [
        {"issuer": "https://issuer.example"},
        {"issuer": "https://other.example"},
        {"group": "owners"},
        {"principal_kind": "machine"},
        {"method": "resources/read"},
        {"method": "resources"},
        *({"rule": rule} for rule in RULES),
        {"approval_id": call.approval_id},
        {"label": LABELS[0]},
        {"relation": RELATIONS[1]},
        {"relation": RELATIONS[1][:-1]},
        {"label": LABELS[1], "relation": RELATIONS[0], "subject": "bob", "rule": RULES[0]},
    ]
    store = PostgresReadStore(dsn)
    try:
        for fields in asked:
            found = await store.sessions(SessionFilter(**fields), before=None, limit=50)
            # Each that is wanted of events may be had by another one.
            expected = set.intersection(
                *(
                    {one.event.session_id for one in chance.events if fits(one, Wanted(**{field: value}))}
                    for field, value in fields.items()
                )
            )
            assert {str(one.session_id) for one in found} == expected, fields
            assert [one.first_index for one in found] == sorted([one.first_index for one in found], reverse=True)
            if len(found) > 1:
                page = await store.sessions(SessionFilter(**fields), before=found[0].first_index, limit=1)
                assert page == found[1:2]
    finally:
        await store.close()


async def test_no_session_is_left_out_however_much_is_not_indexed(
    recorded: tuple[str, Chance], monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn, chance = recorded
    monkeypatch.setattr(marked_sessions, "TAIL_EVENTS", 3)
    store = PostgresReadStore(dsn)
    try:
        for rule in RULES:
            found = await store.sessions(SessionFilter(rule=rule), before=None, limit=50)
            expected = {one.event.session_id for one in chance.events if fits(one, Wanted(rule=rule))}
            assert {str(one.session_id) for one in found} == expected
    finally:
        await store.close()
