"""A record of before leaves and shelves, brought up to date: it replays as it did."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from json import dumps
from uuid import UUID

import psycopg
import pytest

from countersign.recorder.entry import Verdict, accept
from countersign.recorder.reading import PostgresReadStore
from countersign.recorder.store import PostgresAppendStore
from countersign.runtime.migrations import load_migrations, migrate
from countersign.runtime.postgres import connect_writer
from countersign.runtime.recording import to_message
from tests.support.events import new_id, request
from tests.support.postgres import Postgres

BEFORE = 7
SESSION = UUID(new_id())
BODIES = [b"first", b"", bytes(range(256)) * 40, None, "é\u2028".encode()]
TARGETS = ["orders", "orders", "orders", "orders", "nobody's"]
AT = [datetime(2026, 10 + at // 3, 28, 23, at, tzinfo=UTC) for at in range(len(BODIES))]


def record(number: int) -> str:
    fact = {
        "event_id": str(UUID(int=number)),
        "kind": "response",
        "session_id": str(SESSION),
        "target": TARGETS[number],
    }
    return dumps({"call_id": str(UUID(int=99)), **fact}, sort_keys=True, separators=(",", ":"))


@pytest.fixture
async def dsn(postgres: Postgres) -> str:
    """A database as the version before left it."""
    made = postgres.database()
    async with await connect_writer(made, application_name="test") as connection:
        await migrate(connection, "countersign", load_migrations(files("countersign.recorder") / "migrations")[:BEFORE])
        await connection.execute("INSERT INTO countersign.tool_targets VALUES ('orders', 1, 0, 0, 0)")
        await connection.execute("UPDATE countersign.head SET next_index = 5")
        for number, (body, target, at) in enumerate(zip(BODIES, TARGETS, AT, strict=True)):
            await connection.execute(
                "INSERT INTO countersign.events VALUES"
                " (%s, %s, %s, %s, %s, 2, 5, %s, 0, 0, %s, 'tools/call', '', '{}', %s, '', %s)",
                (number, UUID(int=number), SESSION, number, UUID(int=99), at, target, record(number), body),
            )
        await connection.execute(
            "INSERT INTO countersign.sessions VALUES"
            " (%s, 0, 'idp', 'alice', '{}', 'person', 't', 'orders', 5, 5, 5, 0, 0, 0, 0)",
            (SESSION,),
        )
    return made


async def test_record_of_the_version_before_is_read_as_it_was(dsn: str) -> None:
    writer, reader = PostgresAppendStore(dsn), PostgresReadStore(dsn)
    await writer.open()
    stored = await reader.events(SESSION, start=0, stop=9)
    assert [(one.index, one.sequence, one.recorded_at, one.record) for one in stored] == [
        (number, number, AT[number], record(number)) for number in range(len(BODIES))
    ]
    assert [one.body for one in stored] == [body or b"" for body in BODIES]
    row = await reader.session(SESSION)
    assert row is not None
    assert (row.event_count, row.who.subject, row.seal, row.continues) == (5, "alice", None, None)
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        found = await connection.execute("SELECT target, month::text FROM countersign.shelves WHERE shelf > 0")
        assert set(await found.fetchall()) == {("orders", "2026-10-01"), ("", "2026-11-01")}
    event = request(str(SESSION), body=b"new")
    alice = to_message(event)
    alice.principal.issuer = "idp"
    assert await writer.append([accept(alice)]) == [Verdict.RECORDED]
    [new] = await reader.events(SESSION, start=5, stop=9)
    assert (new.index, new.body) == (5, b"new")
    await writer.close()
    await reader.close()
