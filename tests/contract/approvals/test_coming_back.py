"""What every store of approvals promises about callers who come back, and then go for good."""

from __future__ import annotations

from dataclasses import replace

import pytest

from countersign.approver.ports import ApprovalStore
from countersign.model.approval import Approval, ApprovalState, Question, Waiter
from tests.support.approvals import MINUTE, NOON, SECOND, question, waiter


async def come_back(store: ApprovalStore, asked: Question, one: Approval, by_asking: bool, now: Waiter) -> None:
    """As a modern client does, with what it was given, or as a legacy one, by the same call."""
    if by_asking:
        await store.ask(replace(asked, waiter=now), NOON + SECOND)
    else:
        await store.rejoin(one.id, asked.caller, now, NOON + SECOND)


async def leave(store: ApprovalStore, one: Approval, held: Waiter, *, hung_up: bool) -> Approval:
    return await store.leave(one.id, held.id, hung_up=hung_up, until_us=NOON + MINUTE, now_us=NOON + 2 * SECOND)


@pytest.mark.parametrize("by_asking", [True, False])
async def test_who_came_back_is_no_longer_expected(store: ApprovalStore, by_asking: bool) -> None:
    first, second = waiter(), waiter()
    asked = question(waiting=first)
    one = (await store.ask(asked, NOON)).approval
    assert (await leave(store, one, first, hung_up=False)).state is ApprovalState.PENDING
    await come_back(store, asked, one, by_asking, second)
    assert (await leave(store, one, second, hung_up=True)).state is ApprovalState.ABANDONED


async def test_a_cancelled_call_that_came_back_is_abandoned(store: ApprovalStore) -> None:
    first, second = waiter(rpc_id="1"), waiter(rpc_id="2")
    asked = question(waiting=first)
    one = (await store.ask(asked, NOON)).approval
    await leave(store, one, first, hung_up=False)
    await come_back(store, asked, one, True, second)
    (ended,) = await store.withdraw(asked.caller, "session", "2", NOON + 2 * SECOND)
    assert (ended.id, ended.state) == (one.id, ApprovalState.ABANDONED)


@pytest.mark.parametrize("by_asking", [True, False])
async def test_who_comes_back_takes_the_place_of_nobody_else(store: ApprovalStore, by_asking: bool) -> None:
    elsewhere, held, back = waiter("another session"), waiter(), waiter()
    asked = question(waiting=elsewhere)
    one = (await store.ask(asked, NOON)).approval
    await leave(store, one, elsewhere, hung_up=False)
    await store.rejoin(one.id, asked.caller, held, NOON)
    await come_back(store, asked, one, by_asking, back)
    for gone in (back, held):
        assert (await leave(store, one, gone, hung_up=True)).state is ApprovalState.PENDING
    assert (await leave(store, one, elsewhere, hung_up=True)).state is ApprovalState.ABANDONED
