"""The gateway's ApprovalService, as the commands use it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Protocol

import grpc
import typer

from countersign.api.approvals.v1 import approvals_pb2, approvals_pb2_grpc
from countersign.cli.access import REFUSED, UNREACHABLE, stop
from countersign.cli.gateway import REMEDIES, gateway_channel
from countersign.model.approval import Approval, ApprovalState, Person
from countersign.runtime.approval_messages import STATES, approval_of, person_message

ApprovalId = Annotated[str, typer.Argument(metavar="ID", help="The id, or its beginning: 6 characters or more.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_TIMEOUT_S = 30.0
_PAGE = 500
CHANGED = "it changed since it was shown ({details}): look again with `countersign approvals show`"
_REMEDIES = {
    **REMEDIES,
    grpc.StatusCode.PERMISSION_DENIED: (REFUSED, "{details}"),
    grpc.StatusCode.FAILED_PRECONDITION: (REFUSED, "{details}"),
    grpc.StatusCode.ABORTED: (REFUSED, CHANGED),
    grpc.StatusCode.NOT_FOUND: (REFUSED, "{details}: `countersign approvals list` lists what you may see"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (REFUSED, "{details}"),
    grpc.StatusCode.UNAVAILABLE: (UNREACHABLE, "{url}, or its approver, cannot do it now: {details}"),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """An approval as the gateway shows it, whether the caller may decide about it now, and else why not."""

    approval: Approval
    may_decide: bool
    why_not: str


class Stream(Protocol):
    """What the gateway tells, until it ends or is cancelled."""

    def __iter__(self) -> Iterator[approvals_pb2.WatchApprovalsResponse]:
        """Yield what comes; raises ``grpc.RpcError``."""

    def cancel(self) -> object:
        """End it."""


class Approvals:
    """What people do about approvals. Errors are ``grpc.RpcError``, inside of :func:`approvals` exit codes."""

    def __init__(self, channel: grpc.Channel, token: str) -> None:
        self._stub = approvals_pb2_grpc.ApprovalServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"),)

    def list(self, states: Iterable[ApprovalState], *, to_decide: bool, mine: bool, limit: int) -> Iterator[Approval]:
        """Return approvals, the newest first; those that are open without ``states``."""
        asked = approvals_pb2.ListApprovalsRequest(
            states=[STATES[state] for state in states], to_decide=to_decide, mine=mine, page_size=min(limit, _PAGE)
        )
        while True:
            page = self._stub.ListApprovals(asked, metadata=self._metadata, timeout=_TIMEOUT_S)
            for message in page.approvals[:limit]:
                yield approval_of(message)
            limit -= len(page.approvals)
            if limit <= 0 or not page.next_page_token:
                return
            asked.page_token = page.next_page_token

    def get(self, approval_id: str) -> Seen:
        """Return one approval by its id, or by the beginning of it."""
        asked = approvals_pb2.GetApprovalRequest(approval_id=approval_id)
        answer = self._stub.GetApproval(asked, metadata=self._metadata, timeout=_TIMEOUT_S)
        return Seen(approval_of(answer.approval), answer.may_decide, answer.why_not)

    def decide(self, approval: Approval, note: str, *, agrees: bool) -> Approval:
        """Agree to an approval as it was seen, or deny it."""
        asked = approvals_pb2.DecideApprovalRequest(
            approval_id=approval.id, version=approval.version, agrees=agrees, note=note
        )
        return approval_of(self._stub.DecideApproval(asked, metadata=self._metadata, timeout=_TIMEOUT_S).approval)

    def break_glass(self, approval: Approval, reason: str) -> Approval:
        """Agree to one's own call."""
        asked = approvals_pb2.BreakGlassRequest(approval_id=approval.id, version=approval.version, reason=reason)
        return approval_of(self._stub.BreakGlass(asked, metadata=self._metadata, timeout=_TIMEOUT_S).approval)

    def cancel(self, approval_id: str) -> Approval:
        """Take back what one asked for."""
        asked = approvals_pb2.CancelApprovalRequest(approval_id=approval_id)
        return approval_of(self._stub.CancelApproval(asked, metadata=self._metadata, timeout=_TIMEOUT_S).approval)

    def revoke(self, principal: Person, reason: str) -> Sequence[str]:
        """End whatever somebody asked for or agreed to that has not run; return the ids of what ended."""
        asked = approvals_pb2.RevokePrincipalRequest(principal=person_message(principal), reason=reason)
        return tuple(self._stub.RevokePrincipal(asked, metadata=self._metadata, timeout=_TIMEOUT_S).cancelled)

    def deliveries(self, approval_id: str, *, dead: bool, limit: int) -> Iterator[approvals_pb2.Delivery]:
        """Return what became of notifications, of one approval or of all."""
        asked = approvals_pb2.ListDeliveriesRequest(approval_id=approval_id, dead=dead, page_size=min(limit, _PAGE))
        while True:
            page = self._stub.ListDeliveries(asked, metadata=self._metadata, timeout=_TIMEOUT_S)
            yield from page.deliveries[:limit]
            limit -= len(page.deliveries)
            if limit <= 0 or not page.next_page_token:
                return
            asked.page_token = page.next_page_token

    def watch(self, *, to_decide: bool, mine: bool) -> Stream:
        """Follow approvals until the stream ends or is cancelled; something comes at least every ten seconds."""
        asked = approvals_pb2.WatchApprovalsRequest(to_decide=to_decide, mine=mine)
        return self._stub.WatchApprovals(asked, metadata=self._metadata)


@contextmanager
def approvals(gateway: str, token: str) -> Iterator[Approvals]:
    """Speak to the gateway's ApprovalService; an error inside becomes one line and an exit code.

    Raises:
        typer.Exit: after saying what went wrong.
    """
    with gateway_channel(gateway, _REMEDIES) as channel:
        try:
            yield Approvals(channel, token)
        except ValueError as error:
            raise stop(f"the gateway is newer than this command: {error}", REFUSED) from None
