"""Approvers: the approver's ApprovalService as people reach it, through Envoy with a bearer token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import grpc.aio

from countersign.api.approvals.v1 import approval_pb2, approvals_pb2
from countersign.api.approvals.v1.approvals_pb2_grpc import ApprovalServiceStub

if TYPE_CHECKING:
    from countersign.api.approvals.v1.approvals_pb2_grpc import ApprovalServiceAsyncStub


@asynccontextmanager
async def approval_service(gateway_url: str, token: str) -> AsyncIterator[ApprovalClient]:
    """What one person can ask about approvals and do about them. ``token`` must be for the gateway itself."""
    async with grpc.aio.insecure_channel(
        urlsplit(gateway_url).netloc, (("grpc.use_local_subchannel_pool", 1),)
    ) as channel:
        yield ApprovalClient(ApprovalServiceStub(channel), token)


@dataclass(frozen=True, slots=True)
class ApprovalClient:
    """Calls as one person; refusals are ``grpc.aio.AioRpcError``."""

    stub: ApprovalServiceAsyncStub
    token: str
    timeout_s: float = 10.0

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),)

    async def list(
        self,
        *,
        to_decide: bool = False,
        mine: bool = False,
        states: Sequence[approval_pb2.ApprovalState.ValueType] = (),
    ) -> list[approval_pb2.Approval]:
        """The newest approvals, one page; pending and approved ones unless ``states`` says otherwise."""
        asked = approvals_pb2.ListApprovalsRequest(states=states, to_decide=to_decide, mine=mine)
        answer = await self.stub.ListApprovals(asked, metadata=self._metadata, timeout=self.timeout_s)
        return list(answer.approvals)

    async def get(self, approval_id: str) -> approvals_pb2.GetApprovalResponse:
        """One approval, and whether one may decide about it."""
        asked = approvals_pb2.GetApprovalRequest(approval_id=approval_id)
        return await self.stub.GetApproval(asked, metadata=self._metadata, timeout=self.timeout_s)

    async def wait_for(
        self, wanted: Callable[[approval_pb2.Approval], bool] = lambda _: True, timeout_s: float = 20.0
    ) -> approval_pb2.Approval:
        """Return the first approval that one may decide about and that is wanted; ``TimeoutError`` when none comes."""
        async with asyncio.timeout(timeout_s):
            while True:
                for approval in await self.list(to_decide=True):
                    if wanted(approval):
                        return approval
                await asyncio.sleep(0.05)

    async def decide(
        self, approval: approval_pb2.Approval, *, agrees: bool = True, note: str = ""
    ) -> approval_pb2.Approval:
        """Agree or disagree to what was seen."""
        asked = approvals_pb2.DecideApprovalRequest(
            approval_id=approval.id, version=approval.version, agrees=agrees, note=note
        )
        answer = await self.stub.DecideApproval(asked, metadata=self._metadata, timeout=self.timeout_s)
        return answer.approval

    async def break_glass(self, approval: approval_pb2.Approval, reason: str) -> approval_pb2.Approval:
        """Agree to one's own call."""
        asked = approvals_pb2.BreakGlassRequest(approval_id=approval.id, version=approval.version, reason=reason)
        answer = await self.stub.BreakGlass(asked, metadata=self._metadata, timeout=self.timeout_s)
        return answer.approval

    async def cancel(self, approval_id: str) -> approval_pb2.Approval:
        """Take back what one asked for."""
        asked = approvals_pb2.CancelApprovalRequest(approval_id=approval_id)
        answer = await self.stub.CancelApproval(asked, metadata=self._metadata, timeout=self.timeout_s)
        return answer.approval

    async def watch(self, *, to_decide: bool = False) -> AsyncIterator[approvals_pb2.WatchApprovalsResponse]:
        """What changes, until the iterator is closed."""
        call = self.stub.WatchApprovals(
            approvals_pb2.WatchApprovalsRequest(to_decide=to_decide), metadata=self._metadata
        )
        try:
            async for answer in call:
                yield answer
        finally:
            call.cancel()
