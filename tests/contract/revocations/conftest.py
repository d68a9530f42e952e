"""Stores of revocations, empty for each test: Postgres, and the one in memory that unit tests use."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from countersign.recorder.revocations.ports import RevocationStore
from countersign.recorder.revocations.store import PostgresRevocationStore
from tests.support.memory_revocations import MemoryRevocationStore
from tests.support.postgres import Postgres
from tests.support.postgres import postgres as postgres
from tests.support.recorded import emptied, migrated

MOST = 5
"""As many as these stores let be in force."""


@pytest.fixture(scope="module")
def _made() -> list[str]:
    return []


@pytest.fixture
async def dsn(postgres: Postgres, _made: list[str]) -> str:
    if not _made:
        _made.append(await migrated(postgres.database()))
    await emptied(_made[0])
    return _made[0]


@pytest.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest, dsn: str) -> AsyncIterator[RevocationStore]:
    in_memory = request.param == "memory"
    made = MemoryRevocationStore(most=MOST) if in_memory else PostgresRevocationStore(dsn, most=MOST)
    yield made
    await made.close()
