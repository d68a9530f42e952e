"""Every store of handles that there is, behind the same tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from countersign.recorder.handles.ports import HandleStore
from countersign.recorder.handles.store import PostgresHandleStore
from countersign.recorder.store import PostgresAppendStore
from tests.support.memory_handles import MemoryHandleStore
from tests.support.postgres import Postgres
from tests.support.postgres import postgres as postgres

MOST_IN_SCOPE = 3


@pytest.fixture(scope="module")
def dsn(postgres: Postgres) -> str:
    return postgres.database()


@pytest.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[HandleStore]:
    """Stores; those in Postgres share a database, so that each test needs scopes of its own."""
    if request.param == "memory":
        yield MemoryHandleStore(most_in_scope=MOST_IN_SCOPE)
        return
    dsn = request.getfixturevalue("dsn")
    record = PostgresAppendStore(dsn)
    await record.open()
    await record.close()
    real = PostgresHandleStore(dsn, most_in_scope=MOST_IN_SCOPE)
    yield real
    await real.close()
