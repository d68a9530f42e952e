"""One database for what the portal keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from countersign.portal.tables import make_tables
from countersign.portal.used import PostgresUsedOnce, UsedOnce
from tests.contract.portal.world import World
from tests.support.memory_used import MemoryUsedOnce
from tests.support.postgres import Postgres
from tests.support.postgres import postgres as postgres


@pytest.fixture(scope="module")
def portal_dsn(postgres: Postgres) -> str:
    """A database with the portal's tables."""
    dsn = postgres.database()
    asyncio.run(make_tables(dsn))
    return dsn


@pytest.fixture(params=["memory", "postgres"])
async def used(request: pytest.FixtureRequest, portal_dsn: str) -> AsyncIterator[UsedOnce]:
    """Each kind of ``UsedOnce``."""
    if request.param == "memory":
        yield MemoryUsedOnce()
        return
    found = PostgresUsedOnce(portal_dsn)
    yield found
    await found.close()


@pytest.fixture
async def world(portal_dsn: str) -> AsyncIterator[World]:
    """A portal, and an issuer where alice and others sign in."""
    found = World(portal_dsn)
    yield found
    await found.close()
