"""What every store of approvals promises to callers: one question a call, a bounded number, and to be waited for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from countersign.approver.ports import ApprovalStore, NoSuchApproval, NotOpen, TooManyPending
from countersign.model.approval import Approval, ApprovalState, Person
from countersign.model.principal import Principal, PrincipalKind
from tests.support.approvals import ISSUER, MINUTE, NOON, again, owner, person, question, waiter

LATER = NOON + MINUTE
BACK = LATER + MINUTE


async def agree(store: ApprovalStore, one: Approval, now_us: int = NOON) -> Approval:
    return await store.decide(one.id, owner(), version=one.version, agrees=True, note="", now_us=now_us)


async def test_who_asks_again_joins_while_it_is_pending_and_while_it_is_approved(store: ApprovalStore) -> None:
    asking = question()
    first = await store.ask(asking, NOON)
    assert not first.joined
    second = await store.ask(again(asking), NOON + 1)
    assert (second.joined, second.approval) == (True, first.approval)
    approved = await agree(store, first.approval)
    third = await store.ask(again(asking), NOON + 2)
    assert (third.joined, third.approval) == (True, approved)


async def test_who_asks_again_after_a_lost_answer_holds_up_no_record(store: ApprovalStore) -> None:
    # The recorder takes no other event by an id that it knows, and then nothing more of the approval, nor its grant.
    asking = question()
    one = (await store.ask(asking, NOON)).approval
    joining = again(asking)
    await store.ask(joining, NOON + 1)
    first = {told.event_id: told for told in await store.outbox(10, one.id)}
    await store.recorded(list(first))
    await store.ask(joining, NOON + 2)
    assert not [told for told in await store.outbox(10, one.id) if first.get(told.event_id, told) != told]


async def test_what_is_asked_is_kept_as_it_was(store: ApprovalStore) -> None:
    asking = question(acts_for=(Person(ISSUER, "boss"),), reuse_us=MINUTE)
    asking = replace(asking, name="query \0 \u202e", target="t\0")
    approval = (await store.ask(asking, NOON)).approval
    assert await store.get(approval.id) == approval
    for field in (
        *("digest", "acts_for", "session_id", "target", "method", "name", "policy_version", "summary"),
        *("requirements", "break_glass", "reuse_us"),
    ):
        assert getattr(approval, field) == getattr(asking, field)
    assert (approval.asked_by, approval.asked_by_kind) == (asking.caller, "agent")
    (told,) = await store.outbox(10, approval.id)
    assert told.approval == approval
    assert (told.call_id, told.source_address, told.traceparent) == (asking.call_id, "192.0.2.1", "00-11-22-01")
    caller = asking.caller
    assert told.by == Principal(caller.issuer, caller.subject, ("agents",), PrincipalKind.AGENT, asking.caller_token_id)


async def test_after_the_end_the_same_call_is_asked_anew(store: ApprovalStore) -> None:
    asking = question()
    seen = set()
    for end in ("denied", "cancelled", "consumed", "expired", "grant over", "abandoned"):
        asked = await store.ask(again(asking, waiting=waiter(waiter_id="w")), NOON)
        one = asked.approval
        assert (asked.joined, one.id in seen) == (False, False)
        seen.add(one.id)
        if end == "denied":
            await store.decide(one.id, owner(), version=1, agrees=False, note="", now_us=NOON)
        elif end == "cancelled":
            await store.cancel(one.id, asking.caller, "changed my mind", NOON)
        elif end == "consumed":
            await agree(store, one)
            await store.consume(one.id, one.digest, "call", NOON)
        elif end == "expired":
            await store.expire(1_000, one.expires_at_us)
        elif end == "grant over":
            await store.expire(1_000, (await agree(store, one)).grant_until_us)
        else:
            await store.leave(one.id, "w", hung_up=True, until_us=0, now_us=NOON)
        assert not (await store.get(one.id)).state.is_open
    assert not (await store.ask(again(asking), NOON)).joined


async def test_what_is_over_is_never_joined_even_before_it_was_swept(store: ApprovalStore) -> None:
    asking = question()
    first = (await store.ask(asking, NOON)).approval
    second = await store.ask(again(asking), first.expires_at_us)
    assert not second.joined
    assert (await store.get(first.id)).state is ApprovalState.EXPIRED
    approved = await agree(store, second.approval, now_us=first.expires_at_us)
    third = await store.ask(again(asking), approved.grant_until_us)
    assert not third.joined
    assert [one.what for one in await store.outbox(10, first.id)] == ["asked", "expired"]
    assert [one.what for one in await store.outbox(10, second.approval.id)] == ["asked", "approved", "expired"]


async def test_a_caller_waits_for_a_bounded_number_and_may_still_join_those(store: ApprovalStore) -> None:
    mine = [question(caller="busy", most_pending=2) for _ in range(4)]
    first, second = [(await store.ask(one, NOON)).approval for one in mine[:2]]
    with pytest.raises(TooManyPending):
        await store.ask(mine[2], NOON)
    assert (await store.ask(again(mine[0]), NOON)).joined
    await store.ask(question(caller="another", most_pending=2), NOON)
    await agree(store, first)
    third = (await store.ask(mine[2], NOON)).approval
    with pytest.raises(TooManyPending):
        await store.ask(mine[3], NOON)
    # Neither counts what is over, swept or not.
    assert not (await store.ask(mine[3], second.expires_at_us)).joined
    assert (await store.get(third.id)).state is ApprovalState.PENDING


async def test_each_call_that_joins_is_recorded_once(store: ApprovalStore) -> None:
    asking = question()
    asked = (await store.ask(asking, NOON)).approval
    other = again(asking)
    for one in (asking, other, other, asking):
        assert (await store.ask(one, NOON)).joined
    told = await store.outbox(10, asked.id)
    assert [(one.what, one.call_id) for one in told] == [("asked", asking.call_id), ("joined", other.call_id)]


async def test_a_digest_gives_nobody_what_another_asked_for(store: ApprovalStore) -> None:
    asking = question()
    await store.ask(asking, NOON)
    with pytest.raises(NoSuchApproval):
        await store.ask(replace(question(), digest=asking.digest), NOON)


async def test_only_its_caller_comes_back_to_an_approval_whatever_became_of_it(store: ApprovalStore) -> None:
    asking = question()
    asked = (await store.ask(asking, NOON)).approval
    with pytest.raises(NoSuchApproval):
        await store.rejoin(asked.id, question().caller, waiter(), NOON)
    with pytest.raises(NoSuchApproval):
        await store.rejoin("none", asking.caller, None, NOON)
    assert await store.rejoin(asked.id, asking.caller, None, NOON) == asked
    over = await store.rejoin(asked.id, asking.caller, waiter(), asked.expires_at_us)
    assert over.state is ApprovalState.EXPIRED
    assert await store.rejoin(asked.id, asking.caller, waiter(), NOON) == over


async def test_only_the_last_hang_up_abandons(store: ApprovalStore) -> None:
    asking = question(waiting=waiter(waiter_id="a"))
    asked = (await store.ask(asking, NOON)).approval
    await store.ask(again(asking, waiting=waiter(waiter_id="b")), NOON)
    await store.rejoin(asked.id, asking.caller, waiter(waiter_id="c"), NOON)
    for leaving in ("a", "b", "b", "unknown"):
        left = await store.leave(asked.id, leaving, hung_up=True, until_us=0, now_us=NOON)
        assert left.state is ApprovalState.PENDING
    left = await store.leave(asked.id, "c", hung_up=True, until_us=0, now_us=NOON)
    assert left.state is ApprovalState.ABANDONED
    assert await store.leave(asked.id, "c", hung_up=True, until_us=0, now_us=NOON) == left
    with pytest.raises(NotOpen):
        await agree(store, left)


async def test_who_is_expected_back_is_waited_for_until_then_and_not_longer(store: ApprovalStore) -> None:
    asking = question(waiting=waiter(waiter_id="a"))
    asked = (await store.ask(asking, NOON)).approval
    await store.leave(asked.id, "a", hung_up=False, until_us=BACK, now_us=LATER)
    await store.rejoin(asked.id, asking.caller, waiter("other", waiter_id="b", until_us=BACK), LATER)
    left = await store.leave(asked.id, "b", hung_up=True, until_us=0, now_us=BACK - 1)
    assert left.state is ApprovalState.PENDING
    await store.rejoin(asked.id, asking.caller, waiter("other", waiter_id="c", until_us=BACK + 1), BACK - 1)
    left = await store.leave(asked.id, "c", hung_up=True, until_us=0, now_us=BACK)
    assert left.state is ApprovalState.ABANDONED


async def test_silence_ends_nothing_before_its_time(store: ApprovalStore) -> None:
    asking = question(waiting=waiter(waiter_id="a"))
    asked = (await store.ask(asking, NOON)).approval
    await store.leave(asked.id, "a", hung_up=False, until_us=BACK, now_us=LATER)
    last_us = asked.expires_at_us - 1
    assert await store.rejoin(asked.id, asking.caller, None, last_us) == asked
    # Only who was known to wait can hang up.
    assert await store.leave(asked.id, "b", hung_up=True, until_us=0, now_us=last_us) == asked
    assert (await agree(store, asked, now_us=last_us)).state is ApprovalState.APPROVED


async def test_a_hang_up_takes_no_grant_away(store: ApprovalStore) -> None:
    asked = (await store.ask(question(waiting=waiter(waiter_id="a")), NOON)).approval
    approved = await agree(store, asked)
    assert await store.leave(asked.id, "a", hung_up=True, until_us=0, now_us=NOON) == approved
    assert (await store.consume(asked.id, asked.digest, "call", NOON)).granted


async def test_a_session_takes_back_one_wait_or_all_of_its_own(store: ApprovalStore) -> None:
    mine = [question(caller="leaver", waiting=waiter("s1", rpc_id=str(number))) for number in range(3)]
    one, two, shared = [(await store.ask(each, NOON)).approval for each in mine]
    await store.ask(again(mine[2], waiting=waiter("s2")), NOON)
    others = (await store.ask(question(waiting=waiter("s1", rpc_id="0")), NOON)).approval
    caller = mine[0].caller
    assert await store.withdraw(caller, "s3", "", NOON) == []
    assert await store.withdraw(Person(ISSUER, "nobody"), "s1", "", NOON) == []
    (ended,) = await store.withdraw(caller, "s1", "0", NOON)
    assert (ended.id, ended.state) == (one.id, ApprovalState.ABANDONED)
    assert [each.id for each in await store.withdraw(caller, "s1", "", NOON)] == [two.id]
    assert [each.id for each in await store.withdraw(caller, "s2", "", NOON)] == [shared.id]
    assert (await store.get(others.id)).state is ApprovalState.PENDING


async def test_a_session_that_is_expected_back_can_be_withdrawn_also_when_it_is_late(store: ApprovalStore) -> None:
    asking = question(waiting=waiter("late", waiter_id="a"))
    asked = (await store.ask(asking, NOON)).approval
    await store.leave(asked.id, "a", hung_up=False, until_us=LATER, now_us=NOON)
    assert [one.id for one in await store.withdraw(asking.caller, "late", "", BACK)] == [asked.id]


async def test_only_its_caller_cancels_it_and_only_while_it_is_open(store: ApprovalStore) -> None:
    asking = question()
    asked = (await store.ask(asking, NOON)).approval
    for stranger in (Person(ISSUER, "nobody"), owner()):
        with pytest.raises(NoSuchApproval):
            await store.cancel(asked.id, stranger, "", NOON)
    await agree(store, asked)
    by = person(asking.caller.subject)
    cancelled = await store.cancel(asked.id, by, "changed my mind", NOON)
    assert (cancelled.state, cancelled.reason) == (ApprovalState.CANCELLED, "changed my mind")
    assert not (await store.consume(asked.id, asked.digest, "call", NOON)).granted
    with pytest.raises(NotOpen) as refused:
        await store.cancel(asked.id, asking.caller, "", NOON)
    assert refused.value.approval == cancelled
    assert (await store.outbox(10, asked.id))[-1].by == by
