"""Where a call waits until people agreed to it: ask or come back, hold, take the grant."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass

from countersign.authz.approving.digest import CallDigests
from countersign.authz.approving.terms import Terms
from countersign.model.approval import Approval, ApprovalState, ApprovalSummary, Person, Question, Waiter
from countersign.model.call import Call
from countersign.model.principal import Principal
from countersign.runtime.approvals import ApproverAway, Broker, UnknownApproval
from countersign.runtime.sealing import WaitState

log = logging.getLogger(__name__)

# How much longer than its hold a call counts as waiting when nothing more is heard of it.
_SLACK_US = 15_000_000
_SECOND_US = 1_000_000
# A caller whose time is up is not kept for the approver's sake.
_TOLD_WITHIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Claim:
    """One call, as its target would get it, that people must agree to.

    ``name`` is what it calls, masked. ``leaves`` says that a caller who hangs up has given the call up. ``rpc_id`` is
    the JSON-RPC id by which its caller may cancel it, as JSON text. ``held_until_us`` is when it must be answered.
    """

    principal: Principal
    call: Call
    name: str
    session_id: str
    call_id: str
    rpc_id: str
    source_address: str
    traceparent: str
    policy_version: str
    terms: Terms
    digests: CallDigests
    summary: ApprovalSummary
    most_pending: int
    held_until_us: int
    leaves: bool
    resumed: WaitState | None = None

    @property
    def person(self) -> Person:
        """Its caller, as approvals name people."""
        return Person(self.principal.issuer, self.principal.subject)


@dataclass(frozen=True, slots=True)
class Stand:
    """How the approval of a claim stands. ``granted``: this very call may run now."""

    approval: Approval
    waiter: Waiter
    granted: bool = False


class Desk:
    """Holds calls, and knows nothing that a restart would lose: what is agreed to lies with the approver.

    At most ``most_held`` calls of one principal are held at once in this process; others are answered at once.
    """

    def __init__(
        self, broker: Broker, now_us: Callable[[], int], new_id: Callable[[], str], *, most_held: int = 64
    ) -> None:
        self._broker = broker
        self._now_us = now_us
        self._new_id = new_id
        self._most_held = most_held
        self._held: Counter[Person] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = asyncio.Event()

    async def settle(self, claim: Claim, still: Callable[[], Awaitable[bool]]) -> Stand:
        """Ask, or join what was asked, and hold the call until it is decided, or may be held no longer.

        Once people agreed, ``still`` is asked whether the very same is still to be done; only then is the grant taken.
        Raises ``ApproverAway``, ``TooManyAsked``, and what ``still`` raises.
        """
        waiter = Waiter(self._new_id(), claim.session_id, claim.rpc_id, claim.held_until_us + _SLACK_US)
        approval = await self._begin(claim, waiter)
        try:
            approval = await self._decided(claim, approval)
            if approval.state is ApprovalState.APPROVED and await still():
                granted, approval = await self._broker.consume(approval.id, claim.digests.digest, claim.call_id)
                return Stand(approval, waiter, granted)
        except asyncio.CancelledError:
            self._soon(self._leave(approval, waiter, hung_up=claim.leaves and not self._draining.is_set()))
            raise
        return Stand(approval, waiter)

    async def expect_back(self, stand: Stand, until_us: int) -> None:
        """Say that the caller is told to come back, and until when (microseconds since the epoch) it may.

        Call it before the caller is told: who came back already must not be expected once more.
        """
        telling = self._soon(self._leave(stand.approval, stand.waiter, hung_up=False, until_us=until_us))
        await asyncio.wait({telling}, timeout=_TOLD_WITHIN_S)

    async def stand(self, approval_id: str, principal: Principal) -> Approval:
        """Return how an approval stands that this principal asked for. Raises ``ApproverAway``, ``UnknownApproval``."""
        return await self._broker.rejoin(approval_id, Person(principal.issuer, principal.subject), None)

    async def cancel(self, approval_id: str, principal: Principal, reason: str) -> Approval:
        """Take an approval back. Raises ``ApproverAway``, ``UnknownApproval``."""
        return await self._broker.cancel(approval_id, Person(principal.issuer, principal.subject), reason)

    async def withdraw(self, principal: Principal, session_id: str, rpc_id: str = "") -> None:
        """Take back what waits in a session: all, or what has this JSON-RPC id (JSON text). Raises ``ApproverAway``."""
        await self._broker.withdraw(Person(principal.issuer, principal.subject), session_id, rpc_id)

    def drain(self) -> None:
        """Hold no call any longer: whoever is held is told to come back, and comes to another process."""
        self._draining.set()

    async def close(self) -> None:
        """Tell the approver who left, as far as that can be done at once."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2.0)

    async def _begin(self, claim: Claim, waiter: Waiter) -> Approval:
        """Ask or come back. Who hangs up meanwhile has left all the same."""
        began = asyncio.ensure_future(self._asked(claim, waiter))
        try:
            return await asyncio.shield(began)
        except asyncio.CancelledError:
            self._soon(self._leave_when_known(began, waiter, hung_up=claim.leaves and not self._draining.is_set()))
            raise

    async def _asked(self, claim: Claim, waiter: Waiter) -> Approval:
        resumed = claim.resumed
        if resumed is not None and resumed.digest == claim.digests.digest:
            with suppress(UnknownApproval):
                return await self._broker.rejoin(resumed.approval_id, claim.person, waiter)
        elif resumed is not None:
            # Its question is no longer that of the rules or of the tool, and nobody will come back for it.
            with suppress(UnknownApproval):
                await self._broker.cancel(resumed.approval_id, claim.person, "the rules or the tool changed")
        approval, _ = await self._broker.ask(_question(claim, waiter))
        return approval

    async def _decided(self, claim: Claim, approval: Approval) -> Approval:
        """Return it when it is pending no longer, or when the call may be held no longer."""
        if approval.state is not ApprovalState.PENDING or self._held[claim.person] >= self._most_held:
            return approval
        self._held[claim.person] += 1
        try:
            while approval.state is ApprovalState.PENDING and not self._draining.is_set():
                left_us = min(claim.held_until_us, approval.expires_at_us + _SECOND_US) - self._now_us()
                if left_us <= 0:
                    break
                approval = await self._changed(approval, left_us / _SECOND_US)
        except (ApproverAway, UnknownApproval) as error:
            # What was asked is kept: the caller is told to come back, and may then find it decided.
            log.warning("an approval cannot be followed now: %s", type(error).__name__)
        finally:
            self._held[claim.person] -= 1
            if not self._held[claim.person]:
                del self._held[claim.person]
        return approval

    async def _changed(self, approval: Approval, up_to_s: float) -> Approval:
        """Return it once it changed, as it is when this process drains, or when the time is over."""
        changed = asyncio.ensure_future(self._broker.wait(approval.id, approval.version, up_to_s))
        draining = asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait({changed, draining}, return_when=asyncio.FIRST_COMPLETED)
            return changed.result() if changed.done() else approval
        finally:
            changed.cancel()
            draining.cancel()

    async def _leave_when_known(self, began: asyncio.Future[Approval], waiter: Waiter, *, hung_up: bool) -> None:
        await self._leave(await began, waiter, hung_up=hung_up)

    async def _leave(self, approval: Approval, waiter: Waiter, *, hung_up: bool, until_us: int = 0) -> None:
        await self._broker.leave(approval.id, waiter.id, hung_up=hung_up, until_us=until_us or approval.expires_at_us)

    def _soon(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Do it in a task of its own: the call that it is about has ended, or is being cancelled."""

        async def done() -> None:
            try:
                await work
            except Exception as error:
                log.warning("the approver was not told that a caller left: %s", type(error).__name__)

        task = asyncio.ensure_future(done())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _question(claim: Claim, waiter: Waiter) -> Question:
    principal, terms = claim.principal, claim.terms
    return Question(
        digest=claim.digests.digest,
        caller=claim.person,
        caller_kind=principal.kind.value,
        caller_token_id=principal.token_id,
        caller_groups=principal.groups,
        acts_for=tuple(Person(principal.issuer, actor) for actor in principal.actors),
        session_id=claim.session_id,
        call_id=claim.call_id,
        target=claim.call.target,
        method=claim.call.method,
        name=claim.name,
        policy_version=claim.policy_version,
        summary=claim.summary,
        requirements=terms.requirements,
        break_glass=terms.glass,
        within_us=terms.within_us,
        reuse_us=terms.reuse_us,
        most_pending=claim.most_pending,
        waiter=waiter,
        source_address=claim.source_address,
        traceparent=claim.traceparent,
        caller_issued_s=principal.issued_s,
        caller_signed_in=principal.signed_in,
        caller_token_subject=principal.token_subject,
    )
