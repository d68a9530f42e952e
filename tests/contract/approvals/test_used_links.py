"""A link is used once, whoever tries at the same time, and however often the approver starts anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from countersign.approver.page.links import Link, UsedLinks
from countersign.approver.page.used_links import PostgresUsedLinks
from countersign.approver.store import PostgresApprovalStore
from countersign.model.approval import Person
from countersign.runtime.postgres import DatabaseUnavailable
from tests.support.approvals import ISSUER, MINUTE, NOON
from tests.support.memory_links import MemoryUsedLinks

OWEN, OLGA = Person(ISSUER, "owen"), Person(ISSUER, "olga")


def a_link(until_us: int = NOON + MINUTE) -> Link:
    return Link(uuid4().hex, str(uuid4()), until_us)


@pytest.fixture(params=["memory", "postgres"])
async def used(request: pytest.FixtureRequest) -> AsyncIterator[UsedLinks]:
    if request.param == "memory":
        yield MemoryUsedLinks()
        return
    dsn = request.getfixturevalue("dsn")
    store = PostgresApprovalStore(dsn)
    await store.open()
    await store.close()
    links = PostgresUsedLinks(dsn)
    yield links
    await links.close()


async def test_a_link_is_used_once(used: UsedLinks) -> None:
    link, other = a_link(), a_link()
    assert not await used.is_used(link)
    assert await used.use(link, OWEN, NOON)
    assert await used.is_used(link)
    assert not await used.use(link, OLGA, NOON)
    assert not await used.use(link, OWEN, NOON)
    assert not await used.is_used(other)


async def test_of_many_at_once_one_uses_it(dsn: str, used: UsedLinks) -> None:
    link = a_link()
    # Several approvers, one database.
    rivals: list[UsedLinks] = [used]
    ours = [PostgresUsedLinks(dsn) for _ in range(3)] if isinstance(used, PostgresUsedLinks) else []
    answers = await asyncio.gather(*(one.use(link, OWEN, NOON) for one in [*rivals, *ours] for _ in range(5)))
    assert answers.count(True) == 1
    for one in ours:
        await one.close()


async def test_what_nobody_can_open_any_more_is_forgotten(dsn: str) -> None:
    links = PostgresUsedLinks(dsn)
    link = a_link()
    assert await links.use(link, OWEN, NOON)
    assert await links.use(a_link(), OWEN, NOON + MINUTE)
    assert not await links.is_used(link)
    await links.close()


async def test_a_database_that_is_away_uses_nothing() -> None:
    links = PostgresUsedLinks("host=/nonexistent dbname=none")
    with pytest.raises(DatabaseUnavailable):
        await links.use(a_link(), OWEN, NOON)
    await links.close()
