"""Two authz, two approvers, twenty retries of a call and five people at once: whatever races, it runs exactly once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from uuid import uuid4

import grpc
import pytest

from countersign.approver.ports import MayNot, NotOpen, Stale
from countersign.approver.store import PostgresApprovalStore
from countersign.authz.approving.desk import Claim, Desk
from countersign.authz.approving.digest import CallDigests
from countersign.authz.approving.terms import Terms
from countersign.model.approval import ApprovalState, ApprovalSummary
from countersign.model.call import Call, NameKind
from countersign.runtime.approvals import Broker
from countersign.runtime.moments import new_id, now_us
from countersign.runtime.sealing import WaitState
from tests.support.approvals import TWO_OWNERS, owner, person
from tests.support.approving import Replica, running_approver
from tests.support.brokers import StoreBroker
from tests.support.recorders import running_recorder

ROUNDS = 200
ROUNDS_OVER_GRPC = 10
RETRIES = 20
PEOPLE = 5
# Rounds that go on beside one another, so that they take their time together.
AT_ONCE = 4
CALL = Call("orders", "tools/call", "drop_table", NameKind.TOOL, '{"name": "drop_table"}')
TERMS = Terms((TWO_OWNERS,), (), 900_000_000, 0)
Agreeing = Callable[[int, str], Awaitable[None]]
AGAIN = (grpc.StatusCode.ABORTED, grpc.StatusCode.UNAVAILABLE)
"""It changed meanwhile, or stands and is not recorded yet: the same decision again is answered once it is."""
# Those whom others were quicker than.
LATE = (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.PERMISSION_DENIED)


@pytest.fixture
async def replicas(dsn: str) -> AsyncIterator[tuple[Replica, Replica]]:
    async with (
        running_recorder(dsn) as (_, address),
        # However busy they all are: nobody here is given up.
        running_approver(dsn, address, timeout_s=60) as one,
        running_approver(dsn, address, timeout_s=60) as other,
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


async def one_round(desks: tuple[Desk, Desk], agreeing: Agreeing) -> int:
    """How often the call ran."""
    digests, subject = CallDigests(os.urandom(32), os.urandom(32)), f"caller {uuid4()}"
    asked = (await desks[0].settle(claim(digests, subject), always)).approval
    state = WaitState(asked.id, digests.what, digests.digest, asked.expires_at_us)
    people = [agreeing(number, asked.id) for number in range(PEOPLE)]
    tries = [desks[number % 2].settle(claim(digests, subject, state), always) for number in range(RETRIES)]
    _, stands = await asyncio.gather(asyncio.gather(*people), asyncio.gather(*tries))
    assert {stand.approval.state for stand in stands} == {ApprovalState.CONSUMED}
    return sum(stand.granted for stand in stands)


async def raced(rounds: int, brokers: tuple[Broker, Broker], agreeing: Agreeing) -> None:
    """Run rounds, some beside one another."""
    one, other = (Desk(broker, now_us, new_id) for broker in brokers)
    ran: list[int] = []
    while len(ran) < rounds:
        ran += await asyncio.gather(*(one_round((one, other), agreeing) for _ in range(AT_ONCE)))
    assert ran == [1] * len(ran)
    await one.close()
    await other.close()


# Two hundred rounds are long by themselves, and others use the machine meanwhile.
@pytest.mark.timeout(240)
async def test_what_was_agreed_to_runs_exactly_once(dsn: str) -> None:
    stores = PostgresApprovalStore(dsn), PostgresApprovalStore(dsn)
    brokers = tuple(StoreBroker(now_us, store) for store in stores)
    for store in stores:
        await store.open()

    async def agree(number: int, approval_id: str) -> None:
        """One person tries until they agreed, or were too late."""
        with suppress(MayNot, NotOpen):
            while True:
                seen = await stores[number % 2].get(approval_id)
                with suppress(Stale):
                    await stores[number % 2].decide(
                        approval_id, owner(number), version=seen.version, agrees=True, note="", now_us=now_us()
                    )
                    for broker in brokers:
                        broker.changed()
                    return

    await raced(ROUNDS, (brokers[0], brokers[1]), agree)
    for store in stores:
        await store.close()


async def test_nor_does_it_run_otherwise_by_way_of_two_approvers(replicas: tuple[Replica, Replica]) -> None:
    async def agree(number: int, approval_id: str) -> None:
        """One person tries until they agreed, or were too late."""
        people = replicas[number % 2].people
        while True:
            seen = (await people.get(owner(number), approval_id)).approval
            try:
                await people.decide(owner(number), approval_id, seen.version)
            except grpc.aio.AioRpcError as error:
                if error.code() not in (*LATE, *AGAIN):
                    raise
                if error.code() in AGAIN:
                    continue
            return

    await raced(ROUNDS_OVER_GRPC, (replicas[0].broker, replicas[1].broker), agree)
