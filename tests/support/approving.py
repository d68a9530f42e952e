"""Approvers that run inside a test, with people who are vouched for without a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

import grpc

from countersign.api.approvals.v1 import approval_pb2, approvals_pb2, approvals_pb2_grpc, broker_pb2_grpc
from countersign.approver.acting import Acting
from countersign.approver.broker import BrokerServer
from countersign.approver.ending import Ender
from countersign.approver.following import Following
from countersign.approver.notify.ports import Delivery, DeliveryState
from countersign.approver.outbox import Outbox
from countersign.approver.part import ApproverPart
from countersign.approver.people import PRINCIPAL_METADATA, PeopleServer
from countersign.approver.watching import Watching
from countersign.model.approval import Question, Requirement
from countersign.model.principal import Principal
from countersign.runtime.approvals import ApproverClient
from countersign.runtime.live import Live
from countersign.runtime.recording import Recorder
from tests.support.approvals import NOON, question
from tests.support.memory_approvals import MemoryApprovalStore
from tests.support.recorders import SEALER
from tests.support.revoking import FakeRevocations, FollowedFake
from tests.support.sinks import Sink

if TYPE_CHECKING:
    from countersign.api.approvals.v1.approvals_pb2_grpc import ApprovalServiceAsyncStub

TIMEOUT_S = 20.0


def asking(*requirements: Requirement, caller: str = "") -> Question:
    """A question as authz asks it: with ids that the record takes."""
    asked = question(*requirements, caller=caller)
    session_id = str(uuid4())
    waiter = replace(asked.waiter, session_id=session_id, until_us=2**53)
    return replace(asked, session_id=session_id, waiter=waiter, traceparent="")


@dataclass(frozen=True, slots=True)
class People:
    """What a person asks of an approver; refusals are ``grpc.aio.AioRpcError``."""

    stub: ApprovalServiceAsyncStub

    async def decide(
        self, who: Principal, approval_id: str, version: int, *, agrees: bool = True, note: str = ""
    ) -> approval_pb2.Approval:
        """Decide about an approval."""
        asked = approvals_pb2.DecideApprovalRequest(approval_id=approval_id, version=version, agrees=agrees, note=note)
        answer = await self.stub.DecideApproval(asked, metadata=vouched(who), timeout=TIMEOUT_S)
        return answer.approval

    async def get(self, who: Principal, approval_id: str) -> approvals_pb2.GetApprovalResponse:
        """See an approval."""
        asked = approvals_pb2.GetApprovalRequest(approval_id=approval_id)
        return await self.stub.GetApproval(asked, metadata=vouched(who), timeout=TIMEOUT_S)


def vouched(who: Principal) -> tuple[tuple[str, str], ...]:
    """What authz says of a caller."""
    return ((PRINCIPAL_METADATA, SEALER.seal_principal(who)),)


class Told:
    """Notifications that were sent, the newest first."""

    def __init__(self) -> None:
        self.all: list[Delivery] = []

    async def page(
        self, *, approval_id: str = "", dead: bool = False, after: tuple[int, str] | None = None, limit: int
    ) -> list[Delivery]:
        """See ``DeliveryStore.page``."""
        return [
            one
            for one in self.all
            if approval_id in ("", one.news.approval_id)
            and (not dead or one.state is DeliveryState.DEAD)
            and (after is None or (one.created_us, one.id) < after)
        ][:limit]


@dataclass(slots=True)
class Bench:
    """An approver over gRPC whose database is a dict and whose recorder is a lever, and who asks it.

    ``hasty`` gives up soon: for what is to fail.
    """

    store: MemoryApprovalStore
    sink: Sink
    following: Following
    outbox: Outbox
    broker: ApproverClient
    hasty: ApproverClient
    people: People
    told: Told
    revocations: FakeRevocations
    ender: Ender
    address: str
    now_us: int = NOON


@asynccontextmanager
async def bench(*, beat_s: float = 10.0, most_waits: int = 100) -> AsyncIterator[Bench]:
    """Everything but what goes on in the background."""
    sink, store, told, revocations = Sink(), MemoryApprovalStore(), Told(), FakeRevocations()
    following, outbox = Following(store, most_waits=most_waits), Outbox(store, sink)
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        broker = ApproverClient(f"127.0.0.1:{port}", timeout_s=20.0)
        hasty = ApproverClient(f"127.0.0.1:{port}", timeout_s=0.5)
        people = People(approvals_pb2_grpc.ApprovalServiceStub(channel))
        ender = Ender(store, outbox, following, revocations, lambda: made.now_us)
        made = Bench(
            store, sink, following, outbox, broker, hasty, people, told, revocations, ender, f"127.0.0.1:{port}"
        )
        acting = Acting(
            store,
            outbox,
            sink,
            following,
            is_auditor=lambda who: "auditors" in who.groups,
            is_operator=lambda who: "operators" in who.groups,
            clock_us=lambda: made.now_us,
            new_id=lambda: str(uuid4()),
            decided=ender.decided,
        )
        watching = Watching(store, acting, following, beat_s=beat_s)
        broker_pb2_grpc.add_ApprovalBrokerServiceServicer_to_server(
            BrokerServer(store, outbox, following, ender, lambda: made.now_us), server
        )
        approvals_pb2_grpc.add_ApprovalServiceServicer_to_server(
            PeopleServer(
                *(acting, watching, told),
                live=Live(revocations, lambda: made.now_us),
                open_principal=SEALER.open_principal,
            ),
            server,
        )
        await server.start()
        await broker.start()
        await hasty.start()
        try:
            yield made
        finally:
            await hasty.close()
            await broker.close()
            await server.stop(None)


@dataclass(frozen=True, slots=True)
class Replica:
    """A whole approver in this process, and who asks it."""

    part: ApproverPart
    broker: ApproverClient
    people: People
    revocations: FollowedFake
    address: str


@asynccontextmanager
async def running_approver(
    dsn: str, recorder: str, port: int = 0, *, timeout_s: float = 5.0, record_s: float = 1.0, poll_s: float = 2.0
) -> AsyncIterator[Replica]:
    """An approver with a database and a recorder of its own choosing."""
    revocations = FollowedFake()
    part = ApproverPart(
        dsn,
        recorder=Recorder(recorder, queue_events=1_000, queue_bytes=2**24, timeout_s=record_s),
        sealer=SEALER,
        revocations=revocations,
        is_auditor=lambda who: "auditors" in who.groups,
        is_operator=lambda who: "operators" in who.groups,
        poll_s=poll_s,
    )
    await part.open()
    server = grpc.aio.server()
    part.register(server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    running = asyncio.ensure_future(part.run())
    address = f"127.0.0.1:{port}"
    broker = ApproverClient(address, timeout_s=timeout_s)
    await broker.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield Replica(part, broker, People(approvals_pb2_grpc.ApprovalServiceStub(channel)), revocations, address)
    finally:
        part.drain()
        await broker.close()
        await server.stop(0.2)
        await part.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
