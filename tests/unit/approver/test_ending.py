"""What the revoked asked for or agreed to is over, runs never, and nobody else loses anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest

from countersign.api.approvals.v1 import approvals_pb2
from countersign.approver.ending import Ender
from countersign.approver.ports import FROM_NOWHERE, Came
from countersign.model.approval import Approval, ApprovalState, Person
from countersign.model.principal import Principal
from countersign.model.revocation import RevocationKind
from countersign.runtime.approvals import ApproverAway
from countersign.runtime.postgres import DatabaseUnavailable
from tests.support.approvals import GLASS, ISSUER, NOON, OWNERS, REASON, SECOND, TWO_OWNERS, owner, person
from tests.support.approving import Bench, asking, vouched
from tests.support.approving import bench as running_bench
from tests.support.revoking import of_principal, revocation

S = NOON // SECOND


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with running_bench() as made:
        yield made


def ender(bench: Bench) -> Ender:
    return Ender(bench.store, bench.outbox, bench.following, bench.revocations, lambda: bench.now_us)


async def state(bench: Bench, approval: Approval) -> ApprovalState:
    return (await bench.store.get(approval.id)).state


ASKED = replace(
    asking(caller="alice"),
    acts_for=(Person(ISSUER, "bot"),),
    caller_signed_in="sid",
    caller_issued_s=100,
    caller_token_subject="repo:acme",
)


@pytest.mark.parametrize(
    ("kind", "value", "before_s", "struck"),
    [
        (RevocationKind.PRINCIPAL, "alice", None, True),
        (RevocationKind.PRINCIPAL, "bot", None, True),
        (RevocationKind.PRINCIPAL, "repo:acme", None, True),
        (RevocationKind.PRINCIPAL, "alice", 101, True),
        (RevocationKind.PRINCIPAL, "alice", 100, False),
        (RevocationKind.PRINCIPAL, "bob", None, False),
        (RevocationKind.TOKEN, "token of alice", None, True),
        (RevocationKind.TOKEN, "another", None, False),
        (RevocationKind.SIGN_IN, "sid", None, True),
        (RevocationKind.SIGN_IN, "another", None, False),
        (RevocationKind.ISSUER, "", 101, True),
        (RevocationKind.ISSUER, "", 50, False),
    ],
)
async def test_what_the_revoked_asked_for_ends(
    bench: Bench, kind: RevocationKind, value: str, before_s: int | None, *, struck: bool
) -> None:
    asked, _ = await bench.broker.ask(ASKED)
    bench.revocations.revoke(revocation(kind, value, ISSUER, before_s=before_s))
    await ender(bench).settled()
    found = await bench.store.get(asked.id)
    assert found.state is (ApprovalState.CANCELLED if struck else ApprovalState.PENDING)
    assert found.reason == ("whoever asked for it was revoked" if struck else "")


async def test_what_a_revoked_session_asked_for_ends(bench: Bench) -> None:
    asked, _ = await bench.broker.ask(ASKED)
    other, _ = await bench.broker.ask(asking())
    bench.revocations.revoke(revocation(RevocationKind.SESSION, ASKED.session_id))
    await ender(bench).settled()
    assert await state(bench, asked) is ApprovalState.CANCELLED
    assert await state(bench, other) is ApprovalState.PENDING


async def _agreed(bench: Bench, now_us: int) -> Approval:
    asked, _ = await bench.broker.ask(asking())
    return await bench.store.decide(asked.id, owner(), version=asked.version, agrees=True, note="", now_us=now_us)


async def test_what_the_revoked_agreed_to_is_not_granted(bench: Bench) -> None:
    """Whoever stole an owner's laptop has agreed to something, and the call comes back for it only now."""
    agreed = await _agreed(bench, NOON)
    bench.revocations.known.put(replace(of_principal(owner()), revoked_us=NOON + SECOND))
    bench.revocations.tell()
    granted, found = await bench.broker.consume(agreed.id, agreed.digest, asking().call_id)
    assert not granted
    assert (found.state, found.reason) == (ApprovalState.CANCELLED, "somebody who agreed to it was revoked")


async def test_who_signed_in_anew_agrees_as_before(bench: Bench) -> None:
    """All tokens of an issuer before noon were revoked; what people agree to with new ones must last."""
    bench.now_us = NOON + 60 * SECOND
    agreed = await _agreed(bench, bench.now_us)
    made = replace(revocation(RevocationKind.ISSUER, "", ISSUER, before_s=S), revoked_us=NOON)
    bench.revocations.revoke(made)
    granted, _ = await bench.broker.consume(agreed.id, agreed.digest, asking().call_id)
    assert not granted, "its caller's token does not say when it was issued"
    asked, _ = await bench.broker.ask(replace(asking(), caller_issued_s=S + 1))
    anew = replace(owner(), issued_s=S + 1)
    agreed = await bench.store.decide(asked.id, anew, version=asked.version, agrees=True, note="", now_us=bench.now_us)
    granted, _ = await bench.broker.consume(agreed.id, agreed.digest, asking().call_id)
    assert granted


@pytest.mark.parametrize("newest_first", [True, False])
async def test_what_was_revoked_long_ago_spares_nothing_of_what_was_revoked_since(
    bench: Bench, *, newest_first: bool
) -> None:
    """An owner signed in anew after the one, and lost the laptop before what the other one is for."""
    asked, _ = await bench.broker.ask(replace(asking(), caller_issued_s=S))
    agreed = await bench.store.decide(asked.id, owner(), version=asked.version, agrees=True, note="", now_us=NOON)
    old = revocation(RevocationKind.PRINCIPAL, owner().subject, ISSUER, before_s=S - 3_600)
    new = revocation(RevocationKind.PRINCIPAL, owner().subject, ISSUER, before_s=S - 60)
    made = [replace(old, revoked_us=NOON - 3_600 * SECOND), replace(new, revoked_us=NOON + SECOND)]
    for one in reversed(made) if newest_first else made:
        bench.revocations.known.put(one)
    bench.revocations.tell()
    granted, found = await bench.broker.consume(agreed.id, agreed.digest, asking().call_id)
    assert not granted
    assert found.reason == "somebody who agreed to it was revoked"


BY_TOKEN = "a token by which somebody agreed to it was revoked"
# Signed in at noon, in the browser that was stolen.
AT_THE_BROWSER = replace(owner(), token_id="its token", signed_in="its sign-in", issued_s=S, token_subject="00u1")


@pytest.mark.parametrize("enough", [True, False], ids=["approved", "still pending"])
@pytest.mark.parametrize(
    ("kind", "value", "before_s", "reason"),
    [
        (RevocationKind.TOKEN, "its token", None, BY_TOKEN),
        (RevocationKind.SIGN_IN, "its sign-in", None, BY_TOKEN),
        (RevocationKind.PRINCIPAL, "00u1", None, "somebody who agreed to it was revoked"),
        (RevocationKind.PRINCIPAL, "00u1", S + 1, "somebody who agreed to it was revoked"),
        (RevocationKind.PRINCIPAL, "00u1", S, ""),
        (RevocationKind.TOKEN, "another token", None, ""),
        (RevocationKind.SIGN_IN, "another sign-in", None, ""),
        (RevocationKind.SIGN_IN, "", None, ""),
    ],
)
async def test_what_was_agreed_to_by_what_is_revoked_ends_and_nothing_else(
    bench: Bench, kind: RevocationKind, value: str, before_s: int | None, reason: str, *, enough: bool
) -> None:
    asked, _ = await bench.broker.ask(asking(OWNERS if enough else TWO_OWNERS))
    agreed = await bench.people.decide(AT_THE_BROWSER, asked.id, asked.version)
    other, _ = await bench.broker.ask(asking())
    await bench.people.decide(replace(owner(), signed_in="at the desk", issued_s=S), other.id, other.version)
    bench.revocations.revoke(replace(revocation(kind, value, ISSUER, before_s=before_s), revoked_us=NOON + SECOND))
    await ender(bench).settled()
    found = await bench.store.get(asked.id)
    assert (found.state is ApprovalState.CANCELLED, found.reason) == (bool(reason), reason)
    assert found.state is ApprovalState.CANCELLED or found.version == agreed.version
    assert await state(bench, other) is ApprovalState.APPROVED
    if reason:
        await bench.outbox.flush(asked.id)
        told = bench.sink.durable[-1]
        assert (told.method, told.reason, told.principal) == ("cancelled", reason, None)


async def test_an_agreement_by_another_issuers_token_of_that_id_stands(bench: Bench) -> None:
    asked, _ = await bench.broker.ask(asking())
    await bench.people.decide(AT_THE_BROWSER, asked.id, asked.version)
    bench.revocations.revoke(revocation(RevocationKind.TOKEN, "its token", "https://other.example"))
    granted, _ = await bench.broker.consume(asked.id, asked.digest, asking().call_id)
    assert granted


async def test_a_denial_by_a_revoked_token_still_denies(bench: Bench) -> None:
    asked, _ = await bench.broker.ask(asking())
    await bench.people.decide(AT_THE_BROWSER, asked.id, asked.version, agrees=False, note="no")
    bench.revocations.revoke(revocation(RevocationKind.TOKEN, "its token", ISSUER))
    await ender(bench).settled()
    assert await state(bench, asked) is ApprovalState.DENIED


async def test_who_broke_the_glass_by_a_revoked_token_runs_nothing(bench: Bench) -> None:
    """Its caller asked by one token, and broke the glass by another, which is the stolen one."""
    asked, _ = await bench.broker.ask(replace(asking(caller="alice"), break_glass=(GLASS,)))
    by = replace(person("alice"), token_id="its token")
    await bench.store.break_glass(asked.id, by, version=asked.version, reason=REASON, now_us=NOON)
    bench.revocations.revoke(revocation(RevocationKind.TOKEN, "its token", ISSUER))
    granted, found = await bench.broker.consume(asked.id, asked.digest, asking().call_id)
    assert (granted, found.reason) == (False, BY_TOKEN)


async def test_what_is_revoked_while_it_is_recorded_who_agreed_is_not_granted(bench: Bench) -> None:
    asked, _ = await bench.broker.ask(asking())
    bench.sink.open.clear()
    await bench.store.decide(asked.id, AT_THE_BROWSER, version=asked.version, agrees=True, note="", now_us=NOON)
    bench.sink.asked.clear()
    taking = asyncio.ensure_future(bench.broker.consume(asked.id, asked.digest, asking().call_id))
    await bench.sink.asked.wait()
    bench.revocations.revoke(revocation(RevocationKind.SIGN_IN, "its sign-in", ISSUER))
    bench.sink.open.set()
    granted, found = await taking
    assert (granted, found.state, found.reason) == (False, ApprovalState.CANCELLED, BY_TOKEN)


async def test_a_grant_whose_answer_was_lost_is_not_given_again_once_its_approver_is_revoked(bench: Bench) -> None:
    asked, _ = await bench.broker.ask(asking())
    await bench.people.decide(AT_THE_BROWSER, asked.id, asked.version)
    call_id = asking().call_id
    assert (await bench.broker.consume(asked.id, asked.digest, call_id))[0]
    bench.revocations.revoke(revocation(RevocationKind.TOKEN, "its token", ISSUER))
    granted, found = await bench.broker.consume(asked.id, asked.digest, call_id)
    assert (granted, found.state) == (False, ApprovalState.CONSUMED)


async def test_what_may_be_repeated_is_repeated_no_more(bench: Bench) -> None:
    asked, _ = await bench.broker.ask(replace(asking(), reuse_us=60 * SECOND))
    await bench.people.decide(AT_THE_BROWSER, asked.id, asked.version)
    assert (await bench.broker.consume(asked.id, asked.digest, asking().call_id))[0]
    bench.revocations.revoke(revocation(RevocationKind.TOKEN, "its token", ISSUER))
    granted, found = await bench.broker.consume(asked.id, asked.digest, asking().call_id)
    assert (granted, found.state, found.reason) == (False, ApprovalState.CANCELLED, BY_TOKEN)


async def test_a_decision_that_was_on_its_way_when_its_token_was_revoked_ends_what_it_decided(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was let in before, and stands only after whoever ends such things has looked."""
    asked, _ = await bench.broker.ask(asking(TWO_OWNERS))
    decide = bench.store.decide

    async def late(
        approval_id: str,
        by: Principal,
        *,
        version: int,
        agrees: bool,
        note: str,
        now_us: int,
        came: Came = FROM_NOWHERE,
    ) -> Approval:
        bench.revocations.revoke(revocation(RevocationKind.TOKEN, "its token", ISSUER))
        await bench.ender.settled()
        return await decide(approval_id, by, version=version, agrees=agrees, note=note, now_us=now_us, came=came)

    monkeypatch.setattr(bench.store, "decide", late)
    await bench.people.decide(AT_THE_BROWSER, asked.id, asked.version)
    assert await state(bench, asked) is ApprovalState.PENDING
    await bench.ender.settled()
    assert await state(bench, asked) is ApprovalState.CANCELLED


async def test_nobody_is_told_by_which_token_somebody_agreed(bench: Bench) -> None:
    asked, _ = await bench.broker.ask(asking(TWO_OWNERS))
    agreed = await bench.people.decide(AT_THE_BROWSER, asked.id, asked.version)
    assert (await bench.store.get(asked.id)).decisions[0].token is not None
    assert all(each not in str(agreed) for each in ("its token", "its sign-in", "00u1"))


async def test_the_revoked_ask_nobody(bench: Bench) -> None:
    question = asking()
    bench.revocations.revoke(of_principal(person(question.caller.subject)))
    with pytest.raises(ApproverAway):
        await bench.broker.ask(question)


async def test_nothing_is_asked_granted_or_shown_while_nobody_knows_who_is_revoked(bench: Bench) -> None:
    agreed = await _agreed(bench, NOON)
    bench.revocations.forget()
    with pytest.raises(ApproverAway):
        await bench.hasty.consume(agreed.id, agreed.digest, asking().call_id)
    with pytest.raises(ApproverAway):
        await bench.hasty.ask(asking())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bench.people.get(owner(), agreed.id)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert await state(bench, agreed) is ApprovalState.APPROVED


async def test_a_revoked_decider_neither_sees_nor_decides(bench: Bench) -> None:
    asked, _ = await bench.broker.ask(asking())
    bench.revocations.revoke(revocation(RevocationKind.TOKEN, owner().token_id, ISSUER))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bench.people.get(owner(), asked.id)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    wanted = approvals_pb2.DecideApprovalRequest(approval_id=asked.id, version=asked.version)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bench.people.stub.DecideApproval(wanted, metadata=vouched(owner()))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert await state(bench, asked) is ApprovalState.PENDING


async def test_who_watches_and_is_revoked_is_told_no_more(bench: Bench) -> None:
    stream = bench.people.stub.WatchApprovals(approvals_pb2.WatchApprovalsRequest(), metadata=vouched(owner()))
    assert await stream.read() is not grpc.aio.EOF
    bench.revocations.revoke(of_principal(owner()))
    assert await stream.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_database_that_is_away_has_nothing_granted_and_all_ended_later(bench: Bench) -> None:
    asked, _ = await bench.broker.ask(ASKED)
    ending = ender(bench)
    await ending.settled()
    bench.revocations.revoke(revocation(RevocationKind.PRINCIPAL, "alice", ISSUER))
    bench.store.away = True
    with pytest.raises(DatabaseUnavailable):
        await ending.settled()
    bench.store.away = False
    await ending.settled()
    assert await state(bench, asked) is ApprovalState.CANCELLED
