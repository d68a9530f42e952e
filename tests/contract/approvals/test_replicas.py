"""Two approvers on one database: what one is told wakes who waits at the other, whatever breaks in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import grpc
import psycopg
import pytest

from countersign.model.approval import Approval, ApprovalState
from countersign.model.revocation import RevocationKind
from countersign.runtime.approvals import ApproverAway, ApproverClient
from tests.support.approvals import TWO_OWNERS, owner
from tests.support.approving import Replica, asking, running_approver
from tests.support.recorders import running_recorder, until
from tests.support.revoking import revocation

NOWHERE = "127.0.0.1:1"


@pytest.fixture
async def recorder(dsn: str) -> AsyncIterator[str]:
    async with running_recorder(dsn) as (_, address):
        yield address


@pytest.fixture
async def replicas(dsn: str, recorder: str) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two that do not look by themselves: what wakes anybody is what they hear, and that they hear again."""
    async with (
        running_approver(dsn, recorder, poll_s=3_600) as one,
        running_approver(dsn, recorder, poll_s=3_600) as other,
    ):
        yield one, other


async def waited(replica: Replica, approval: Approval) -> asyncio.Task[Approval]:
    """Somebody who waits there, as far as that it is known."""
    task = asyncio.ensure_future(replica.broker.wait(approval.id, approval.version, 30))
    await until(lambda: replica.part.waiting > 0)
    return task


async def events_of(dsn: str, approval_id: str) -> list[str]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        query = "SELECT method FROM countersign.events WHERE record LIKE %s ORDER BY index"
        found = await connection.execute(query, (f'%"approval_id":"{approval_id}"%',))
        return [row[0] for row in await found.fetchall()]


async def test_a_decision_at_one_approver_wakes_who_waits_at_the_other_and_is_recorded_by_then(
    dsn: str, replicas: tuple[Replica, Replica]
) -> None:
    one, other = replicas
    asked, joined = await one.broker.ask(asking())
    assert not joined
    waiting = await waited(other, asked)
    decided = await one.people.decide(owner(), asked.id, asked.version)
    approved = await waiting
    assert (approved.state, approved.version) == (ApprovalState.APPROVED, decided.version)
    assert await events_of(dsn, asked.id) == ["asked", "approved"]
    call_id = str(uuid4())
    taken = await asyncio.gather(
        *(replica.broker.consume(asked.id, asked.digest, call_id) for replica in replicas),
        *(replica.broker.consume(asked.id, asked.digest, str(uuid4())) for replica in replicas),
    )
    granted = [was for was, _ in taken]
    assert granted in ([True, True, False, False], [False, False, True, False], [False, False, False, True])


async def test_what_was_agreed_to_at_one_is_not_granted_by_the_other_that_knows_the_token_is_revoked(
    dsn: str, replicas: tuple[Replica, Replica]
) -> None:
    """The first has not heard of it yet: it let the decision in."""
    one, other = replicas
    struck = replace(owner(), signed_in="the browser that was stolen")
    asked, _ = await one.broker.ask(asking())
    other.revocations.known.put(revocation(RevocationKind.SIGN_IN, struck.signed_in, struck.issuer))
    await one.people.decide(struck, asked.id, asked.version)
    granted, found = await other.broker.consume(asked.id, asked.digest, str(uuid4()))
    assert (granted, found.state) == (False, ApprovalState.CANCELLED)
    granted, _ = await one.broker.consume(asked.id, asked.digest, str(uuid4()))
    assert not granted
    # Whoever asks for a grant has all that happened recorded first.
    assert await events_of(dsn, asked.id) == ["asked", "approved", "cancelled"]


async def test_what_was_agreed_to_by_a_revoked_token_ends_by_itself_at_every_approver(
    dsn: str, replicas: tuple[Replica, Replica]
) -> None:
    one, other = replicas
    struck = replace(owner(), token_id="the stolen one")
    asked, _ = await one.broker.ask(asking(TWO_OWNERS))
    agreed = await one.people.decide(struck, asked.id, asked.version)
    waiting = await waited(one, replace(asked, version=agreed.version))
    other.revocations.revoke(revocation(RevocationKind.TOKEN, "the stolen one", struck.issuer))
    assert (await waiting).state is ApprovalState.CANCELLED


async def test_who_waits_hears_of_it_though_the_database_breaks_off_every_connection(
    dsn: str, replicas: tuple[Replica, Replica]
) -> None:
    one, other = replicas
    asked, _ = await one.broker.ask(asking())
    waiting = await waited(other, asked)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name LIKE 'countersign-approvals%'"
        )
    await one.people.decide(owner(), asked.id, asked.version)
    assert (await waiting).state is ApprovalState.APPROVED


async def test_while_the_recorder_is_away_no_grant_is_given_and_none_is_lost(dsn: str) -> None:
    async with running_approver(dsn, NOWHERE, timeout_s=0.5, record_s=0.2) as cut_off:
        asked, _ = await cut_off.broker.ask(asking())
        with pytest.raises(grpc.aio.AioRpcError, match="what you decided stands") as refused:
            await cut_off.people.decide(owner(), asked.id, asked.version)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(ApproverAway):
            await cut_off.broker.consume(asked.id, asked.digest, str(uuid4()))
        stands = await cut_off.broker.rejoin(asked.id, asked.asked_by, None)
        assert (stands.state, stands.uses) == (ApprovalState.APPROVED, 0)
    async with running_recorder(dsn) as (_, address), running_approver(dsn, address) as back:
        granted, consumed = await back.broker.consume(asked.id, asked.digest, str(uuid4()))
        assert (granted, consumed.state) == (True, ApprovalState.CONSUMED)
        assert (await events_of(dsn, asked.id))[:2] == ["asked", "approved"]


async def test_who_waits_is_not_lost_when_the_approver_is_stopped_and_started_again(dsn: str, recorder: str) -> None:
    async with running_approver(dsn, recorder) as first:
        asked, _ = await first.broker.ask(asking())
        client = ApproverClient(first.address)
        await client.start()
        waiting = asyncio.ensure_future(client.wait(asked.id, asked.version, 30))
        await until(lambda: first.part.waiting > 0)
    port = int(first.address.rpartition(":")[2])
    async with running_approver(dsn, recorder, port) as second:
        again, joined = await client.ask(replace(asking(), digest=asked.digest, caller=asked.asked_by))
        assert (again.id, joined) == (asked.id, True)
        await second.people.decide(owner(), asked.id, asked.version, agrees=False, note="not today")
        denied = await waiting
        assert (denied.state, denied.reason) == (ApprovalState.DENIED, "not today")
    await client.close()
