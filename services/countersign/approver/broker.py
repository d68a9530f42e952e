"""``ApprovalBrokerService``: what authz asks, once it must hold a call."""

from __future__ import annotations

from collections.abc import Callable

from countersign.api.approvals.v1 import broker_pb2, broker_pb2_grpc
from countersign.approver import asked
from countersign.approver.asked import BadQuestion
from countersign.approver.ending import Ender
from countersign.approver.finishing import finished
from countersign.approver.following import Following
from countersign.approver.outbox import Outbox
from countersign.approver.ports import ApprovalStore, MayNot, NoSuchApproval, NotOpen, Taken
from countersign.approver.refusals import REFUSALS, Context, abort
from countersign.model.approval import Approval, ApprovalState
from countersign.runtime.approval_messages import approval_message, question_of, waiter_of


class BrokerServer(broker_pb2_grpc.ApprovalBrokerServiceServicer):
    """See broker.proto. What changed something is finished also when who asked hangs up."""

    def __init__(
        self,
        store: ApprovalStore,
        outbox: Outbox,
        following: Following,
        ender: Ender,
        clock_us: Callable[[], int],
    ) -> None:
        self._ender = ender
        self._store = store
        self._outbox = outbox
        self._following = following
        self._clock_us = clock_us

    async def Ask(self, request: broker_pb2.AskRequest, context: Context) -> broker_pb2.AskResponse:
        """See broker.proto."""
        try:
            asked.question(request)
            question = question_of(request)
            if self._ender.struck(question):
                raise MayNot("whoever asks was revoked")
            done = await finished(self._store.ask(question, self._clock_us()))
        except REFUSALS as error:
            await abort(context, error)
        self._changed(done.approval)
        return broker_pb2.AskResponse(approval=approval_message(done.approval), joined=done.joined)

    async def Rejoin(self, request: broker_pb2.RejoinRequest, context: Context) -> broker_pb2.RejoinResponse:
        """See broker.proto."""
        try:
            approval_id, caller = asked.uuid(request.approval_id, "approval_id"), asked.person(request.caller, "caller")
            waiter = None
            if request.HasField("waiter"):
                asked.waiter(request.waiter)
                waiter = waiter_of(request.waiter)
            approval = await finished(self._store.rejoin(approval_id, caller, waiter, self._clock_us()))
        except REFUSALS as error:
            await abort(context, error)
        return broker_pb2.RejoinResponse(approval=approval_message(approval))

    async def Wait(self, request: broker_pb2.WaitRequest, context: Context) -> broker_pb2.WaitResponse:
        """See broker.proto."""
        try:
            approval_id = asked.uuid(request.approval_id, "approval_id")
            if request.up_to_ms > asked.LONGEST_WAIT_MS:
                raise BadQuestion(f"up_to_ms: at most {asked.LONGEST_WAIT_MS:,}")
            approval = await self._following.wait(approval_id, request.version, request.up_to_ms / 1_000)
        except REFUSALS as error:
            await abort(context, error)
        return broker_pb2.WaitResponse(approval=approval_message(approval))

    async def Leave(self, request: broker_pb2.LeaveRequest, context: Context) -> broker_pb2.LeaveResponse:
        """See broker.proto."""
        try:
            approval_id = asked.uuid(request.approval_id, "approval_id")
            waiter_id = asked.uuid(request.waiter_id, "waiter_id")
            left = self._store.leave(
                approval_id,
                waiter_id,
                hung_up=request.hung_up,
                until_us=request.until_us,
                now_us=self._clock_us(),
            )
            self._changed(await finished(left))
        except REFUSALS as error:
            await abort(context, error)
        return broker_pb2.LeaveResponse()

    async def Withdraw(self, request: broker_pb2.WithdrawRequest, context: Context) -> broker_pb2.WithdrawResponse:
        """See broker.proto."""
        try:
            caller = asked.person(request.caller, "caller")
            session_id = asked.uuid(request.session_id, "session_id")
            rpc_id = asked.text(request.rpc_id, asked.NAME_CHARACTERS, "rpc_id")
            withdrawn = await finished(self._store.withdraw(caller, session_id, rpc_id, self._clock_us()))
        except REFUSALS as error:
            await abort(context, error)
        for approval in withdrawn:
            self._changed(approval)
        return broker_pb2.WithdrawResponse(withdrawn=len(withdrawn))

    async def Consume(self, request: broker_pb2.ConsumeRequest, context: Context) -> broker_pb2.ConsumeResponse:
        """See broker.proto."""
        try:
            approval_id = asked.uuid(request.approval_id, "approval_id")
            digest, call_id = asked.digest(request.digest), asked.uuid(request.call_id, "call_id")
            taken = await self._consume(approval_id, digest, call_id)
        except REFUSALS as error:
            await abort(context, error)
        self._changed(taken.approval)
        return broker_pb2.ConsumeResponse(granted=taken.granted, approval=approval_message(taken.approval))

    async def Cancel(self, request: broker_pb2.CancelRequest, context: Context) -> broker_pb2.CancelResponse:
        """See broker.proto. One that is over is answered as it stands."""
        try:
            approval_id, caller = asked.uuid(request.approval_id, "approval_id"), asked.person(request.caller, "caller")
            reason = asked.text(request.reason, asked.NOTE_CHARACTERS, "reason")
            approval = await finished(self._store.cancel(approval_id, caller, reason, self._clock_us()))
        except NotOpen as error:
            approval = error.approval
        except REFUSALS as error:
            await abort(context, error)
        self._changed(approval)
        return broker_pb2.CancelResponse(approval=approval_message(approval))

    async def _consume(self, approval_id: str, digest: bytes, call_id: str) -> Taken:
        approval = await self._store.get(approval_id)
        if approval.digest != digest:
            raise NoSuchApproval("there is no such approval of this call")
        if approval.state is ApprovalState.PENDING:
            # Not even tried: who agrees from now on is not recorded by what follows.
            return Taken(False, approval)
        # No record, no call: nobody gets the grant before it is recorded who agreed.
        await self._outbox.flush(approval_id)
        self._ender.must_know()
        # Whoever asked or agreed may be revoked by now, or while that was recorded.
        return await finished(self._store.consume(approval_id, digest, call_id, self._clock_us(), self._ender.why))

    def _changed(self, approval: Approval) -> None:
        """Tell who waits here at once, and have it recorded."""
        self._following.hint(approval.id)
        self._outbox.soon()
