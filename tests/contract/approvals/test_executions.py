"""Two authz, two approvers, twenty retries of a call and five people at once: whatever races, it runs exactly once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from uuid import uuid4

import grpc
import pytest

from countersign.authz.approving.desk import Claim, Desk
from countersign.authz.approving.digest import CallDigests
from countersign.authz.approving.terms import Terms
from countersign.model.approval import ApprovalState, ApprovalSummary
from countersign.model.call import Call, NameKind
from countersign.runtime.moments import new_id, now_us
from countersign.runtime.sealing import WaitState
from tests.support.approvals import TWO_OWNERS, owner, person
from tests.support.approving import Replica, running_approver
from tests.support.recorders import running_recorder

ROUNDS = 20
RETRIES = 20
PEOPLE = 5
# Rounds that go on beside one another, so that they take their time together.
AT_ONCE = 4
CALL = Call("orders", "tools/call", "drop_table", NameKind.TOOL, '{"name": "drop_table"}')
TERMS = Terms((TWO_OWNERS,), (), 900_000_000, 0)
# Those whom others were quicker than.
LATE = (grpc.StatusCode.ABORTED, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.PERMISSION_DENIED)


@pytest.fixture
async def replicas(dsn: str) -> AsyncIterator[tuple[Replica, Replica]]:
    async with (
        running_recorder(dsn) as (_, address),
        running_approver(dsn, address) as one,
        running_approver(dsn, address) as other,
    ):
        yield one, other


def claim(digests: CallDigests, subject: str, resumed: WaitState | None = None) -> Claim:
    """One try to make the call, by a client that hands back what it was given."""
    return Claim(
        principal=person(subject, "agents"),
        call=CALL,
        name=CALL.name,
        session_id=str(uuid4()),
        call_id=str(uuid4()),
        rpc_id="",
        source_address="192.0.2.1",
        traceparent="",
        policy_version="1",
        terms=TERMS,
        digests=digests,
        summary=ApprovalSummary("{}", "why"),
        most_pending=5,
        held_until_us=now_us() + (60_000_000 if resumed else 0),
        leaves=True,
        resumed=resumed,
    )


async def always() -> bool:
    return True


async def agree(replica: Replica, number: int, approval_id: str) -> None:
    """One person tries until they agreed, or were too late."""
    while True:
        seen = (await replica.people.get(owner(number), approval_id)).approval
        try:
            await replica.people.decide(owner(number), approval_id, seen.version)
        except grpc.aio.AioRpcError as error:
            if error.code() not in LATE:
                raise
            if error.code() is grpc.StatusCode.ABORTED:
                continue
        return


async def one_round(replicas: tuple[Replica, Replica], desks: tuple[Desk, Desk]) -> int:
    """How often the call ran."""
    digests, subject = CallDigests(os.urandom(32), os.urandom(32)), f"caller {uuid4()}"
    asked = (await desks[0].settle(claim(digests, subject), always)).approval
    state = WaitState(asked.id, digests.what, digests.digest, asked.expires_at_us)
    people = [agree(replicas[number % 2], number, asked.id) for number in range(PEOPLE)]
    tries = [desks[number % 2].settle(claim(digests, subject, state), always) for number in range(RETRIES)]
    _, stands = await asyncio.gather(asyncio.gather(*people), asyncio.gather(*tries))
    assert {stand.approval.state for stand in stands} == {ApprovalState.CONSUMED}
    return sum(stand.granted for stand in stands)


async def test_what_was_agreed_to_runs_exactly_once(replicas: tuple[Replica, Replica]) -> None:
    one, other = (Desk(replica.broker, now_us, new_id) for replica in replicas)
    ran = []
    for _ in range(0, ROUNDS, AT_ONCE):
        ran += await asyncio.gather(*(one_round(replicas, (one, other)) for _ in range(AT_ONCE)))
    assert ran == [1] * ROUNDS
    await one.close()
    await other.close()
