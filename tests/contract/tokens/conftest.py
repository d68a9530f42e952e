"""Every store of tokens that there is, behind the same tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from countersign.recorder.store import PostgresAppendStore
from countersign.recorder.tokens.ports import LIFETIME_US, TokenStore
from countersign.recorder.tokens.store import PostgresTokenStore
from tests.support.memory_tokens import MemoryTokenStore
from tests.support.postgres import Postgres
from tests.support.postgres import postgres as postgres

MakeStore = Callable[..., TokenStore]


@pytest.fixture(scope="module")
def dsn(postgres: Postgres) -> str:
    return postgres.database()


@pytest.fixture(params=["memory", "postgres"])
async def make_store(request: pytest.FixtureRequest) -> AsyncIterator[MakeStore]:
    """Makes stores; those in Postgres share a database, so that each test needs sessions of its own."""
    if request.param == "memory":
        yield lambda lifetime_us=LIFETIME_US, most_in_session=3: MemoryTokenStore(
            lifetime_us=lifetime_us, most_in_session=most_in_session
        )
        return
    dsn = request.getfixturevalue("dsn")
    record = PostgresAppendStore(dsn)
    await record.open()
    await record.close()
    async with AsyncExitStack() as stack:

        def make(lifetime_us: int = LIFETIME_US, most_in_session: int = 3) -> TokenStore:
            store = PostgresTokenStore(dsn, lifetime_us=lifetime_us, most_in_session=most_in_session)
            stack.push_async_callback(store.close)
            return store

        yield make
