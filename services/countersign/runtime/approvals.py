"""What authz asks of the approver."""

from __future__ import annotations

from typing import Protocol

from countersign.model.approval import Approval, Person, Question, Waiter


class ApproverAway(Exception):
    """The approver does not answer, or cannot do its work now. The message is safe to show."""


class TooManyAsked(Exception):
    """The caller waits for as many approvals as one may."""


class UnknownApproval(Exception):
    """There is no such approval of this caller."""


class Broker(Protocol):
    """See broker.proto. Every method raises ``ApproverAway``."""

    async def ask(self, question: Question) -> tuple[Approval, bool]:
        """Ask or join; the second says whether it was joined. Raises ``TooManyAsked``."""

    async def rejoin(self, approval_id: str, caller: Person, waiter: Waiter | None) -> Approval:
        """Come back to an approval. Raises ``UnknownApproval``."""

    async def wait(self, approval_id: str, version: int, up_to_s: float) -> Approval:
        """Return when it is another version than ``version``, or after ``up_to_s`` seconds. ``UnknownApproval``."""

    async def leave(self, approval_id: str, waiter_id: str, *, hung_up: bool, until_us: int = 0) -> None:
        """Say that a held call is held no longer."""

    async def withdraw(self, caller: Person, session_id: str, rpc_id: str) -> int:
        """Take back what a session waits for (of one JSON-RPC id unless empty); return how many waits ended."""

    async def consume(self, approval_id: str, digest: bytes, call_id: str) -> tuple[bool, Approval]:
        """Take the grant for one call; the first says whether it may run. Raises ``UnknownApproval``."""

    async def cancel(self, approval_id: str, caller: Person, reason: str) -> Approval:
        """Take back one approval. Raises ``UnknownApproval``."""
