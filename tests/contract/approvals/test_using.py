"""What every store of approvals promises about grants and their ends, and what it tells of all of it."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from countersign.approver.ports import ApprovalError, ApprovalStore, Came, NoSuchApproval
from countersign.model.approval import Approval, ApprovalState, Person
from tests.support.approvals import ISSUER, MINUTE, NOON, OWNERS, TWO_OWNERS, again, owner, person, question

OPERATOR = person("operator", "operators")


async def approved(store: ApprovalStore, *, reuse_us: int = 0) -> Approval:
    asked = (await store.ask(question(reuse_us=reuse_us), NOON)).approval
    return await store.decide(asked.id, owner(), version=1, agrees=True, note="", now_us=NOON)


async def test_a_grant_is_taken_by_one_call_and_by_that_one_again(store: ApprovalStore) -> None:
    one = await approved(store)
    taken = await store.consume(one.id, one.digest, "call", NOON)
    assert (taken.granted, taken.approval.state) == (True, ApprovalState.CONSUMED)
    assert (taken.approval.uses, taken.approval.used_by) == (1, "call")
    assert await store.consume(one.id, one.digest, "call", one.grant_until_us) == taken
    other = await store.consume(one.id, one.digest, "other", NOON)
    assert (other.granted, other.approval) == (False, taken.approval)


async def test_what_nobody_agreed_to_is_not_granted(store: ApprovalStore) -> None:
    asked = (await store.ask(question(TWO_OWNERS), NOON)).approval
    assert not (await store.consume(asked.id, asked.digest, "call", NOON)).granted
    agreed = await store.decide(asked.id, owner(), version=1, agrees=True, note="", now_us=NOON)
    taken = await store.consume(asked.id, asked.digest, "call", NOON)
    assert (taken.granted, taken.approval) == (False, agreed)


async def test_a_grant_is_for_one_digest_only(store: ApprovalStore) -> None:
    one, other = await approved(store), await approved(store)
    for digest in (other.digest, b"", one.digest[:-1]):
        with pytest.raises(NoSuchApproval):
            await store.consume(one.id, digest, "call", NOON)
    with pytest.raises(NoSuchApproval):
        await store.consume("none", one.digest, "call", NOON)
    assert (await store.consume(one.id, one.digest, "call", NOON)).granted


async def test_a_grant_that_is_over_runs_nothing_even_before_it_was_swept(store: ApprovalStore) -> None:
    for reuse_us in (0, MINUTE):
        one = await approved(store, reuse_us=reuse_us)
        assert one.grant_until_us == NOON + (reuse_us or 15 * MINUTE)
        taken = await store.consume(one.id, one.digest, "call", one.grant_until_us)
        assert (taken.granted, taken.approval.state) == (False, ApprovalState.EXPIRED)
        assert not (await store.consume(one.id, one.digest, "call", NOON)).granted


async def test_while_a_reuse_lasts_each_call_takes_it_once_and_all_are_counted(store: ApprovalStore) -> None:
    one = await approved(store, reuse_us=MINUTE)
    for number, call_id in enumerate(("a", "b", "a", "c")):
        taken = await store.consume(one.id, one.digest, call_id, NOON + number)
        assert (taken.granted, taken.approval.state) == (True, ApprovalState.APPROVED)
    assert (taken.approval.uses, taken.approval.used_by) == (3, "c")
    told = [(each.what, each.call_id) for each in await store.outbox(10, one.id)][2:]
    assert told == [("consumed", "a"), ("consumed", "b"), ("consumed", "c")]
    assert not (await store.consume(one.id, one.digest, "d", one.grant_until_us)).granted
    # What ran may be told so again: its answer was lost.
    assert (await store.consume(one.id, one.digest, "a", one.grant_until_us)).granted


async def test_time_ends_what_is_open_a_bounded_number_at_once(store: ApprovalStore) -> None:
    far_us = NOON + 10**15
    while await store.expire(1_000, far_us):
        pass
    waiting = [(await store.ask(question(), NOON)).approval for _ in range(2)]
    granted = await approved(store)
    used = await approved(store)
    await store.consume(used.id, used.digest, "call", NOON)
    assert await store.expire(10, waiting[0].expires_at_us - 1) == []
    swept = [*await store.expire(2, far_us), *await store.expire(2, far_us)]
    assert {one.id for one in swept} == {*(one.id for one in waiting), granted.id}
    assert {one.state for one in swept} == {ApprovalState.EXPIRED}
    assert await store.expire(10, far_us) == []
    assert (await store.get(used.id)).state is ApprovalState.CONSUMED


async def test_with_a_principal_everything_of_theirs_dies_and_nothing_else(store: ApprovalStore) -> None:
    gone, boss = Person(ISSUER, "gone"), Person(ISSUER, "gone's boss")
    mine = question(caller="gone")
    asked = (await store.ask(mine, NOON)).approval
    acted = (await store.ask(question(acts_for=(boss, gone)), NOON)).approval
    agreed = (await store.ask(question(TWO_OWNERS), NOON)).approval
    await store.decide(agreed.id, person("gone", "data-owners"), version=1, agrees=True, note="", now_us=NOON)
    granted = (await store.ask(question(), NOON)).approval
    await store.decide(granted.id, person("gone", "data-owners"), version=1, agrees=True, note="", now_us=NOON)
    over = (await store.ask(question(caller="gone", within_us=1), NOON)).approval
    kept = [
        (await store.ask(question(), NOON)).approval,
        (await store.ask(question(acts_for=(Person("https://other.example", "gone"),)), NOON)).approval,
        await approved(store),
    ]
    came = Came("192.0.2.9", "00-1-2-01")
    ended = await store.revoke(gone, OPERATOR, "left", NOON + 1, came)
    assert {one.id for one in ended} == {asked.id, acted.id, agreed.id, granted.id}
    assert {(one.state, one.reason) for one in ended} == {(ApprovalState.CANCELLED, "left")}
    for one in ended:
        assert await store.get(one.id) == one
        assert not (await store.consume(one.id, one.digest, "call", NOON)).granted
    assert (await store.get(over.id)).state is ApprovalState.EXPIRED
    assert [await store.get(one.id) for one in kept] == kept
    last = (await store.outbox(10, asked.id))[-1]
    assert (last.what, last.by, last.note, last.source_address) == ("cancelled", OPERATOR, "left", "192.0.2.9")
    assert await store.revoke(gone, OPERATOR, "left", NOON + 1) == []
    assert not (await store.ask(again(mine), NOON + 1)).joined


async def test_each_change_is_told_once_in_order_as_it_was_until_it_is_recorded(store: ApprovalStore) -> None:
    asked = (await store.ask(question(TWO_OWNERS), NOON)).approval
    came = Came("192.0.2.7", "00-7-7-01")
    first = await store.decide(asked.id, owner(1), version=1, agrees=True, note="a", now_us=NOON + 1, came=came)
    second = await store.decide(asked.id, owner(2), version=2, agrees=True, note="b", now_us=NOON + 2)
    taken = await store.consume(asked.id, asked.digest, "call", NOON + 3)
    told = await store.outbox(10, asked.id)
    assert [one.what for one in told] == ["asked", "agreed", "approved", "consumed"]
    assert [one.approval for one in told] == [asked, first, second, taken.approval]
    assert [one.by for one in told[1:]] == [owner(1), owner(2), asked.asked_by]
    assert [(one.at_us, one.note) for one in told[1:]] == [(NOON + 1, "a"), (NOON + 2, "b"), (NOON + 3, "")]
    assert (told[1].source_address, told[1].traceparent) == ("192.0.2.7", "00-7-7-01")
    assert [one.call_id for one in told] == [told[0].call_id] * 3 + ["call"]
    assert len({one.event_id for one in told}) == 4
    assert await store.outbox(2, asked.id) == told[:2]
    assert [one for one in await store.outbox(1_000) if one.approval.id == asked.id] == told
    await store.recorded([told[0].event_id, told[2].event_id, str(uuid4())])
    assert await store.outbox(10, asked.id) == [told[1], told[3]]


async def test_what_changes_nothing_is_noted_once(store: ApprovalStore) -> None:
    asked = (await store.ask(question(), NOON)).approval
    (told,) = await store.outbox(10, asked.id)
    noted = replace(told, event_id=str(uuid4()), what="decision_refused", by=owner(), note="stale")
    for _ in range(2):
        await store.note(noted)
    assert await store.outbox(10, asked.id) == [told, noted]
    assert await store.get(asked.id) == asked


async def test_what_is_refused_changes_and_tells_nothing(store: ApprovalStore) -> None:
    asked = (await store.ask(question(OWNERS, caller="full", most_pending=1), NOON)).approval
    for refused in (
        store.ask(question(caller="full", most_pending=1), NOON),
        store.decide(asked.id, person("carol"), version=1, agrees=True, note="", now_us=NOON),
        store.decide(asked.id, owner(), version=7, agrees=True, note="", now_us=NOON),
        store.consume(asked.id, b"another", "call", NOON),
        store.cancel(asked.id, owner(), "", NOON),
    ):
        with pytest.raises(ApprovalError):
            await refused
    assert await store.get(asked.id) == asked
    assert len(await store.outbox(10, asked.id)) == 1
    assert await store.versions([asked.id, "none"]) == {asked.id: 1}


async def test_pages_go_from_the_newest_to_the_oldest_and_leave_nothing_out(store: ApprovalStore) -> None:
    later_us = NOON + 10**12
    asked = [(await store.ask(question(), later_us + number // 2)).approval for number in range(6)]
    denied = await store.decide(asked[2].id, owner(), version=1, agrees=False, note="", now_us=later_us)
    pending = (ApprovalState.PENDING,)
    wanted = sorted((one for one in asked if one.id != denied.id), key=lambda one: (one.asked_at_us, one.id))[::-1]
    found: list[Approval] = []
    after = None
    while len(found) < 5:
        page = await store.page(states=pending, after=after, limit=2)
        found += page
        after = (page[-1].asked_at_us, page[-1].id)
    assert found[:5] == wanted
    assert (await store.page(states=(ApprovalState.DENIED,), after=None, limit=1)) == [denied]
    assert await store.page(states=(), after=None, limit=10) == []


async def test_an_approval_is_found_by_the_beginning_of_its_id(store: ApprovalStore) -> None:
    asked = [(await store.ask(question(), NOON)).approval for _ in range(3)]
    for one in asked:
        for length in (8, 9, 20, 36):
            assert await store.find(one.id[:length], 2) == [one]
    everything = await store.find("", 1_000)
    assert [one.id for one in everything] == sorted(one.id for one in everything)
    assert {one.id for one in asked} <= {one.id for one in everything}
    for nothing in ("%", "_" * 36, asked[0].id + "0", "g", "\0", "'"):
        assert await store.find(nothing, 10) == []
