"""What every store of approvals promises when somebody is revoked: all that is open is looked at, and told of."""

from __future__ import annotations

from dataclasses import replace

from countersign.approver.ports import ApprovalStore
from countersign.model.approval import Approval, ApprovalState, Question
from tests.support.approvals import NOON, OWNERS, owner, question

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
