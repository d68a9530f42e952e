"""What authz asks of the approver, and the client that asks it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TypeVar

import grpc

from countersign.api.approvals.v1 import approval_pb2, broker_pb2, broker_pb2_grpc
from countersign.model.approval import Approval, Person, Question, Waiter
from countersign.runtime.approval_messages import approval_of, person_message, question_message, waiter_message
from countersign.runtime.channels import channel_options
from countersign.runtime.trust import SERVICE_HEADER

TIMEOUT_S = 5.0
"""How long an answer may take, and how much longer than it was asked to wait one to ``wait``."""
LONGEST_WAIT_S = 300.0
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0

_CHANNEL_OPTIONS = channel_options(sends_mib=32, receives_mib=32)

# How a server that stops, restarts or loses its database ends a call. Nothing is done twice by asking again.
_PASSING = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL})

_Q = TypeVar("_Q")
_A = TypeVar("_A")


class ApproverAway(Exception):
    """The approver does not answer, or cannot do its work now. The message is safe to show."""


class TooManyAsked(Exception):
    """The caller waits for as many approvals as one may."""


class UnknownApproval(Exception):
    """There is no such approval of this caller."""


class Broker(Protocol):
    """See broker.proto. Every method raises ``ApproverAway``."""

    async def ask(self, question: Question) -> tuple[Approval, bool]:
        """Ask, join, or hear once of a denial; the second says that it was there. Raises ``TooManyAsked``."""

    async def rejoin(self, approval_id: str, caller: Person, waiter: Waiter | None) -> Approval:
        """Come back to an approval. Raises ``UnknownApproval``."""

    async def wait(self, approval_id: str, version: int, up_to_s: float) -> Approval:
        """Return when it is another version than ``version``, or after ``up_to_s`` seconds. ``UnknownApproval``."""

    async def leave(self, approval_id: str, waiter_id: str, *, hung_up: bool, until_us: int = 0) -> None:
        """Say that a held call is held no longer."""

    async def withdraw(self, caller: Person, session_id: str, rpc_id: str) -> int:
        """Take back what a session waits for (of one JSON-RPC id unless empty); return how many approvals ended."""

    async def consume(self, approval_id: str, digest: bytes, call_id: str) -> tuple[bool, Approval]:
        """Take the grant for one call; the first says whether it may run. Raises ``UnknownApproval``."""

    async def cancel(self, approval_id: str, caller: Person, reason: str) -> Approval:
        """Take back one approval. Raises ``UnknownApproval``."""


class ApproverClient:
    """The approver over gRPC, as a ``Broker``.

    Promises: every method but ``wait`` ends within ``TIMEOUT_S``. What meets an approver that is away or restarts is
    asked again until then, which does nothing twice: asking joins what was asked, and taking a grant for a call again
    gives the same answer. ``wait`` asks again until its own time is over. An answer about something else than was asked
    counts as none.
    """

    def __init__(
        self,
        address: str,
        *,
        service_token: str = "",
        timeout_s: float = TIMEOUT_S,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._metadata = ((SERVICE_HEADER, service_token),) if service_token else ()
        self._timeout_s = timeout_s
        self._monotonic_s = monotonic_s
        self._channel: grpc.aio.Channel | None = None

    async def start(self) -> None:
        """Connect, when first asked. Without an address there is none, and whatever is asked, it is away."""
        if self._address:
            self._channel = grpc.aio.insecure_channel(self._address, options=_CHANNEL_OPTIONS)

    async def close(self) -> None:
        """Let go of the approver: whatever is asked from now on, it is away."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def ask(self, question: Question) -> tuple[Approval, bool]:
        """See ``Broker``."""
        request = question_message(question)
        answer = await self._answer(lambda stub: stub.Ask, lambda _: request)
        approval = _read(answer.approval)
        if (approval.digest, approval.asked_by) != (question.digest, question.caller):
            raise ApproverAway("the approver answered about another call")
        return approval, answer.joined

    async def rejoin(self, approval_id: str, caller: Person, waiter: Waiter | None) -> Approval:
        """See ``Broker``."""
        waiting = None if waiter is None else waiter_message(waiter)
        request = broker_pb2.RejoinRequest(approval_id=approval_id, caller=person_message(caller), waiter=waiting)
        answer = await self._answer(lambda stub: stub.Rejoin, lambda _: request)
        return _read(answer.approval, approval_id)

    async def wait(self, approval_id: str, version: int, up_to_s: float) -> Approval:
        """See ``Broker``. An approver that is away is waited for as well; ``ApproverAway`` comes at the end only."""
        up_to_s = min(max(up_to_s, 0.0), LONGEST_WAIT_S)

        def request(left_s: float) -> broker_pb2.WaitRequest:
            return broker_pb2.WaitRequest(approval_id=approval_id, version=version, up_to_ms=int(left_s * 1_000))

        answer = await self._answer(lambda stub: stub.Wait, request, up_to_s)
        return _read(answer.approval, approval_id)

    async def leave(self, approval_id: str, waiter_id: str, *, hung_up: bool, until_us: int = 0) -> None:
        """See ``Broker``. To leave what is not there does nothing."""
        request = broker_pb2.LeaveRequest(
            approval_id=approval_id, waiter_id=waiter_id, hung_up=hung_up, until_us=until_us
        )
        with suppress(UnknownApproval):
            await self._answer(lambda stub: stub.Leave, lambda _: request)

    async def withdraw(self, caller: Person, session_id: str, rpc_id: str) -> int:
        """See ``Broker``."""
        request = broker_pb2.WithdrawRequest(caller=person_message(caller), session_id=session_id, rpc_id=rpc_id)
        return (await self._answer(lambda stub: stub.Withdraw, lambda _: request)).withdrawn

    async def consume(self, approval_id: str, digest: bytes, call_id: str) -> tuple[bool, Approval]:
        """See ``Broker``."""
        request = broker_pb2.ConsumeRequest(approval_id=approval_id, digest=digest, call_id=call_id)
        answer = await self._answer(lambda stub: stub.Consume, lambda _: request)
        approval = _read(answer.approval, approval_id)
        if approval.digest != digest:
            raise ApproverAway("the approver answered about another call")
        return answer.granted, approval

    async def cancel(self, approval_id: str, caller: Person, reason: str) -> Approval:
        """See ``Broker``. One that is over is returned as it stands."""
        request = broker_pb2.CancelRequest(approval_id=approval_id, caller=person_message(caller), reason=reason)
        answer = await self._answer(lambda stub: stub.Cancel, lambda _: request)
        return _read(answer.approval, approval_id)

    async def _answer(
        self,
        method: Callable[[broker_pb2_grpc.ApprovalBrokerServiceAsyncStub], grpc.aio.UnaryUnaryMultiCallable[_Q, _A]],
        request: Callable[[float], _Q],
        up_to_s: float = 0.0,
    ) -> _A:
        """Ask until there is an answer, for ``up_to_s`` and ``timeout_s``.

        ``request`` gets what is left of ``up_to_s``.
        """
        began_s = self._monotonic_s()
        pause_s = FIRST_PAUSE_S
        while True:
            if self._channel is None:
                raise ApproverAway("there is no approver, or the gateway is stopping")
            call = method(broker_pb2_grpc.ApprovalBrokerServiceStub(self._channel))
            left_s = up_to_s - (self._monotonic_s() - began_s)
            try:
                return await call(
                    request(max(0.0, left_s)),
                    metadata=self._metadata,
                    timeout=max(0.0, left_s + self._timeout_s),
                    wait_for_ready=True,
                )
            except grpc.aio.AioRpcError as error:
                left_s = up_to_s + self._timeout_s - (self._monotonic_s() - began_s)
                if error.code() not in _PASSING or left_s <= pause_s:
                    raise _failure(error.code()) from None
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


def _read(message: approval_pb2.Approval, approval_id: str = "") -> Approval:
    try:
        approval = approval_of(message)
    except ValueError:
        raise ApproverAway("the approver's answer cannot be read") from None
    if not approval.id or approval_id not in ("", approval.id):
        raise ApproverAway("the approver answered about another approval")
    return approval


def _failure(code: grpc.StatusCode) -> Exception:
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return TooManyAsked("the caller waits for as many approvals as one may")
    if code is grpc.StatusCode.NOT_FOUND:
        return UnknownApproval("there is no such approval of this caller")
    # Not the other side's words: those of a broken connection name hosts.
    return ApproverAway(f"the approver does not answer ({code.name})")
