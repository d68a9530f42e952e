"""The client of the approver: asked again where it restarts, within bounds, and never taken in by another's answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from uuid import uuid4

import grpc
import pytest

from countersign.api.approvals.v1 import approval_pb2, broker_pb2, broker_pb2_grpc
from countersign.approver import states
from countersign.model.approval import Person
from countersign.runtime.approval_messages import approval_message
from countersign.runtime.approvals import ApproverAway, ApproverClient, TooManyAsked, UnknownApproval
from countersign.runtime.trust import SERVICE_HEADER
from tests.support.approvals import NOON, question

QUESTION = question()
APPROVAL = states.asked(QUESTION, str(uuid4()), NOON).approval
Context = grpc.aio.ServicerContext[object, object]
Code = grpc.StatusCode


class Scripted(broker_pb2_grpc.ApprovalBrokerServiceServicer):
    """Ends calls with ``codes`` one after the other, then answers ``answer`` to everything."""

    def __init__(self) -> None:
        self.codes: list[grpc.StatusCode] = []
        self.answer: approval_pb2.Approval = approval_message(APPROVAL)
        self.waits: list[int] = []
        self.calls = 0
        self.metadata: dict[str, str | bytes] = {}

    async def _said(self, context: Context) -> approval_pb2.Approval:
        self.calls += 1
        self.metadata = dict(context.invocation_metadata() or ())
        if self.codes:
            await context.abort(self.codes.pop(0), "secret words")
        return self.answer

    async def Ask(self, request: broker_pb2.AskRequest, context: Context) -> broker_pb2.AskResponse:
        return broker_pb2.AskResponse(approval=await self._said(context))

    async def Rejoin(self, request: broker_pb2.RejoinRequest, context: Context) -> broker_pb2.RejoinResponse:
        return broker_pb2.RejoinResponse(approval=await self._said(context))

    async def Wait(self, request: broker_pb2.WaitRequest, context: Context) -> broker_pb2.WaitResponse:
        self.waits.append(request.up_to_ms)
        return broker_pb2.WaitResponse(approval=await self._said(context))

    async def Leave(self, request: broker_pb2.LeaveRequest, context: Context) -> broker_pb2.LeaveResponse:
        await self._said(context)
        return broker_pb2.LeaveResponse()

    async def Withdraw(self, request: broker_pb2.WithdrawRequest, context: Context) -> broker_pb2.WithdrawResponse:
        await self._said(context)
        return broker_pb2.WithdrawResponse(withdrawn=2)

    async def Consume(self, request: broker_pb2.ConsumeRequest, context: Context) -> broker_pb2.ConsumeResponse:
        return broker_pb2.ConsumeResponse(granted=True, approval=await self._said(context))

    async def Cancel(self, request: broker_pb2.CancelRequest, context: Context) -> broker_pb2.CancelResponse:
        return broker_pb2.CancelResponse(approval=await self._said(context))


@pytest.fixture
async def approver(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Scripted, ApproverClient]]:
    """Whoever it is asked by gives up after the seconds of the test's parameter."""
    scripted, server = Scripted(), grpc.aio.server()
    broker_pb2_grpc.add_ApprovalBrokerServiceServicer_to_server(scripted, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    client = ApproverClient(
        f"127.0.0.1:{port}", service_token="token of services", timeout_s=getattr(request, "param", 20.0)
    )
    await client.start()
    yield scripted, client
    await client.close()
    await server.stop(None)


ASKING: dict[str, Callable[[ApproverClient], Awaitable[object]]] = {
    "ask": lambda client: client.ask(QUESTION),
    "rejoin": lambda client: client.rejoin(APPROVAL.id, APPROVAL.asked_by, None),
    "wait": lambda client: client.wait(APPROVAL.id, 1, 0.0),
    "leave": lambda client: client.leave(APPROVAL.id, QUESTION.waiter.id, hung_up=True),
    "withdraw": lambda client: client.withdraw(APPROVAL.asked_by, "session", ""),
    "consume": lambda client: client.consume(APPROVAL.id, APPROVAL.digest, str(uuid4())),
    "cancel": lambda client: client.cancel(APPROVAL.id, APPROVAL.asked_by, ""),
}
everything = pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)


@everything
async def test_an_approver_that_restarts_is_asked_again(
    approver: tuple[Scripted, ApproverClient], ask: Callable[[ApproverClient], Awaitable[object]]
) -> None:
    scripted, client = approver
    scripted.codes = [Code.UNAVAILABLE, Code.CANCELLED]
    await ask(client)
    assert scripted.calls == 3
    assert scripted.metadata[SERVICE_HEADER] == "token of services"


@everything
@pytest.mark.parametrize("approver", [0.6], indirect=True, ids=["hasty"])
async def test_one_that_stays_away_is_given_up_in_time_and_quotes_nothing(
    approver: tuple[Scripted, ApproverClient], ask: Callable[[ApproverClient], Awaitable[object]]
) -> None:
    scripted, client = approver
    scripted.codes = [Code.UNAVAILABLE] * 100
    with pytest.raises(ApproverAway) as away:
        async with asyncio.timeout(10):
            await ask(client)
    assert 1 < scripted.calls < 10
    assert "secret" not in str(away.value)


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (Code.NOT_FOUND, UnknownApproval),
        (Code.RESOURCE_EXHAUSTED, TooManyAsked),
        (Code.INVALID_ARGUMENT, ApproverAway),
        (Code.UNAUTHENTICATED, ApproverAway),
        (Code.UNKNOWN, ApproverAway),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_what_another_try_would_not_change_is_asked_once(
    approver: tuple[Scripted, ApproverClient], code: grpc.StatusCode, raised: type[Exception]
) -> None:
    scripted, client = approver
    scripted.codes = [code]
    with pytest.raises(raised):
        await client.ask(QUESTION)
    assert scripted.calls == 1


async def test_to_leave_what_is_gone_is_no_error(approver: tuple[Scripted, ApproverClient]) -> None:
    scripted, client = approver
    scripted.codes = [Code.NOT_FOUND]
    await client.leave(APPROVAL.id, QUESTION.waiter.id, hung_up=True)


async def test_a_wait_is_asked_for_what_is_left_of_it(approver: tuple[Scripted, ApproverClient]) -> None:
    scripted, client = approver
    scripted.codes = [Code.UNAVAILABLE] * 3
    await client.wait(APPROVAL.id, 1, 1_000.0)
    assert 299_000 < scripted.waits[-1] < scripted.waits[0] <= 300_000


@pytest.mark.parametrize("ask", [ASKING[name] for name in ("ask", "consume")], ids=["ask", "consume"])
async def test_an_answer_about_another_call_is_none(
    approver: tuple[Scripted, ApproverClient], ask: Callable[[ApproverClient], Awaitable[object]]
) -> None:
    scripted, client = approver
    scripted.answer = approval_message(replace(APPROVAL, digest=bytes(32)))
    with pytest.raises(ApproverAway):
        await ask(client)
    scripted.answer = approval_message(replace(APPROVAL, asked_by=Person("i", "another"), id=str(uuid4())))
    with pytest.raises(ApproverAway):
        await ask(client)


@pytest.mark.parametrize(
    "ask", [ASKING[name] for name in ("rejoin", "wait", "cancel")], ids=["rejoin", "wait", "cancel"]
)
async def test_an_answer_about_another_approval_or_in_words_of_another_version_is_none(
    approver: tuple[Scripted, ApproverClient], ask: Callable[[ApproverClient], Awaitable[object]]
) -> None:
    scripted, client = approver
    for wrong in (approval_message(replace(APPROVAL, id=str(uuid4()))), approval_pb2.Approval(id=APPROVAL.id)):
        scripted.answer = wrong
        with pytest.raises(ApproverAway):
            await ask(client)


async def test_without_an_approver_it_is_away_at_once() -> None:
    client = ApproverClient("")
    await client.start()
    with pytest.raises(ApproverAway):
        await client.ask(QUESTION)
    await client.close()
