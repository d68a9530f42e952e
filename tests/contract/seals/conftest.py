"""A database with the tables in it, empty for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from countersign.recorder.seals.store import PostgresSealStore
from countersign.recorder.store import PostgresAppendStore
from tests.support.postgres import Postgres
from tests.support.postgres import postgres as postgres
from tests.support.recorded import emptied, migrated


@pytest.fixture(scope="session")
def _made() -> list[str]:
    return []


@pytest.fixture
async def dsn(postgres: Postgres, _made: list[str]) -> str:
    if not _made:
        _made.append(await migrated(postgres.database()))
    await emptied(_made[0])
    return _made[0]


@pytest.fixture
async def record(dsn: str) -> AsyncIterator[PostgresAppendStore]:
    store = PostgresAppendStore(dsn)
    yield store
    await store.close()


@pytest.fixture
async def sessions(dsn: str) -> AsyncIterator[PostgresSealStore]:
    store = PostgresSealStore(dsn)
    yield store
    await store.close()
