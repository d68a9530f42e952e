"""Approvals in memory, kept in the plainest way: what the real store is compared with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from uuid import uuid4

from countersign.approver import states
from countersign.approver.ports import (
    FROM_NOWHERE,
    Asked,
    Came,
    NoSuchApproval,
    Taken,
    TooManyPending,
    Transition,
    Why,
    nothing_ends_it,
)
from countersign.model.approval import Approval, ApprovalState, Person, Question, Waiter
from countersign.model.principal import Principal
from countersign.runtime.postgres import DatabaseUnavailable


class MemoryApprovalStore:
    """See ``ApprovalStore``. Set ``away`` to make it unavailable; ``changed`` is called after each change."""

    def __init__(
        self, *, new_id: Callable[[], str] = lambda: str(uuid4()), changed: Callable[[str, int], None] | None = None
    ) -> None:
        self.away = False
        self._new_id = new_id
        self._changed = changed
        self._approvals: dict[str, Approval] = {}
        self._questions: dict[str, Question] = {}
        self._waiters: dict[str, dict[str, Waiter]] = {}
        self._expected_back: set[str] = set()
        self._untold: dict[str, int] = {}
        self._uses: set[tuple[str, str]] = set()
        self._outbox: dict[str, Transition] = {}

    async def open(self) -> None:
        """See ``ApprovalStore.open``."""
        self._ask()

    async def close(self) -> None:
        """See ``ApprovalStore.close``."""

    async def ask(self, question: Question, now_us: int) -> Asked:
        """See ``ApprovalStore.ask``."""
        self._ask()
        for found in [one for one in self._open() if one.digest == question.digest]:
            approval = self._held(found.id, now_us, question.caller)
            if approval.state.is_open:
                self._wait(approval, question.waiter, now_us)
                if question.call_id != self._questions[approval.id].call_id:
                    self._tell(states.joined(approval, question), question, now_us, states.came_of(question))
                return Asked(approval, joined=True)
        for denied in self._owed(question, now_us)[:1]:
            self._untold.pop(denied.id)
            return Asked(denied, joined=True)
        if sum(self._is_pending(one, question.caller, now_us) for one in self._open()) >= question.most_pending:
            raise TooManyPending("too many")
        step = states.asked(question, self._new_id(), now_us)
        self._questions[step.approval.id] = question
        self._approvals[step.approval.id] = step.approval
        self._tell(step, question, now_us, states.came_of(question))
        self._wait(step.approval, question.waiter, now_us)
        return Asked(step.approval, joined=False)

    async def get(self, approval_id: str) -> Approval:
        """See ``ApprovalStore.get``."""
        self._ask()
        return self._found(approval_id)

    async def rejoin(self, approval_id: str, caller: Person, waiter: Waiter | None, now_us: int) -> Approval:
        """See ``ApprovalStore.rejoin``."""
        approval = self._held(approval_id, now_us, caller)
        if waiter is not None and approval.state.is_open:
            self._wait(approval, waiter, now_us)
        self._untold.pop(approval_id, None)
        return approval

    async def leave(self, approval_id: str, waiter_id: str, *, hung_up: bool, until_us: int, now_us: int) -> Approval:
        """See ``ApprovalStore.leave``."""
        approval = self._held(approval_id, now_us)
        if approval.state is ApprovalState.DENIED and not hung_up:
            self._untold[approval_id] = max(until_us, self._untold.get(approval_id, 0))
        waiters = self._waiters.get(approval_id, {})
        known = waiters.pop(waiter_id, None)
        if known is None:
            return approval
        if hung_up:
            return self._abandon(approval, now_us)
        waiters[waiter_id] = Waiter(known.id, known.session_id, known.rpc_id, until_us)
        self._expected_back.add(waiter_id)
        return approval

    async def withdraw(self, caller: Person, session_id: str, rpc_id: str, now_us: int) -> Sequence[Approval]:
        """See ``ApprovalStore.withdraw``."""
        self._ask()
        ended = []
        for approval_id in sorted(self._waiters):
            waiters = self._waiters[approval_id]
            leaving = [
                one.id for one in waiters.values() if one.session_id == session_id and rpc_id in ("", one.rpc_id)
            ]
            if leaving and self._approvals[approval_id].asked_by == caller:
                for waiter_id in leaving:
                    del waiters[waiter_id]
                ended.append(self._abandon(self._held(approval_id, now_us), now_us))
        return [approval for approval in ended if approval.state is ApprovalState.ABANDONED]

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
        """See ``ApprovalStore.decide``."""
        approval = self._held(approval_id, now_us)
        token_id = self._questions[approval_id].caller_token_id
        step = states.decided(approval, by, version=version, agrees=agrees, note=note, now_us=now_us, token_id=token_id)
        return self._save(approval, step, now_us, came)

    async def break_glass(
        self, approval_id: str, by: Principal, *, version: int, reason: str, now_us: int, came: Came = FROM_NOWHERE
    ) -> Approval:
        """See ``ApprovalStore.break_glass``."""
        approval = self._held(approval_id, now_us)
        step = states.glass_broken(approval, by, version=version, reason=reason, now_us=now_us)
        return self._save(approval, step, now_us, came)

    async def consume(
        self, approval_id: str, digest: bytes, call_id: str, now_us: int, why: Why = nothing_ends_it
    ) -> Taken:
        """See ``ApprovalStore.consume``."""
        approval = self._held(approval_id, now_us)
        if approval.digest != digest:
            raise NoSuchApproval("another call")
        reason = why(self._questions[approval_id], approval)
        if reason:
            step = states.cancelled(approval, None, reason) if approval.state.is_open else None
            return Taken(granted=False, approval=self._save(approval, step, now_us))
        if (approval_id, call_id) in self._uses:
            return Taken(granted=True, approval=approval)
        step = states.consumed(approval, call_id)
        if step is None:
            return Taken(granted=False, approval=approval)
        self._uses.add((approval_id, call_id))
        return Taken(granted=True, approval=self._save(approval, step, now_us))

    async def cancel(
        self, approval_id: str, caller: Principal | Person, reason: str, now_us: int, came: Came = FROM_NOWHERE
    ) -> Approval:
        """See ``ApprovalStore.cancel``."""
        approval = self._held(approval_id, now_us, Person(caller.issuer, caller.subject))
        return self._save(approval, states.cancelled(approval, caller, reason), now_us, came)

    async def revoke(
        self, principal: Person, by: Principal, reason: str, now_us: int, came: Came = FROM_NOWHERE
    ) -> Sequence[Approval]:
        """See ``ApprovalStore.revoke``."""
        self._ask()
        ended = []
        for found in sorted(self._open(), key=lambda one: one.id):
            if states.concerns(found, principal):
                approval = self._held(found.id, now_us)
                if approval.state.is_open:
                    ended.append(self._save(approval, states.cancelled(approval, by, reason), now_us, came))
        return ended

    async def end(self, why: Why, now_us: int) -> Sequence[Approval]:
        """See ``ApprovalStore.end``."""
        self._ask()
        ended = []
        for found in sorted(self._open(), key=lambda one: one.id):
            approval, question = self._held(found.id, now_us), self._questions[found.id]
            reason = why(question, approval)
            if reason and approval.state.is_open:
                ended.append(self._save(approval, states.cancelled(approval, None, reason), now_us))
        return ended

    async def expire(self, at_most: int, now_us: int) -> Sequence[Approval]:
        """See ``ApprovalStore.expire``."""
        self._ask()
        over = [one for one in self._open() if states.expired(one, now_us)]
        return [self._held(one.id, now_us) for one in over[:at_most]]

    async def page(
        self, *, states: Collection[ApprovalState], after: tuple[int, str] | None, limit: int
    ) -> Sequence[Approval]:
        """See ``ApprovalStore.page``."""
        self._ask()
        found = [one for one in self._approvals.values() if one.state in states]
        found = [one for one in found if after is None or (one.asked_at_us, one.id) < after]
        return sorted(found, key=lambda one: (one.asked_at_us, one.id), reverse=True)[:limit]

    async def find(self, prefix: str, limit: int) -> Sequence[Approval]:
        """See ``ApprovalStore.find``."""
        self._ask()
        return [self._approvals[one] for one in sorted(self._approvals) if one.startswith(prefix)][:limit]

    async def versions(self, ids: Collection[str]) -> Mapping[str, int]:
        """See ``ApprovalStore.versions``."""
        self._ask()
        return {one: self._approvals[one].version for one in ids if one in self._approvals}

    async def note(self, noted: Transition) -> None:
        """See ``ApprovalStore.note``."""
        self._ask()
        self._outbox.setdefault(noted.event_id, noted)

    async def outbox(self, limit: int, approval_id: str = "") -> Sequence[Transition]:
        """See ``ApprovalStore.outbox``."""
        self._ask()
        return [one for one in self._outbox.values() if approval_id in ("", one.approval.id)][:limit]

    async def recorded(self, event_ids: Collection[str]) -> None:
        """See ``ApprovalStore.recorded``."""
        self._ask()
        for event_id in event_ids:
            self._outbox.pop(event_id, None)

    def _ask(self) -> None:
        if self.away:
            raise DatabaseUnavailable("away")

    def _open(self) -> list[Approval]:
        return [one for one in self._approvals.values() if one.state.is_open]

    def _owed(self, question: Question, now_us: int) -> list[Approval]:
        """The denials that a caller has yet to hear of, the last one first."""
        found = [self._approvals[one] for one, until_us in self._untold.items() if until_us > now_us]
        found = [one for one in found if (one.digest, one.asked_by) == (question.digest, question.caller)]
        return sorted(found, key=lambda one: (one.decided_at_us, one.id), reverse=True)

    def _is_pending(self, one: Approval, caller: Person, now_us: int) -> bool:
        return one.state is ApprovalState.PENDING and one.asked_by == caller and one.expires_at_us > now_us

    def _found(self, approval_id: str) -> Approval:
        approval = self._approvals.get(approval_id)
        if approval is None:
            raise NoSuchApproval("none")
        return approval

    def _held(self, approval_id: str, now_us: int, caller: Person | None = None) -> Approval:
        self._ask()
        approval = self._found(approval_id)
        if caller not in (None, approval.asked_by):
            raise NoSuchApproval("another's")
        return self._save(approval, states.expired(approval, now_us), now_us)

    def _wait(self, approval: Approval, waiter: Waiter, now_us: int) -> None:
        waiters = self._waiters.setdefault(approval.id, {})
        for one in list(waiters.values()):
            is_back = one.session_id == waiter.session_id and one.id in self._expected_back
            if one.until_us <= now_us or is_back:
                del waiters[one.id]
        waiters[waiter.id] = waiter
        self._expected_back.discard(waiter.id)

    def _abandon(self, approval: Approval, now_us: int) -> Approval:
        if any(one.until_us > now_us for one in self._waiters.get(approval.id, {}).values()):
            return approval
        return self._save(approval, states.abandoned(approval), now_us)

    def _save(self, before: Approval, step: states.Step | None, now_us: int, came: Came = FROM_NOWHERE) -> Approval:
        if step is None:
            return before
        self._approvals[before.id] = step.approval
        if not step.approval.state.is_open:
            left = self._waiters.pop(before.id, {}).values()
            expected = [one.until_us for one in left if one.id in self._expected_back]
            if expected and step.approval.state is ApprovalState.DENIED:
                self._untold[before.id] = max(expected)
        self._tell(step, self._questions[before.id], now_us, came)
        return step.approval

    def _tell(self, step: states.Step, question: Question, now_us: int, came: Came) -> None:
        told = states.transition(step, question, now_us, came)
        self._outbox.setdefault(told.event_id, told)
        if self._changed is not None:
            self._changed(told.approval.id, told.approval.version)
