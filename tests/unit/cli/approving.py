"""A scripted ApprovalService, and approvals for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import grpc

from countersign.api.approvals.v1 import approvals_pb2, approvals_pb2_grpc
from countersign.model.approval import (
    Approval,
    ApprovalState,
    ApprovalSummary,
    BreakGlass,
    Person,
    PersonDecision,
    Requirement,
    StatementSummary,
)
from countersign.runtime.approval_messages import approval_message

ISSUER = "https://idp.test"
FIRST, SECOND = "1a2b3c4d-0000-4000-8000-000000000001", "1a2b3c4d-0000-4000-8000-000000000002"
NOW_US = 1_790_000_000_000_000
_STATEMENT = "delete from t\x1b]0;x\x07"
# The year 2100: what waits in tests must not run out.
LATER_US = 4_102_444_800_000_000


def approval(approval_id: str = FIRST, **changes: Any) -> Approval:
    """An approval that waits for a second person, with texts that are hostile to terminals."""
    made = Approval(
        id=approval_id,
        state=ApprovalState.PENDING,
        version=1,
        digest=bytes(range(32)),
        asked_by=Person(ISSUER, "ann"),
        asked_by_kind="agent",
        acts_for=(Person(ISSUER, "bot"),),
        session_id="session-1",
        target="orders",
        method="tools/call",
        name="query\x1b[2J",
        policy_version="v1",
        summary=ApprovalSummary(
            arguments='{\n  "sql": "delete from t"\n}',
            why="Rule `writes` asks for 2 different people of data-owners (for one call).",
            statements=(StatementSummary("sql", "postgres", _STATEMENT, ("mass_write",), ("t",), "no bound"),),
            tool="Runs SQL\u202e.",
        ),
        requirements=(Requirement("writes", ("data-owners",), 2),),
        break_glass=(),
        decisions=(PersonDecision(Person(ISSUER, "carol"), True, "fine\x1b[1A", NOW_US, ("writes",)),),
        asked_at_us=NOW_US,
        expires_at_us=LATER_US,
    )
    return replace(made, **changes)


@dataclass
class Scripted(approvals_pb2_grpc.ApprovalServiceServicer):
    """Knows what a test put in, decides as it is told, and keeps what was asked."""

    approvals: dict[str, Approval] = field(default_factory=dict)
    status: grpc.StatusCode | None = None
    said: str = "the server's own words\x1b[2J"
    why_not: str = ""
    decided: list[approvals_pb2.DecideApprovalRequest] = field(default_factory=list)
    broken: list[approvals_pb2.BreakGlassRequest] = field(default_factory=list)
    listed: list[approvals_pb2.ListApprovalsRequest] = field(default_factory=list)
    revoked: list[approvals_pb2.RevokePrincipalRequest] = field(default_factory=list)
    deliveries: list[approvals_pb2.Delivery] = field(default_factory=list)
    credentials: set[str] = field(default_factory=set)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def put(self, *some: Approval) -> None:
        """Have these, in place of what had their ids."""
        with self.changed:
            self.approvals.update({one.id: one for one in some})
            self.changed.notify_all()

    def _begin(self, context: grpc.ServicerContext) -> None:
        self.credentials |= {str(value) for key, value in context.invocation_metadata() if key == "authorization"}

    def _found(self, approval_id: str, context: grpc.ServicerContext) -> Approval:
        self._begin(context)
        found = [one for one in self.approvals.values() if one.id.startswith(approval_id)]
        if len(found) != 1:
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no such approval")
        return found[0]

    def _change(self, approval_id: str, context: grpc.ServicerContext, **changes: Any) -> Approval:
        before = self._found(approval_id, context)
        if self.status is not None:
            context.abort(self.status, self.said)
        after = replace(before, version=before.version + 1, **changes)
        self.put(after)
        return after

    def ListApprovals(
        self, request: approvals_pb2.ListApprovalsRequest, context: grpc.ServicerContext
    ) -> approvals_pb2.ListApprovalsResponse:
        self._begin(context)
        self.listed.append(request)
        every = list(self.approvals.values())
        start = int(request.page_token or 0)
        more = str(start + 1) if start + 1 < len(every) else ""
        page = map(approval_message, every[start : start + 1])
        return approvals_pb2.ListApprovalsResponse(approvals=page, next_page_token=more)

    def GetApproval(
        self, request: approvals_pb2.GetApprovalRequest, context: grpc.ServicerContext
    ) -> approvals_pb2.GetApprovalResponse:
        found = self._found(request.approval_id, context)
        return approvals_pb2.GetApprovalResponse(
            approval=approval_message(found), may_decide=not self.why_not, why_not=self.why_not
        )

    def WatchApprovals(
        self, request: approvals_pb2.WatchApprovalsRequest, context: grpc.ServicerContext
    ) -> Iterator[approvals_pb2.WatchApprovalsResponse]:
        self._begin(context)
        # A stream that is cancelled must not wait for news.
        context.add_callback(self._wake)
        told: list[Approval] | None = None
        while context.is_active():
            with self.changed:
                while context.is_active() and told == list(self.approvals.values()):
                    self.changed.wait()
                told = list(self.approvals.values())
            yield approvals_pb2.WatchApprovalsResponse(approvals=map(approval_message, told), whole=True)

    def _wake(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def DecideApproval(
        self, request: approvals_pb2.DecideApprovalRequest, context: grpc.ServicerContext
    ) -> approvals_pb2.DecideApprovalResponse:
        self.decided.append(request)
        state = ApprovalState.APPROVED if request.agrees else ApprovalState.DENIED
        after = self._change(request.approval_id, context, state=state, grant_until_us=LATER_US)
        return approvals_pb2.DecideApprovalResponse(approval=approval_message(after))

    def BreakGlass(
        self, request: approvals_pb2.BreakGlassRequest, context: grpc.ServicerContext
    ) -> approvals_pb2.BreakGlassResponse:
        self.broken.append(request)
        after = self._change(request.approval_id, context, state=ApprovalState.APPROVED, grant_until_us=LATER_US)
        return approvals_pb2.BreakGlassResponse(approval=approval_message(after))

    def CancelApproval(
        self, request: approvals_pb2.CancelApprovalRequest, context: grpc.ServicerContext
    ) -> approvals_pb2.CancelApprovalResponse:
        after = self._change(request.approval_id, context, state=ApprovalState.CANCELLED)
        return approvals_pb2.CancelApprovalResponse(approval=approval_message(after))

    def RevokePrincipal(
        self, request: approvals_pb2.RevokePrincipalRequest, context: grpc.ServicerContext
    ) -> approvals_pb2.RevokePrincipalResponse:
        self._begin(context)
        self.revoked.append(request)
        return approvals_pb2.RevokePrincipalResponse(cancelled=list(self.approvals))

    def ListDeliveries(
        self, request: approvals_pb2.ListDeliveriesRequest, context: grpc.ServicerContext
    ) -> approvals_pb2.ListDeliveriesResponse:
        self._begin(context)
        found = [one for one in self.deliveries if request.approval_id in ("", one.approval_id)]
        return approvals_pb2.ListDeliveriesResponse(deliveries=found)


GLASS = (BreakGlass("night", ("ops",)),)


@contextmanager
def serving(service: Scripted, port: int = 0) -> Iterator[int]:
    """Serve it on a port of this machine."""
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        approvals_pb2_grpc.add_ApprovalServiceServicer_to_server(service, server)
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        try:
            yield bound
        finally:
            server.stop(None).wait()
