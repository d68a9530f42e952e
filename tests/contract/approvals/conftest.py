"""Every store of approvals that there is, behind the same tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from countersign.approver.ports import ApprovalStore
from countersign.approver.store import PostgresApprovalStore
from tests.support.memory_approvals import MemoryApprovalStore
from tests.support.postgres import Postgres
from tests.support.postgres import postgres as postgres


@pytest.fixture(scope="module")
def dsn(postgres: Postgres) -> str:
    return postgres.database()


@pytest.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[ApprovalStore]:
    """A store; those in Postgres share a database, so that each test needs callers of its own."""
    store: ApprovalStore
    if request.param == "memory":
        store = MemoryApprovalStore()
    else:
        store = PostgresApprovalStore(request.getfixturevalue("dsn"))
    await store.open()
    yield store
    await store.close()
