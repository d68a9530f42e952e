"""Bodies in the real database: on which shelf, how they are kept, and that they go with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from hashlib import sha256
from json import loads
from uuid import UUID

import psycopg
import pytest

from countersign.model.event import Event
from countersign.recorder.entry import Settled, Verdict, accept, to_event
from countersign.recorder.reading import PostgresReadStore
from countersign.recorder.store import PostgresAppendStore
from countersign.runtime.recording import to_message
from tests.support.events import new_id, request
from tests.support.postgres import Postgres

NOVEMBER = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC).timestamp()
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC).timestamp()


class Shelves:
    """A record whose clock the test sets."""

    def __init__(self, dsn: str, connection: psycopg.AsyncConnection) -> None:
        self.now = NOVEMBER
        self.sql = connection
        self.writer = PostgresAppendStore(dsn, is_configured=lambda name: name == "orders", clock=lambda: self.now)
        self.reader = PostgresReadStore(dsn)

    async def append(self, *events: Event) -> list[Settled]:
        return await self.writer.append([accept(to_message(event)) for event in events])

    async def rows(self, query: str) -> list[tuple[object, ...]]:
        return await (await self.sql.execute(query.encode())).fetchall()

    async def erase(self, shelf: int) -> None:
        for table in ("bodies", "words"):
            await self.sql.execute(f"DROP TABLE countersign.{table}_{shelf}".encode())
        await self.sql.execute("UPDATE countersign.shelves SET erased_at = now() WHERE shelf = %s", (shelf,))

    async def body(self, event: Event) -> bytes | None:
        [stored] = await self.reader.events(UUID(event.session_id), start=0, stop=1)
        return stored.body


@pytest.fixture
async def shelves(postgres: Postgres) -> AsyncIterator[Shelves]:
    dsn = postgres.database()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        record = Shelves(dsn, connection)
        await record.writer.open()
        yield record
        await record.writer.close()
        await record.reader.close()


async def test_each_configured_target_has_a_shelf_a_month_and_all_others_share_one(shelves: Shelves) -> None:
    await shelves.append(request(), request(target="made up"), request(target="another"), request(body=b""))
    shelves.now = DECEMBER
    await shelves.append(*[request() for _ in range(9)])
    assert set(await shelves.rows("SELECT target, month FROM countersign.shelves WHERE shelf > 0")) == {
        ("orders", date(2026, 11, 1)),
        ("", date(2026, 11, 1)),
        ("orders", date(2026, 12, 1)),
    }
    kept = (
        "SELECT e.target, count(b.index) FROM countersign.events AS e LEFT JOIN countersign.bodies AS b USING (index)"
    )
    assert set(await shelves.rows(kept + " GROUP BY 1")) == {("orders", 10), ("made up", 1), ("another", 1)}


@pytest.mark.parametrize("count", [1, 9])
async def test_leaf_commits_to_the_body_with_the_salt_beside_it(shelves: Shelves, count: int) -> None:
    session = new_id()
    await shelves.append(*[request(session, body=b"body " * 200) for _ in range(count)])
    stored = await shelves.reader.events(UUID(session), start=0, stop=count)
    for one in stored:
        assert loads(one.record)["commitment"] == sha256(one.salt + (one.body or b"")).hexdigest()
    assert len({one.salt for one in stored}) == count
    packed = "SELECT max(size), max(octet_length(content)) < 100 FROM countersign.bodies"
    assert await shelves.rows(packed) == [(1_000, True)]


async def test_body_goes_with_its_shelf_and_the_event_stays_what_it_was(shelves: Shelves) -> None:
    event, empty = request(), request(body=b"")
    await shelves.append(event, empty)
    [(shelf,)] = await shelves.rows("SELECT shelf FROM countersign.shelves WHERE shelf > 0")
    assert isinstance(shelf, int)
    await shelves.erase(shelf)
    assert await shelves.body(event) is None
    assert await shelves.body(empty) == b""
    # Sent again it is the same as far as can be told; with another name it is not.
    other = request(event.session_id, event_id=event.event_id, call_id=event.call_id, name="other")
    assert await shelves.append(event, other) == [Verdict.RECORDED, Verdict.CONFLICT]


async def test_body_that_was_held_back_is_found(shelves: Shelves) -> None:
    event = request()
    await shelves.append(event)
    [(shelf,)] = await shelves.rows("SELECT shelf FROM countersign.shelves WHERE shelf > 0")
    assert isinstance(shelf, int)
    await shelves.sql.execute(
        f"INSERT INTO countersign.bodies SELECT index, 0, size, form, content FROM countersign.bodies_{shelf}".encode()
    )
    await shelves.erase(shelf)
    assert await shelves.body(event) == event.body


async def test_shelf_that_vanished_is_made_again_for_what_comes_late(shelves: Shelves) -> None:
    await shelves.append(request())
    [(shelf,)] = await shelves.rows("SELECT shelf FROM countersign.shelves WHERE shelf > 0")
    assert isinstance(shelf, int)
    await shelves.erase(shelf)
    late = request()
    with pytest.raises(Exception, match="shelf of a body is gone"):
        await shelves.append(late)
    assert await shelves.append(late) == [Verdict.RECORDED]
    assert await shelves.body(late) == late.body


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE countersign.bodies SET content = ''",
        "DELETE FROM countersign.bodies",
        "TRUNCATE countersign.bodies",
        "DELETE FROM countersign.bodies_1",
        "TRUNCATE countersign.bodies_1",
        "SET session_replication_role = replica; DELETE FROM countersign.bodies_1",
    ],
)
async def test_bodies_cannot_be_changed_even_by_their_owner(shelves: Shelves, change: str) -> None:
    await shelves.append(request())
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        await shelves.sql.execute(change.encode())


async def test_bodies_and_salts_stand_nowhere_else(shelves: Shelves) -> None:
    event = request(body=b"only here")
    entry = accept(to_message(event))
    await shelves.writer.append([entry])
    assert to_event(entry.record, b"") == to_message(request_without_body(event))
    tables = await shelves.rows(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'countersign'::regnamespace"
    )
    holding = set()
    for (table,) in tables:
        for (row,) in await shelves.rows(f"SELECT t::text FROM countersign.{table} AS t"):
            if entry.salt.hex() in str(row) or event.body.hex() in str(row):
                holding.add(table)
    assert holding == {"bodies_1"}


def request_without_body(event: Event) -> Event:
    return request(event.session_id, event_id=event.event_id, call_id=event.call_id, body=b"")
