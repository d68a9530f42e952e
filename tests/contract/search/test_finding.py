"""What is found is what a walk over all events finds: with the index, without it, and while it grows."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from countersign.recorder.bodies import BodyKeeper
from countersign.recorder.search.asked import Place
from countersign.recorder.search.block import BLOCK_EVENTS
from countersign.recorder.search.finder import Finder
from countersign.recorder.search.ports import Wanted
from countersign.recorder.search.query import query_of
from countersign.recorder.search.store import PostgresSearchStore
from tests.support.postgres import Postgres
from tests.support.searched import (
    HOUR_US,
    LABELS,
    NAMES,
    PEOPLE,
    RELATIONS,
    RULES,
    TARGETS,
    Chance,
    Placed,
    fits,
    index_all,
    record,
    without_index,
)

EVENTS = 2 * BLOCK_EVENTS + 50
TEXTS = ("shipped", '"shipped open"', "zürich -invoice", "late or 17", "customer", "needle", "-shipped")


@dataclass
class House:
    """A record that is searched, and what was recorded."""

    dsn: str
    chance: Chance
    store: PostgresSearchStore

    @property
    def finder(self) -> Finder:
        return Finder(self.store)

    def indices(self, wanted: Wanted) -> list[int]:
        return [one.index for one in reversed(self.chance.events) if fits(one, wanted)]

    async def found(self, wanted: Wanted, *, limit: int = 100) -> list[int]:
        """The indices of all pages."""
        place: Place | None = None
        indices: list[int] = []
        while True:
            page = await self.finder.page(wanted, place, limit)
            assert page.complete
            assert len(page.events) <= limit
            indices += [one.index for one in page.events]
            if page.following is None:
                return indices
            assert place is None or page.following.before < place.before
            place = page.following


@pytest.fixture(scope="module", params=["indexed", "half indexed"])
def recorded(request: pytest.FixtureRequest, postgres: Postgres) -> tuple[str, Chance]:
    dsn, chance = postgres.database(), Chance(3)

    async def fill() -> None:
        await record(dsn, chance.more(BLOCK_EVENTS + 20))
        if request.param == "half indexed":
            await index_all(dsn)
        await record(dsn, chance.more(EVENTS - BLOCK_EVENTS - 20))
        if request.param == "indexed":
            await index_all(dsn, at_most=2)

    asyncio.run(fill())
    return dsn, chance


@pytest.fixture
async def house(recorded: tuple[str, Chance]) -> AsyncIterator[House]:
    store = PostgresSearchStore(recorded[0], BodyKeeper())
    yield House(*recorded, store)
    await store.close()


def _questions(events: list[Placed]) -> dict[str, Wanted]:
    """Questions with one thing, and by chance with many."""
    call = next(one.event for one in events if one.event.approval_id)
    middle = call.time_us
    single = {
        "all": Wanted(),
        "since": Wanted(since_us=middle),
        "until": Wanted(until_us=middle),
        "moment": Wanted(since_us=middle, until_us=middle + HOUR_US // 60),
        "issuer": Wanted(issuer=PEOPLE[0].issuer),
        "subject": Wanted(subject="bob"),
        "nobody": Wanted(subject="mallory"),
        "group": Wanted(group="owners"),
        "kind of principal": Wanted(principal_kind="machine"),
        "target": Wanted(target="crm"),
        "method": Wanted(method="resources/read"),
        "name": Wanted(name="read page"),
        "outcome": Wanted(outcome=4),
        "rule": Wanted(rule=RULES[1]),
        "approval": Wanted(approval_id=call.approval_id),
        "label": Wanted(label="iban"),
        "relation": Wanted(relation=RELATIONS[0]),
        "session": Wanted(session_id=UUID(call.session_id)),
        "call": Wanted(call_id=UUID(call.call_id)),
        "kinds": Wanted(kinds=(2, 3)),
        **{f"text {text}": Wanted(text=query_of(text)) for text in TEXTS},
    }
    chance = random.Random(5)
    fields: dict[str, Sequence[Any]] = {
        "since_us": [middle - HOUR_US],
        "until_us": [middle + HOUR_US // 2],
        "subject": [one.subject for one in PEOPLE],
        "target": TARGETS,
        "name": NAMES,
        "outcome": (1, 2),
        "rule": RULES,
        "label": LABELS,
        "relation": RELATIONS,
        "kinds": ((1,), (1, 2)),
        "text": [query_of(text) for text in TEXTS],
    }
    for number in range(10):
        asked: dict[str, Any] = {
            field: chance.choice(fields[field]) for field in chance.sample(sorted(fields), chance.randint(2, 4))
        }
        single[f"many {number}"] = replace(Wanted(), **asked)
    return single


async def test_a_search_finds_what_a_walk_over_all_events_finds(house: House) -> None:
    for name, wanted in _questions(house.chance.events).items():
        assert await house.found(wanted) == house.indices(wanted), name


async def test_pages_are_stable_while_events_are_recorded_and_indexed(postgres: Postgres) -> None:
    dsn, chance = postgres.database(), Chance(8)
    await record(dsn, chance.more(2 * BLOCK_EVENTS))
    house = House(dsn, chance, PostgresSearchStore(dsn, BodyKeeper()))
    wanted = Wanted(target="wiki", text=query_of("shipped"))
    expected = house.indices(wanted)
    found: list[int] = []
    place: Place | None = None
    for _ in range(100):
        page = await house.finder.page(wanted, place, 7)
        found += [one.index for one in page.events]
        place = page.following
        if place is None:
            break
        await record(dsn, chance.more(BLOCK_EVENTS // 4))
        await index_all(dsn)
    assert found == expected
    await house.store.close()


async def test_what_is_far_from_indexed_is_left_out_and_said_to_be(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("countersign.recorder.search.finder.TAIL_EVENTS", 100)
    dsn, chance = postgres.database(), Chance(9)
    await record(dsn, chance.more(BLOCK_EVENTS))
    await index_all(dsn)
    await record(dsn, chance.more(BLOCK_EVENTS))
    store = PostgresSearchStore(dsn, BodyKeeper())
    page = await Finder(store).page(Wanted(), None, 500)
    assert not page.complete
    assert [one.index for one in page.events] == list(range(BLOCK_EVENTS - 1, -1, -1))
    await index_all(dsn)
    assert (await Finder(store).page(Wanted(), None, 500)).complete
    await store.close()


async def test_a_search_that_takes_too_long_is_given_back_short_and_goes_on(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("countersign.recorder.search.finder.WALK_EVENTS", 200)
    wanted = Wanted(text=query_of("shipped"))
    place: Place | None = None
    found: list[int] = []
    pages = 0
    while True:
        page = await house.finder.page(wanted, place, 500, budget_s=0.0)
        found += [one.index for one in page.events]
        pages += 1
        place = page.following
        if place is None:
            break
    assert found == house.indices(wanted)
    assert pages > 1


async def test_bodies_that_were_erased_are_not_found_and_their_events_are(postgres: Postgres) -> None:
    dsn, chance = postgres.database(), Chance(4)
    await record(dsn, chance.more(BLOCK_EVENTS))
    await index_all(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        gone = connection.execute("SELECT shelf FROM countersign.shelves WHERE target = 'crm'").fetchone()
        assert gone is not None
        # One body is held back: it moves to the shelf of those that are.
        held = connection.execute(
            "INSERT INTO countersign.bodies (index, shelf, size, form, content) SELECT index, 0, size, form, content"
            " FROM countersign.bodies WHERE shelf = %s ORDER BY index LIMIT 1 RETURNING index",
            gone,
        ).fetchone()
        assert held is not None
        connection.execute(f"DROP TABLE countersign.bodies_{gone[0]}, countersign.words_{gone[0]}".encode())
        connection.execute("UPDATE countersign.shelves SET erased_at = now() WHERE shelf = %s", gone)
    house = House(dsn, chance, PostgresSearchStore(dsn, BodyKeeper()))
    text = query_of("-nothing")
    found = await house.found(Wanted(target="crm", text=text))
    assert found == list(held)
    assert await house.found(Wanted(target="crm")) == house.indices(Wanted(target="crm"))
    assert await house.found(Wanted(target="wiki", text=text)) == house.indices(Wanted(target="wiki", text=text))
    page = await house.finder.page(Wanted(target="crm"), None, 500)
    bodied = {one.index for one in chance.events if one.event.body}
    assert {one.index for one in page.events if one.body_erased} == (bodied & {one.index for one in page.events}) - {
        *held
    }
    await house.store.close()


async def test_two_recorders_index_each_block_once(postgres: Postgres) -> None:
    dsn, chance = postgres.database(), Chance(6)
    await record(dsn, chance.more(BLOCK_EVENTS * 3))
    await asyncio.gather(*[index_all(dsn, at_most=1) for _ in range(2)])
    with psycopg.connect(dsn) as connection:
        blocks = connection.execute("SELECT array_agg(block ORDER BY block) FROM countersign.marks").fetchone()
        progress = connection.execute("SELECT next_block FROM countersign.search_progress").fetchone()
    assert blocks is not None
    assert progress is not None
    assert blocks[0] == list(range(progress[0]))


async def test_the_index_can_be_made_again(postgres: Postgres) -> None:
    dsn, chance = postgres.database(), Chance(2)
    await record(dsn, chance.more(BLOCK_EVENTS + 2))
    await index_all(dsn)
    without_index(dsn)
    await index_all(dsn)
    house = House(dsn, chance, PostgresSearchStore(dsn, BodyKeeper()))
    wanted = Wanted(subject="alice", text=query_of("shipped"))
    assert await house.found(wanted) == house.indices(wanted)
    await house.store.close()
