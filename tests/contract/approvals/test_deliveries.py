"""Deliveries in Postgres: each is somebody's alone while they are at it, and nobody's forever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid5

import pytest

from countersign.approver.notify.deliveries import PostgresDeliveryStore
from countersign.approver.notify.ports import Delivery, DeliveryState, News
from countersign.approver.store import PostgresApprovalStore
from countersign.model.approval import Approval
from tests.support.approvals import NOON, SECOND, owner, question
from tests.support.notices import forget_all

LEASE = 60 * SECOND


@pytest.fixture
async def approvals(dsn: str) -> AsyncIterator[PostgresApprovalStore]:
    store = PostgresApprovalStore(dsn)
    await store.open()
    forget_all(dsn)
    yield store
    await store.close()


@pytest.fixture
async def deliveries(dsn: str, approvals: PostgresApprovalStore) -> AsyncIterator[PostgresDeliveryStore]:
    store = PostgresDeliveryStore(dsn)
    yield store
    await store.close()


async def ask(approvals: PostgresApprovalStore) -> Approval:
    return (await approvals.ask(question(), NOON)).approval


async def decide(approvals: PostgresApprovalStore, approval: Approval) -> Approval:
    return await approvals.decide(
        approval.id, owner(), version=approval.version, agrees=True, note="", now_us=NOON + SECOND
    )


async def address(deliveries: PostgresDeliveryStore, *channels: str, at_us: int = NOON) -> list[News]:
    found = list(await deliveries.news(10))
    for news in found:
        await deliveries.address(news, channels, at_us)
    return found


async def claim(deliveries: PostgresDeliveryStore, at_us: int = NOON, *busy: str, each: int = 4) -> list[Delivery]:
    return list(await deliveries.claim(at_most=10, each=each, busy=busy, lease_until_us=at_us + LEASE, now_us=at_us))


async def test_each_change_is_addressed_once_whoever_else_does_it(
    approvals: PostgresApprovalStore, deliveries: PostgresDeliveryStore
) -> None:
    approval = await ask(approvals)
    (news,) = await deliveries.news(10)
    assert (news.approval_id, news.what, news.version, news.at_us) == (approval.id, "asked", approval.version, NOON)
    await asyncio.gather(*(deliveries.address(news, ("ops", "mail"), NOON) for _ in range(4)))
    # Whoever comes late may know other channels: gateway.yaml was edited meanwhile.
    await deliveries.address(news, ("pager",), NOON)
    found = await deliveries.page(limit=10)
    assert {one.id for one in found} == {str(uuid5(UUID(news.event_id), name)) for name in ("ops", "mail")}
    assert await deliveries.news(10) == []


async def test_what_somebody_is_at_nobody_else_gets_before_the_lease_is_over(
    approvals: PostgresApprovalStore, deliveries: PostgresDeliveryStore
) -> None:
    await ask(approvals)
    await address(deliveries, "ops")
    claims = await asyncio.gather(*(claim(deliveries) for _ in range(4)))
    (first,) = [one for claimed in claims for one in claimed]
    assert await claim(deliveries, NOON + LEASE - 1) == []
    (again,) = await claim(deliveries, NOON + LEASE)
    assert (again.id, first.attempts, again.attempts) == (first.id, 1, 2)


async def test_who_comes_late_with_a_failure_undoes_nothing(
    approvals: PostgresApprovalStore, deliveries: PostgresDeliveryStore
) -> None:
    await ask(approvals)
    await address(deliveries, "ops")
    (late,) = await claim(deliveries)
    (current,) = await claim(deliveries, NOON + LEASE)
    await deliveries.failed(late, "too late", NOON, NOON)
    await deliveries.forget(late)
    assert not await deliveries.dead(late, "too late", NOON)
    assert await claim(deliveries, NOON + LEASE + 1) == []
    await deliveries.delivered(current, "C1 17.1", NOON + LEASE)
    assert not await deliveries.dead(current, "no", NOON)
    (one,) = await deliveries.page(limit=10)
    assert (one.state, one.problem, one.memory) == (DeliveryState.DELIVERED, "", "C1 17.1")
    assert await deliveries.memory(one.news.approval_id, "ops") == "C1 17.1"
    assert await deliveries.memory(one.news.approval_id, "mail") == ""


async def test_one_channel_hears_of_one_approval_in_order(
    approvals: PostgresApprovalStore, deliveries: PostgresDeliveryStore
) -> None:
    await decide(approvals, await ask(approvals))
    await address(deliveries, "ops")
    (asked,) = await claim(deliveries)
    assert asked.news.what == "asked"
    await deliveries.delivered(asked, "", NOON)
    (approved,) = await claim(deliveries)
    assert approved.news.what == "approved"


async def test_an_approval_that_ends_has_its_asking_looked_at_now(
    approvals: PostgresApprovalStore, deliveries: PostgresDeliveryStore
) -> None:
    approval = await ask(approvals)
    await address(deliveries, "ops", "mail")
    first, second = await claim(deliveries)
    await deliveries.failed(first, "it answered 500", NOON + LEASE, NOON)
    await decide(approvals, approval)
    await address(deliveries, "ops", "mail", at_us=NOON + SECOND)
    assert [one.id for one in await claim(deliveries, NOON + SECOND)] == [first.id]
    # And one that fails only afterwards.
    await deliveries.failed(second, "it answered 500", NOON + LEASE, NOON + SECOND)
    assert [one.id for one in await claim(deliveries, NOON + SECOND)] == [second.id]


async def test_a_channel_that_is_slow_leaves_room_for_others(
    approvals: PostgresApprovalStore, deliveries: PostgresDeliveryStore
) -> None:
    for _ in range(3):
        await ask(approvals)
    await address(deliveries, "ops", "mail")
    assert sorted(one.channel for one in await claim(deliveries, each=2)) == ["mail", "mail", "ops", "ops"]
    assert [one.channel for one in await claim(deliveries, NOON, "ops")] == ["mail"]


async def test_what_was_given_up_is_found_page_by_page(
    approvals: PostgresApprovalStore, deliveries: PostgresDeliveryStore
) -> None:
    approval = await ask(approvals)
    await address(deliveries, "ops")
    other = await ask(approvals)
    await address(deliveries, "ops", "mail", at_us=NOON + SECOND)
    for one in await claim(deliveries, NOON + SECOND):
        if one.news.approval_id == approval.id or one.channel == "mail":
            assert await deliveries.dead(one, "it answered 410", NOON + SECOND)
    (newest,) = await deliveries.page(dead=True, limit=1)
    assert (newest.news.approval_id, newest.channel, newest.problem) == (other.id, "mail", "it answered 410")
    (older,) = await deliveries.page(dead=True, after=(newest.created_us, newest.id), limit=10)
    assert older.news.approval_id == approval.id
    assert await deliveries.page(dead=True, after=(older.created_us, older.id), limit=10) == []
    assert [one.channel for one in await deliveries.page(approval_id=other.id, limit=10)] != []
    assert len(await deliveries.page(approval_id=other.id, limit=10)) == 2
