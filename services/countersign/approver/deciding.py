"""What people may see of approvals and do about them, however they reach the approver: by gRPC or on the page."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from countersign.approver.ports import Came as Came
from countersign.model.approval import Approval, ApprovalState
from countersign.model.principal import Principal


@dataclass(frozen=True, slots=True)
class Seen:
    """An approval as one person sees it: ``may_decide`` now, or ``why_not``; ``glass`` are the rules they may break.

    ``may_deny`` says whether they may disagree, also where it is too late, or not the hour, to agree.
    """

    approval: Approval
    may_decide: bool
    why_not: str = ""
    glass: tuple[str, ...] = ()
    may_deny: bool = False


class Deciding(Protocol):
    """Every method raises ``ApprovalError`` (see ``ports``) and ``DatabaseUnavailable``.

    What somebody is refused is recorded before the error is raised; whoever may not see an approval gets
    ``NoSuchApproval``. ``approval_id`` may be the beginning of one for ``get``, and is whole elsewhere.
    """

    async def listed(
        self,
        who: Principal,
        *,
        to_decide: bool = False,
        mine: bool = False,
        states: Collection[ApprovalState] = (ApprovalState.PENDING, ApprovalState.APPROVED),
        limit: int = 100,
    ) -> Sequence[Approval]:
        """Return what ``who`` may see (may decide about now; asked for themself), the newest first."""

    async def get(self, who: Principal, approval_id: str) -> Seen:
        """Return how an approval stands."""

    async def decide(
        self, who: Principal, approval_id: str, *, version: int, agrees: bool, note: str, came: Came
    ) -> Approval:
        """Take a decision about the version that was seen."""

    async def break_glass(self, who: Principal, approval_id: str, *, version: int, reason: str, came: Came) -> Approval:
        """Let the caller agree to their own call, where a rule says so."""

    async def cancel(self, who: Principal, approval_id: str, *, came: Came) -> Approval:
        """Take back one's own."""

    async def link_refused(self, who: Principal, approval_id: str, why: str, *, came: Came) -> None:
        """Record that ``who`` came by a link that is forged, expired or used (``why``); the id may be empty."""
