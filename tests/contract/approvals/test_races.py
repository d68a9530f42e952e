"""Several approvers on one database at once: one outcome each, whatever races."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from typing import TypeVar

import pytest

from countersign.approver.ports import ApprovalError, NotOpen, Stale, Taken, TooManyPending
from countersign.approver.store import PostgresApprovalStore
from countersign.model.approval import Approval, ApprovalState
from tests.support.approvals import (
    MINUTE,
    NOON,
    OWNERS,
    SECURITY,
    TWO_OWNERS,
    again,
    owner,
    person,
    question,
    waiter,
)

Given = TypeVar("Given")

Stores = tuple[PostgresApprovalStore, PostgresApprovalStore]
OPERATOR = person("operator")


@pytest.fixture
async def stores(dsn: str) -> AsyncIterator[Stores]:
    one, other = PostgresApprovalStore(dsn), PostgresApprovalStore(dsn)
    await asyncio.gather(one.open(), other.open())
    yield one, other
    await one.close()
    await other.close()


async def outcome(work: Awaitable[Given]) -> Given | ApprovalError:
    try:
        return await work
    except ApprovalError as error:
        return error


async def granted(store: PostgresApprovalStore) -> Approval:
    asked = (await store.ask(question(), NOON)).approval
    return await store.decide(asked.id, owner(), version=1, agrees=True, note="", now_us=NOON)


async def whats(store: PostgresApprovalStore, one: Approval) -> list[str]:
    return [told.what for told in await store.outbox(100, one.id)]


async def test_of_twenty_calls_exactly_one_takes_a_grant(stores: Stores) -> None:
    for _ in range(5):
        one = await granted(stores[0])
        taken = await asyncio.gather(
            *(stores[number % 2].consume(one.id, one.digest, f"call {number}", NOON) for number in range(20))
        )
        assert sum(each.granted for each in taken) == 1
        assert {each.approval.state for each in taken} == {ApprovalState.CONSUMED}
        winner = [f"call {number}" for number, each in enumerate(taken) if each.granted]
        assert {each.approval.used_by for each in taken} == set(winner)
        assert await whats(stores[0], one) == ["asked", "approved", "consumed"]


async def test_the_same_call_that_asks_at_once_is_counted_once(stores: Stores) -> None:
    one = await granted(stores[0])
    taken = await asyncio.gather(*(stores[number % 2].consume(one.id, one.digest, "call", NOON) for number in range(8)))
    assert all(each.granted for each in taken)
    assert {each.approval.uses for each in taken} == {1}


async def test_of_thirty_questions_at_once_as_many_wait_as_may(stores: Stores) -> None:
    asking = [question(caller="flood") for _ in range(30)]
    answers = await asyncio.gather(*(outcome(stores[n % 2].ask(one, NOON)) for n, one in enumerate(asking)))
    assert sum(isinstance(one, TooManyPending) for one in answers) == 20
    pending = await stores[0].page(states=(ApprovalState.PENDING,), after=None, limit=1_000)
    assert sum(one.asked_by == asking[0].caller for one in pending) == 10


async def test_the_same_question_at_once_is_asked_once(stores: Stores) -> None:
    asking = question(most_pending=1)
    answers = await asyncio.gather(*(stores[n % 2].ask(again(asking), NOON) for n in range(20)))
    assert sum(not one.joined for one in answers) == 1
    assert len({one.approval.id for one in answers}) == 1


async def test_who_asks_while_it_is_decided_gets_one_that_is_open(stores: Stores) -> None:
    for number in range(15):
        asking = question()
        first = (await stores[0].ask(asking, NOON)).approval
        agrees = bool(number % 2)
        decided, asked = await asyncio.gather(
            stores[0].decide(first.id, owner(), version=1, agrees=agrees, note="", now_us=NOON),
            asyncio.gather(*(stores[n % 2].ask(again(asking), NOON) for n in range(4))),
        )
        assert decided.state is (ApprovalState.APPROVED if agrees else ApprovalState.DENIED)
        assert all(one.approval.state.is_open for one in asked)
        assert len({one.approval.id for one in asked} - {first.id}) <= (0 if agrees else 1)


async def test_of_many_who_decide_at_once_as_many_count_as_are_needed(stores: Stores) -> None:
    for _ in range(5):
        asked = (await stores[0].ask(question(TWO_OWNERS), NOON)).approval
        answers: list[Approval | ApprovalError] = []
        version = 1
        for _ in range(2):
            answers += await asyncio.gather(
                *(
                    outcome(
                        stores[n % 2].decide(asked.id, owner(n), version=version, agrees=True, note="", now_us=NOON)
                    )
                    for n in range(5)
                )
            )
            version += 1
        stands = await stores[1].get(asked.id)
        assert (stands.state, stands.version, len(stands.decisions)) == (ApprovalState.APPROVED, 3, 2)
        assert await whats(stores[0], asked) == ["asked", "agreed", "approved"]
        refused = [one for one in answers if not isinstance(one, Approval)]
        # Whoever decided in the first round says the same words in the second, and gets the same answer.
        assert len(refused) == 7
        assert all(isinstance(one, (Stale, NotOpen)) for one in refused)


async def test_a_grant_ends_in_one_way_only_and_runs_only_if_that_is_its_use(stores: Stores) -> None:
    one_store, other = stores
    for _ in range(10):
        one = await granted(one_store)
        taken, *_ = await asyncio.gather(
            one_store.consume(one.id, one.digest, "call", NOON),
            outcome(other.cancel(one.id, one.asked_by, "", NOON)),
            other.revoke(one.asked_by, OPERATOR, "", NOON),
            one_store.expire(1_000, one.grant_until_us),
        )
        assert isinstance(taken, Taken)
        stands = await other.get(one.id)
        assert taken.granted == (stands.state is ApprovalState.CONSUMED)
        assert await whats(other, one) == ["asked", "approved", str(stands.state)]


async def test_an_agreement_that_races_the_last_hang_up_either_counts_or_is_refused(stores: Stores) -> None:
    for _ in range(10):
        asked = (await stores[0].ask(question(waiting=waiter(waiter_id="a")), NOON)).approval
        decided, left = await asyncio.gather(
            outcome(stores[0].decide(asked.id, owner(), version=1, agrees=True, note="", now_us=NOON)),
            stores[1].leave(asked.id, "a", hung_up=True, until_us=0, now_us=NOON),
        )
        stands = await stores[0].get(asked.id)
        assert left == stands
        assert stands.state is (ApprovalState.ABANDONED if isinstance(decided, NotOpen) else ApprovalState.APPROVED)


async def test_changes_of_many_approvals_at_once_never_block_each_other(stores: Stores) -> None:
    asking = [question(TWO_OWNERS, SECURITY, caller="many", waiting=waiter("all")) for _ in range(10)]
    asked = [(await stores[0].ask(one, NOON)).approval for one in asking]
    caller = asked[0].asked_by
    await asyncio.gather(
        *(
            outcome(stores[n % 2].decide(one.id, owner(), version=1, agrees=True, note="", now_us=NOON))
            for n, one in enumerate(reversed(asked))
        ),
        stores[0].withdraw(caller, "all", "", NOON),
        stores[1].withdraw(caller, "all", "", NOON),
        stores[0].revoke(caller, OPERATOR, "", NOON),
        stores[1].expire(100, NOON + 20 * MINUTE),
        stores[0].expire(100, NOON + 20 * MINUTE),
        *(stores[n % 2].ask(replace(again(one), requirements=(OWNERS,)), NOON) for n, one in enumerate(asking)),
    )
    for one in asked:
        stands = await stores[0].get(one.id)
        told = await stores[1].outbox(100, one.id)
        assert [each.approval.version for each in told if each.what != "joined"] == [*range(1, stands.version + 1)]
