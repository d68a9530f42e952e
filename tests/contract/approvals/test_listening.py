"""What is heard of changes: at once, by everybody, and again after the connection broke."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import psycopg
import pytest

from countersign.approver.changing import CHANNEL
from countersign.approver.listening import Listener
from countersign.approver.store import PostgresApprovalStore
from tests.support.approvals import NOON, owner, question


class Ears:
    """What a listener told."""

    def __init__(self) -> None:
        self.hints: list[tuple[str, int]] = []
        self.looks = 0
        self._heard = asyncio.Event()

    def hint(self, approval_id: str, version: int) -> None:
        self.hints.append((approval_id, version))
        self._heard.set()

    def look(self) -> None:
        self.looks += 1
        self._heard.set()

    async def until(self, wanted: int, *, looks: int = 1) -> None:
        async with asyncio.timeout(10):
            while len(self.hints) < wanted or self.looks < looks:
                self._heard.clear()
                await self._heard.wait()


@asynccontextmanager
async def listening(dsn: str, *, looks: int = 1, probe_s: float = 10.0) -> AsyncIterator[Ears]:
    ears = Ears()
    running = asyncio.create_task(Listener(dsn, hint=ears.hint, look=ears.look, probe_s=probe_s).run())
    try:
        await ears.until(0, looks=looks)
        yield ears
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.fixture
async def kept(dsn: str) -> AsyncIterator[PostgresApprovalStore]:
    store = PostgresApprovalStore(dsn)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def sql(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


async def test_every_listener_hears_of_every_change_also_while_it_makes_sure_that_the_database_is_there(
    dsn: str, kept: PostgresApprovalStore
) -> None:
    async with listening(dsn) as one, listening(dsn, probe_s=0.001) as other:
        asked = (await kept.ask(question(), NOON)).approval
        await kept.decide(asked.id, owner(), version=1, agrees=True, note="", now_us=NOON)
        for ears in (one, other):
            await ears.until(2)
            assert ears.hints == [(asked.id, 1), (asked.id, 2)]


async def test_after_a_broken_connection_it_listens_again_and_has_everything_looked_at(
    dsn: str, kept: PostgresApprovalStore, sql: psycopg.Connection
) -> None:
    async with listening(dsn) as ears:
        sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'countersign-approvals-listener' AND datname = current_database()"
        )
        await ears.until(0, looks=2)
        asked = (await kept.ask(question(), NOON)).approval
        await ears.until(1, looks=2)
        assert ears.hints == [(asked.id, 1)]


async def test_what_somebody_else_says_on_the_channel_is_ignored(
    dsn: str, kept: PostgresApprovalStore, sql: psycopg.Connection
) -> None:
    async with listening(dsn) as ears:
        for said in ("", " ", "x", "x y", "x -1", "x \u0661", " 1", "x 1 2"):
            sql.execute("SELECT pg_notify(%s, %s)", (CHANNEL, said))
        asked = (await kept.ask(question(), NOON)).approval
        await ears.until(1)
        assert ears.hints == [(asked.id, 1)]
