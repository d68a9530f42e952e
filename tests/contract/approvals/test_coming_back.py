"""What every store of approvals promises about callers who come back, and then go for good."""

from __future__ import annotations

from dataclasses import replace

import pytest

from countersign.approver.ports import ApprovalStore
from countersign.model.approval import Approval, ApprovalState, Question, Waiter
from tests.support.approvals import MINUTE, NOON, SECOND, again, owner, question, waiter


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


BACK = NOON + MINUTE


async def deny(store: ApprovalStore, one: Approval, now_us: int = NOON) -> Approval:
    return await store.decide(one.id, owner(), version=one.version, agrees=False, note="not on a Friday", now_us=now_us)


async def denied_while_away(store: ApprovalStore, asked: Question) -> Approval:
    one = (await store.ask(asked, NOON)).approval
    await store.leave(one.id, asked.waiter.id, hung_up=False, until_us=BACK, now_us=NOON)
    return await deny(store, one)


async def test_who_is_expected_back_hears_once_of_a_denial_and_then_asks_anew(store: ApprovalStore) -> None:
    asked = question(most_pending=1)
    denied = await denied_while_away(store, asked)
    other = replace(question(caller=asked.caller.subject), most_pending=1)
    # Also where nothing more may be asked.
    waiting = (await store.ask(other, NOON)).approval
    told = await store.ask(again(asked, waiting=waiter("another session")), BACK - 1)
    assert (told.joined, told.approval) == (True, denied)
    assert [one.what for one in await store.outbox(10, denied.id)] == ["asked", "denied"]
    await store.cancel(waiting.id, asked.caller, "", NOON)
    anew = await store.ask(again(asked), BACK - 1)
    assert (anew.joined, anew.approval.state) == (False, ApprovalState.PENDING)


@pytest.mark.parametrize("held", [None, waiter(waiter_id="back")], ids=["looks", "waits"])
async def test_who_comes_back_to_a_denial_has_heard_of_it(store: ApprovalStore, held: Waiter | None) -> None:
    asked = question()
    denied = await denied_while_away(store, asked)
    assert await store.rejoin(denied.id, asked.caller, held, NOON) == denied
    assert not (await store.ask(again(asked), NOON)).joined


async def test_who_was_held_or_is_late_asks_anew_after_a_denial(store: ApprovalStore) -> None:
    held, late = question(), question()
    await deny(store, (await store.ask(held, NOON)).approval)
    await denied_while_away(store, late)
    assert not (await store.ask(again(held), NOON)).joined
    assert not (await store.ask(again(late), BACK)).joined


async def test_who_is_sent_away_just_when_it_is_denied_hears_of_it(store: ApprovalStore) -> None:
    asked = question()
    denied = await deny(store, (await store.ask(asked, NOON)).approval)
    await store.leave(denied.id, asked.waiter.id, hung_up=False, until_us=BACK, now_us=NOON)
    assert (await store.ask(again(asked), NOON)).approval == denied
    assert not (await store.ask(again(asked), NOON)).joined


async def test_nobody_hears_of_what_ended_otherwise(store: ApprovalStore) -> None:
    cancelled, expired = question(), question()
    for asked in (cancelled, expired):
        one = (await store.ask(asked, NOON)).approval
        await store.leave(one.id, asked.waiter.id, hung_up=False, until_us=one.expires_at_us + MINUTE, now_us=NOON)
        if asked is cancelled:
            await store.cancel(one.id, asked.caller, "", NOON)
        assert not (await store.ask(again(asked), NOON if asked is cancelled else one.expires_at_us)).joined


async def test_a_denial_is_told_to_nobody_else(store: ApprovalStore) -> None:
    asked = question()
    denied = await denied_while_away(store, asked)
    assert not (await store.ask(replace(question(), digest=asked.digest), NOON)).joined
    assert (await store.get(denied.id)) == denied
