"""``ApprovalService``: what people see of approvals, and decide."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from types import MappingProxyType
from typing import Protocol

import grpc

from countersign.api.approvals.v1 import approval_pb2, approvals_pb2, approvals_pb2_grpc
from countersign.approver import asked
from countersign.approver.acting import Acting, Wanted
from countersign.approver.asked import BadQuestion
from countersign.approver.notify.ports import Delivery, DeliveryState
from countersign.approver.ports import Came, MayNot
from countersign.approver.refusals import REFUSALS, Context, abort
from countersign.approver.watching import Watching
from countersign.model.approval import Approval
from countersign.model.principal import Principal
from countersign.runtime.approval_messages import approval_message
from countersign.runtime.live import Live
from countersign.runtime.revocations import Ended
from countersign.runtime.sealing import Unsealable

PRINCIPAL_METADATA = "x-countersign-principal"
MAX_REQUEST_BYTES = 64 * 1024
# Clients of gRPC take no more than 4 MiB at once unless they say so. A single approval may be larger.
ANSWER_BYTES = 3 * 1024 * 1024

Request = (
    approvals_pb2.ListApprovalsRequest
    | approvals_pb2.GetApprovalRequest
    | approvals_pb2.WatchApprovalsRequest
    | approvals_pb2.DecideApprovalRequest
    | approvals_pb2.BreakGlassRequest
    | approvals_pb2.CancelApprovalRequest
    | approvals_pb2.RevokePrincipalRequest
    | approvals_pb2.ListDeliveriesRequest
)

_DELIVERY_STATES = MappingProxyType(
    {
        DeliveryState.WAITING: approvals_pb2.DELIVERY_STATE_WAITING,
        DeliveryState.DELIVERED: approvals_pb2.DELIVERY_STATE_DELIVERED,
        DeliveryState.DEAD: approvals_pb2.DELIVERY_STATE_DEAD,
    }
)


class Deliveries(Protocol):
    """What became of notifications; see ``DeliveryStore``."""

    async def page(
        self, *, approval_id: str = "", dead: bool = False, after: tuple[int, str] | None = None, limit: int
    ) -> Sequence[Delivery]:
        """See ``DeliveryStore.page``."""


class PeopleServer(approvals_pb2_grpc.ApprovalServiceServicer):
    """Every method: who asks, is the question well formed, then what ``Acting`` says. See approvals.proto."""

    def __init__(
        self,
        acting: Acting,
        watching: Watching,
        deliveries: Deliveries,
        *,
        live: Live,
        open_principal: Callable[[str], Principal],
    ) -> None:
        self._acting = acting
        self._watching = watching
        self._deliveries = deliveries
        self._live = live
        self._open_principal = open_principal

    async def ListApprovals(
        self, request: approvals_pb2.ListApprovalsRequest, context: Context
    ) -> approvals_pb2.ListApprovalsResponse:
        """See approvals.proto. A page may be short, or empty, and have a next one."""
        who = await self._who(request, context)
        try:
            wanted = Wanted(asked.states(request), request.to_decide, request.mine)
            after, size = asked.after(request.page_token), asked.page_size(request.page_size)
            page = await self._acting.page(who, wanted, after, size)
        except REFUSALS as error:
            await abort(context, error)
        shown = next(_parcels(page.approvals), [])
        cut = len(shown) < len(page.approvals)
        last = page.approvals[len(shown) - 1] if cut else None
        goes_on = (last.asked_at_us, last.id) if last is not None else page.after
        token = asked.page_token(*goes_on) if goes_on is not None else ""
        return approvals_pb2.ListApprovalsResponse(approvals=shown, next_page_token=token)

    async def GetApproval(
        self, request: approvals_pb2.GetApprovalRequest, context: Context
    ) -> approvals_pb2.GetApprovalResponse:
        """See approvals.proto."""
        who = await self._who(request, context)
        try:
            seen = await self._acting.get(who, asked.prefix(request.approval_id))
        except REFUSALS as error:
            await abort(context, error)
        return approvals_pb2.GetApprovalResponse(
            approval=approval_message(seen.approval), may_decide=seen.may_decide, why_not=seen.why_not
        )

    async def WatchApprovals(
        self, request: approvals_pb2.WatchApprovalsRequest, context: Context
    ) -> AsyncIterator[approvals_pb2.WatchApprovalsResponse]:
        """See approvals.proto."""
        who = await self._who(request, context)
        try:
            told = self._live.until_ended(who, self._watching.news(who, to_decide=request.to_decide, mine=request.mine))
            async with aclosing(told):
                async for news in told:
                    parcels = list(_parcels(news.approvals)) or [[]]
                    for parcel in parcels:
                        whole = news.whole and parcel is parcels[-1]
                        yield approvals_pb2.WatchApprovalsResponse(approvals=parcel, whole=whole)
        except REFUSALS as error:
            await abort(context, error)

    async def DecideApproval(
        self, request: approvals_pb2.DecideApprovalRequest, context: Context
    ) -> approvals_pb2.DecideApprovalResponse:
        """See approvals.proto. UNAVAILABLE when the decision stands, but cannot be recorded now."""
        who = await self._who(request, context)
        try:
            approval = await self._acting.decide(
                who,
                asked.uuid(request.approval_id, "approval_id"),
                version=request.version,
                agrees=request.agrees,
                note=asked.text(request.note, asked.NOTE_CHARACTERS, "note"),
                came=_came(context),
            )
        except REFUSALS as error:
            await abort(context, error)
        return approvals_pb2.DecideApprovalResponse(approval=approval_message(approval))

    async def BreakGlass(
        self, request: approvals_pb2.BreakGlassRequest, context: Context
    ) -> approvals_pb2.BreakGlassResponse:
        """See approvals.proto."""
        who = await self._who(request, context)
        try:
            approval = await self._acting.break_glass(
                who,
                asked.uuid(request.approval_id, "approval_id"),
                version=request.version,
                reason=asked.text(request.reason, asked.NOTE_CHARACTERS, "reason"),
                came=_came(context),
            )
        except REFUSALS as error:
            await abort(context, error)
        return approvals_pb2.BreakGlassResponse(approval=approval_message(approval))

    async def CancelApproval(
        self, request: approvals_pb2.CancelApprovalRequest, context: Context
    ) -> approvals_pb2.CancelApprovalResponse:
        """See approvals.proto."""
        who = await self._who(request, context)
        try:
            approval_id = asked.uuid(request.approval_id, "approval_id")
            approval = await self._acting.cancel(who, approval_id, came=_came(context))
        except REFUSALS as error:
            await abort(context, error)
        return approvals_pb2.CancelApprovalResponse(approval=approval_message(approval))

    async def RevokePrincipal(
        self, request: approvals_pb2.RevokePrincipalRequest, context: Context
    ) -> approvals_pb2.RevokePrincipalResponse:
        """See approvals.proto."""
        who = await self._who(request, context)
        try:
            principal = asked.person(request.principal, "principal")
            reason = asked.text(request.reason, asked.NOTE_CHARACTERS, "reason")
            ended = await self._acting.revoke(who, principal, reason, came=_came(context))
        except REFUSALS as error:
            await abort(context, error)
        return approvals_pb2.RevokePrincipalResponse(cancelled=[approval.id for approval in ended])

    async def ListDeliveries(
        self, request: approvals_pb2.ListDeliveriesRequest, context: Context
    ) -> approvals_pb2.ListDeliveriesResponse:
        """See approvals.proto."""
        who = await self._who(request, context)
        try:
            approval_id = await self._told_of(who, request.approval_id)
            after, size = asked.after(request.page_token), asked.page_size(request.page_size)
            found = await self._deliveries.page(approval_id=approval_id, dead=request.dead, after=after, limit=size + 1)
        except REFUSALS as error:
            await abort(context, error)
        shown = found[:size]
        token = asked.page_token(shown[-1].created_us, shown[-1].id) if len(found) > size else ""
        return approvals_pb2.ListDeliveriesResponse(deliveries=map(_delivery_message, shown), next_page_token=token)

    async def _told_of(self, who: Principal, approval_id: str) -> str:
        if approval_id:
            return (await self._acting.get(who, asked.prefix(approval_id))).approval.id
        if not self._acting.sees_all(who):
            raise MayNot("approval_id: say of which approval; only operators and auditors see all notifications")
        return ""

    async def _who(self, request: Request, context: Context) -> Principal:
        """Return who asks: whom authz vouches for."""
        given = [str(value) for key, value in context.invocation_metadata() or () if key == PRINCIPAL_METADATA]
        try:
            # Two of them would leave open who asks; what is joined opens as nobody.
            principal = self._open_principal(",".join(given))
        except Unsealable:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "come through the gateway, with a bearer token")
        if request.ByteSize() > MAX_REQUEST_BYTES:
            await abort(context, BadQuestion("request: too large"))
        try:
            self._live.check(principal)
        except Ended as error:
            await abort(context, error)
        return principal


def _parcels(approvals: Sequence[Approval]) -> Iterator[list[approval_pb2.Approval]]:
    """Yield all of these as messages, in parcels that clients take; one that is larger by itself goes alone."""
    parcel: list[approval_pb2.Approval] = []
    size = 0
    for message in map(approval_message, approvals):
        if parcel and size + message.ByteSize() > ANSWER_BYTES:
            yield parcel
            parcel, size = [], 0
        parcel.append(message)
        size += message.ByteSize()
    if parcel:
        yield parcel


def _delivery_message(delivery: Delivery) -> approvals_pb2.Delivery:
    return approvals_pb2.Delivery(
        id=delivery.id,
        approval_id=delivery.news.approval_id,
        channel=delivery.channel,
        state=_DELIVERY_STATES[delivery.state],
        attempts=delivery.attempts,
        problem=delivery.problem,
        created_us=delivery.created_us,
        next_try_us=delivery.next_try_us,
    )


def _came(context: Context) -> Came:
    trace = [value for key, value in context.invocation_metadata() or () if key == "traceparent"]
    return Came(traceparent=str(trace[0])[:55] if len(trace) == 1 else "")
