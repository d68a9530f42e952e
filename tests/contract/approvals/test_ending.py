"""What every store of approvals promises when somebody is revoked: all that is open is looked at, and told of."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from countersign.approver.ports import ApprovalStore
from countersign.approver.store import PostgresApprovalStore
from countersign.model.approval import Approval, ApprovalState, Question, ShownToken
from tests.support.approvals import GLASS, NOON, OWNERS, REASON, TWO_OWNERS, owner, person, question

WHY = "whoever asked for it was revoked"


async def test_what_is_open_ends_and_is_told_and_nothing_else(store: ApprovalStore) -> None:
    asking = replace(
        question(OWNERS), caller_issued_s=7, caller_signed_in="sid", caller_token_subject="repo:acme", session_id="mine"
    )
    asked = [(await store.ask(replace(asking, digest=bytes([n]) * 32), NOON)).approval for n in range(3)]
    agreed = await store.decide(asked[1].id, owner(), version=1, agrees=True, note="", now_us=NOON)
    denied = await store.decide(asked[2].id, owner(), version=1, agrees=False, note="no", now_us=NOON)
    other = (await store.ask(question(OWNERS), NOON)).approval

    def why(one: Question, approval: Approval) -> str:
        known = (one.caller_issued_s, one.caller_signed_in, one.caller_token_subject, one.session_id)
        return WHY if known == (7, "sid", "repo:acme", "mine") and approval.state.is_open else ""

    ended = await store.end(why, NOON)
    assert {one.id for one in ended} == {asked[0].id, agreed.id}
    assert {(one.state, one.reason) for one in ended} == {(ApprovalState.CANCELLED, WHY)}
    assert await store.get(denied.id) == denied
    assert (await store.get(other.id)).state is ApprovalState.PENDING
    assert not (await store.consume(agreed.id, agreed.digest, "call", NOON)).granted
    told = [one for one in await store.outbox(1_000, agreed.id) if one.what == "cancelled"]
    assert [(one.by, one.note) for one in told] == [(None, WHY)]
    assert list(await store.end(why, NOON)) == []


TOKEN = ShownToken("its token", 7, "its sign-in", "00u1")
BY = replace(owner(), token_id="its token", issued_s=7, signed_in="its sign-in", token_subject="00u1")


def struck(_question: Question, approval: Approval) -> str:
    """Whether somebody agreed by ``TOKEN``, as whoever grants asks."""
    return WHY if TOKEN in {one.token for one in approval.decisions if one.agrees} else ""


async def test_it_is_kept_by_which_token_each_decided(store: ApprovalStore) -> None:
    asked = (await store.ask(question(TWO_OWNERS, glass=(GLASS,)), NOON)).approval
    await store.decide(asked.id, BY, version=1, agrees=True, note="", now_us=NOON)
    alone = person(asked.asked_by.subject, token_id="of the caller")
    await store.break_glass(asked.id, alone, version=2, reason=REASON, now_us=NOON)
    found = [one.token for one in (await store.get(asked.id)).decisions]
    assert found == [TOKEN, ShownToken("of the caller")]


@pytest.mark.parametrize("reuse_us", [0, 60_000_000], ids=["once", "again and again"])
async def test_what_ends_at_the_moment_of_its_grant_is_granted_to_nobody(store: ApprovalStore, reuse_us: int) -> None:
    asked = (await store.ask(question(OWNERS, reuse_us=reuse_us), NOON)).approval
    await store.decide(asked.id, BY, version=1, agrees=True, note="", now_us=NOON)
    taken = await store.consume(asked.id, asked.digest, "call", NOON, struck)
    assert (taken.granted, taken.approval.state, taken.approval.reason) == (False, ApprovalState.CANCELLED, WHY)
    assert await store.get(asked.id) == taken.approval
    told = await store.outbox(10, asked.id)
    assert [(one.what, one.by, one.note) for one in told[2:]] == [("cancelled", None, WHY)]
    assert not (await store.consume(asked.id, asked.digest, "call", NOON)).granted


async def test_what_was_granted_once_is_not_granted_again_to_the_same_call(store: ApprovalStore) -> None:
    asked = (await store.ask(question(OWNERS), NOON)).approval
    await store.decide(asked.id, BY, version=1, agrees=True, note="", now_us=NOON)
    used = (await store.consume(asked.id, asked.digest, "call", NOON)).approval
    again = await store.consume(asked.id, asked.digest, "call", NOON, struck)
    assert (again.granted, again.approval) == (False, used)
    assert [one.what for one in await store.outbox(10, asked.id)] == ["asked", "approved", "consumed"]


async def test_what_was_decided_before_tokens_were_kept_is_read_without(dsn: str) -> None:
    store = PostgresApprovalStore(dsn)
    await store.open()
    try:
        asked = (await store.ask(question(OWNERS), NOON)).approval
        agreed = await store.decide(asked.id, BY, version=1, agrees=True, note="", now_us=NOON)
        with psycopg.connect(dsn) as connection:
            connection.execute(
                "UPDATE countersign_approvals.decisions SET token_id = NULL, issued_s = NULL, signed_in = NULL,"
                " token_subject = NULL WHERE approval_id = %s",
                (asked.id,),
            )
        found = await store.get(asked.id)
        assert (found, [one.token for one in found.decisions]) == (agreed, [None])
        assert (await store.consume(asked.id, asked.digest, "call", NOON, struck)).granted
    finally:
        await store.close()
