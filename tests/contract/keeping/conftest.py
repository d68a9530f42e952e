"""Shelves of one database for all tests of a module: each test has a target, sessions and people of its own."""

from __future__ import annotations

import asyncio
import subprocess
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import Any

import psycopg
import pytest

from countersign.model.event import Event
from countersign.recorder.audit import NotAudited
from countersign.recorder.keeping.keeper import Keeper
from countersign.recorder.keeping.ports import Hold, Retention
from countersign.recorder.keeping.store import PostgresKeepingStore
from countersign.runtime.migrations import load_migrations, migrate
from countersign.runtime.postgres import connect_writer
from tests.support.postgres import Postgres, binaries
from tests.support.postgres import postgres as postgres

JANUARY, FEBRUARY = date(2024, 1, 1), date(2024, 2, 1)
IN_MARCH = datetime(2024, 3, 5, tzinfo=UTC)
"""When what was kept in January for 30 days is due, and nothing of February."""
ISSUER = "https://idp.test"


def us(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)


@dataclass
class Record:
    """What was told to the record; ``refuses`` says how many events are taken before one is not."""

    told: dict[str, Event] = field(default_factory=dict)
    takes: int = 1_000

    async def __call__(self, event: Event) -> None:
        if self.takes <= 0:
            raise NotAudited
        self.takes -= 1
        # The same id with other content is refused by the record.
        assert self.told.setdefault(event.event_id, event) == event

    @property
    def methods(self) -> list[str]:
        return [event.method for event in self.told.values()]


@dataclass
class Shelves:
    """Puts bodies on shelves as the recorder does, and looks what is left of them."""

    dsn: str
    target: str = field(default_factory=lambda: f"t-{uuid.uuid4().hex[:8]}")
    now: datetime = IN_MARCH
    retention: Retention = field(init=False)
    record: Record = field(default_factory=Record)

    def __post_init__(self) -> None:
        self.retention = Retention(None, {self.target: 30})
        self.store = PostgresKeepingStore(self.dsn)
        self.connection = psycopg.connect(self.dsn, autocommit=True)

    def keeper(self) -> Keeper:
        return Keeper(self.store, self.record, lambda: self.retention, clock_us=lambda: us(self.now))

    async def tend(self) -> int:
        return await self.keeper().tend()

    def put(
        self,
        content: bytes,
        *,
        month: date = JANUARY,
        session: uuid.UUID | None = None,
        subject: str = "",
        target: str | None = None,
        continues: uuid.UUID | None = None,
    ) -> int:
        """Put a body on its shelf; return the index of its event."""
        session = session or uuid.uuid4()
        target = self.target if target is None else target
        shelf = self.sql("SELECT countersign.shelf_for(%s, %s)", target, month)
        index = self.sql("SELECT coalesce(max(index) + 1, 0) FROM countersign.events")
        self.connection.execute(
            "INSERT INTO countersign.sessions (session_id, first_index, issuer, subject, groups, kind, token_id,"
            " target, first_time_us, last_time_us, event_count, allowed_count, denied_count, refused_count,"
            " finding_count, continues) VALUES (%s, %s, %s, %s, '{}', '', '', %s, 0, 0, 1, 0, 0, 0, 0, %s)"
            " ON CONFLICT (session_id) DO NOTHING",
            (session, index, ISSUER, subject or f"s-{session}", target, continues),
        )
        self.connection.execute(
            "INSERT INTO countersign.events (index, sequence, time_us, recorded_at, event_id, session_id, call_id,"
            " shelf, kind, outcome, target, method, name, record)"
            " VALUES (%s, %s, 1, %s, %s, %s, %s, %s, 1, 1, %s, 'm', 'n', '{}')",
            (index, index, month, uuid.uuid4(), session, uuid.uuid4(), shelf, target),
        )
        self.connection.execute(
            "INSERT INTO countersign.bodies (index, shelf, size, form, content) VALUES (%s, %s, %s, 0, %s)",
            (index, shelf, len(content), bytes(32) + content),
        )
        return int(index)

    def get(self, index: int) -> bytes | None:
        """The body of an event, as readers read it."""
        content = self.sql(
            "SELECT b.content FROM countersign.events AS e LEFT JOIN countersign.bodies AS b"
            " ON b.shelf IN (e.shelf, 0) AND b.index = e.index WHERE e.index = %s",
            index,
        )
        return None if content is None else bytes(content[32:])

    def sql(self, query: str, *values: object) -> Any:
        found = self.connection.execute(query.encode(), values or None)
        row = found.fetchone() if found.description else None
        return None if row is None else row[0]

    async def hold(self, *, session: uuid.UUID | None = None, subject: str = "") -> Hold:
        hold = Hold(uuid.uuid4(), session, ISSUER if subject else "", subject, "case 17", "olga", self.now)
        async with self.store.placing(hold):
            pass
        return hold

    async def release(self, hold: Hold) -> None:
        async with self.store.releasing(hold.hold_id, self.now):
            pass

    def dump(self) -> bytes:
        """All that the database holds, as it is backed up."""
        done = subprocess.run([binaries() / "pg_dump", "-d", self.dsn], check=True, capture_output=True)
        return done.stdout


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    dsn = postgres.database()

    async def migrated() -> None:
        connection = await connect_writer(dsn, application_name="test")
        await migrate(connection, "countersign", load_migrations(files("countersign.recorder") / "migrations"))
        await connection.close()

    asyncio.run(migrated())
    return dsn


@pytest.fixture
async def shelves(database: str) -> AsyncIterator[Shelves]:
    made = Shelves(database)
    yield made
    await made.store.close()
    made.connection.close()
