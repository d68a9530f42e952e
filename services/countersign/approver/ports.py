"""What the approver keeps, and what must happen at once. Postgres keeps it; tests have one in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from countersign.model.approval import Approval, ApprovalState, Person, Question, Waiter
from countersign.model.principal import Principal


class ApprovalError(Exception):
    """Base of what a store refuses. Every message is safe to show."""


class TooManyPending(ApprovalError):
    """Its caller waits for as many approvals as one may."""


class NoSuchApproval(ApprovalError):
    """There is none of this id (and, where a caller was given, of this caller)."""


class MayNot(ApprovalError):
    """This person may not do this about this approval; the message says why."""


class NoteMissing(MayNot):
    """They may, once they say why."""


class NotOpen(ApprovalError):
    """It is decided or over, so nothing can be done about it; ``approval`` is how it stands."""

    def __init__(self, message: str, approval: Approval) -> None:
        super().__init__(message)
        self.approval = approval


class Stale(ApprovalError):
    """It changed since the version that was seen; ``approval`` is how it stands."""

    def __init__(self, message: str, approval: Approval) -> None:
        super().__init__(message)
        self.approval = approval


class NotRecordedYet(ApprovalError):
    """What was done stands, or what was refused is refused; the record cannot be told now, and hears of it later."""


@dataclass(frozen=True, slots=True)
class Came:
    """Where a request came from, for the record: both as ``Event`` states them."""

    source_address: str = ""
    traceparent: str = ""


FROM_NOWHERE = Came()


@dataclass(frozen=True, slots=True)
class Asked:
    """An approval that was asked for, and whether it was there already."""

    approval: Approval
    joined: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """Whether the call may run, and how the approval stands."""

    granted: bool
    approval: Approval


@dataclass(frozen=True, slots=True)
class Transition:
    """A change to record: one row of the outbox. Everything in ``approval`` is as it was right after the change.

    ``what`` is ``asked``, ``joined``, ``agreed`` (one of several), ``glass_broken`` (now it is approved), ``consumed``
    (which it may stay approved after, while a reuse lasts), or the new state. ``by`` did it; ``None`` when time did, or
    what became of its caller. ``call_id`` is the call that asked, joined or used it. ``event_id`` is the same however
    often it is read.
    """

    event_id: str
    what: str
    approval: Approval
    by: Principal | Person | None
    at_us: int
    call_id: str = ""
    note: str = ""
    source_address: str = ""
    traceparent: str = ""


Why = Callable[[Question, Approval], str]
"""Says why an approval must end now, or with nothing that it need not. It must not wait."""


def nothing_ends_it(_question: Question, _approval: Approval) -> str:
    """See ``Why``: there is no reason ever."""
    return ""


class ApprovalStore(Protocol):
    """Every method is one transaction with compare-and-set; what it changes is in the outbox by the same commit.

    ``now_us`` is passed in everywhere. Raises ``countersign.runtime.postgres.DatabaseUnavailable`` when the database
    is away: what was asked may then have happened, and the same may be asked again (``ask`` joins; ``consume`` and
    ``decide`` of the same person and the same words give the same answer).

    What is over by ``now_us`` is never acted upon: every method that would change it writes down first that it has
    expired, and that stands also when it then raises. Of ``NotOpen``, ``MayNot`` and ``Stale`` the first that holds is
    raised.

    Who waits anew, by ``ask`` or ``rejoin``, is who was expected back of the same session: only who is held, or still
    expected, keeps an approval from being abandoned.

    A denial is told once to a caller who is expected back: to whichever of their calls is first, by ``rejoin`` or by
    ``ask`` for the digest, in whatever session, before the time until which they are expected. Who is held hears of it
    in their hold.
    """

    async def open(self) -> None:
        """Be ready: make or migrate the tables. Raises ``countersign.runtime.postgres.DatabaseError``."""

    async def ask(self, question: Question, now_us: int) -> Asked:
        """Ask, or join what is pending or approved for the digest (expired ones are no longer). ``TooManyPending``.

        Where neither is, and its caller has yet to hear of a denial, that is joined instead, and nobody asked.
        """

    async def get(self, approval_id: str) -> Approval:
        """Return how it stands. ``NoSuchApproval``."""

    async def rejoin(self, approval_id: str, caller: Person, waiter: Waiter | None, now_us: int) -> Approval:
        """Return how it stands, and wait for it while it is open. ``NoSuchApproval`` for another caller's, too."""

    async def leave(self, approval_id: str, waiter_id: str, *, hung_up: bool, until_us: int, now_us: int) -> Approval:
        """End a hold: expect the caller back until ``until_us``, or, ``hung_up`` and the last one, abandon it.

        Who is expected back to what was denied just before is to be told so.
        """

    async def withdraw(self, caller: Person, session_id: str, rpc_id: str, now_us: int) -> Sequence[Approval]:
        """End the holds of a session (of one ``rpc_id`` unless empty); return the approvals that this abandoned."""

    async def decide(
        self,
        approval_id: str,
        by: Principal,
        *,
        version: int,
        agrees: bool,
        note: str,
        now_us: int,
        came: Came = FROM_NOWHERE,
    ) -> Approval:
        """Take a decision. ``NoSuchApproval``, ``NotOpen``, ``MayNot``, ``Stale``. See ``states``."""

    async def break_glass(
        self, approval_id: str, by: Principal, *, version: int, reason: str, now_us: int, came: Came = FROM_NOWHERE
    ) -> Approval:
        """Let the caller agree alone. ``NoSuchApproval``, ``NotOpen``, ``MayNot``, ``Stale``."""

    async def consume(
        self, approval_id: str, digest: bytes, call_id: str, now_us: int, why: Why = nothing_ends_it
    ) -> Taken:
        """Take the grant for ``call_id``: exactly one call gets it (any number while a reuse lasts), that one again and
        again. ``NoSuchApproval`` when the digest is another. Nobody gets it, not even again, when ``why`` has a reason
        at that very moment: what is open is cancelled for it.
        """

    async def cancel(
        self, approval_id: str, caller: Principal | Person, reason: str, now_us: int, came: Came = FROM_NOWHERE
    ) -> Approval:
        """Take back one's own. ``NoSuchApproval`` for another caller's, ``NotOpen``."""

    async def revoke(
        self, principal: Person, by: Principal, reason: str, now_us: int, came: Came = FROM_NOWHERE
    ) -> Sequence[Approval]:
        """Cancel what is open and was asked for by ``principal``, for them, or agreed to by them."""

    async def end(self, why: Why, now_us: int) -> Sequence[Approval]:
        """Cancel what is open and for which ``why``, asked of each, has a reason."""

    async def expire(self, at_most: int, now_us: int) -> Sequence[Approval]:
        """Write down that what is open and over has expired; return those."""

    async def page(
        self, *, states: Collection[ApprovalState], after: tuple[int, str] | None, limit: int
    ) -> Sequence[Approval]:
        """Return approvals in these states, newest (``asked_at_us``, ``id``) first, older than ``after``."""

    async def find(self, prefix: str, limit: int) -> Sequence[Approval]:
        """Return approvals whose id begins so."""

    async def versions(self, ids: Collection[str]) -> Mapping[str, int]:
        """Return the versions of those that exist."""

    async def note(self, noted: Transition) -> None:
        """Have something recorded that changes nothing, such as a refused decision; once for each ``event_id``."""

    async def outbox(self, limit: int, approval_id: str = "") -> Sequence[Transition]:
        """Return changes that are not known to be recorded, those of each approval in order."""

    async def recorded(self, event_ids: Collection[str]) -> None:
        """Forget changes that are durable in the record."""

    async def close(self) -> None:
        """Let go of the database."""
