"""What people do about approvals: may they, do it, and have it recorded before they are told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass

from countersign.approver import states
from countersign.approver.asked import BadQuestion
from countersign.approver.deciding import Seen
from countersign.approver.events import stray_event
from countersign.approver.finishing import finished
from countersign.approver.following import OPEN, Following
from countersign.approver.outbox import Outbox
from countersign.approver.ports import (
    ApprovalStore,
    Came,
    MayNot,
    NoSuchApproval,
    NotOpen,
    NotRecordedYet,
    Stale,
    Transition,
)
from countersign.model.approval import Approval, ApprovalState, Person
from countersign.model.principal import Principal
from countersign.runtime.postgres import DatabaseUnavailable
from countersign.runtime.recording import EventSink, NotRecorded

TAKEN_BACK = "taken back by whoever asked for it"
_STANDS = "what you decided stands, but cannot be recorded now: it counts once it is recorded"
_REFUSED = "you may not, and that cannot be recorded now: try again"
_SCANNED_AT_ONCE = 200
_MOST_SCANNED = 5_000
_MOST_BEGINNING_SO = 50
_MOST_QUOTED = 100
_ID_LENGTH = 36


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which approvals somebody asks for: in these states, ``to_decide`` by them now, ``mine`` for their own."""

    states: Collection[ApprovalState] = OPEN
    to_decide: bool = False
    mine: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Some approvals, the newest first; ``after`` is where to go on, ``None`` when there are no more."""

    approvals: Sequence[Approval]
    after: tuple[int, str] | None


class Acting:
    """See ``Deciding``; the gRPC service asks a little more. ``is_auditor`` and ``is_operator`` are asked every time.

    ``decided`` hears who decided once that stands.

    Whoever may decide about an approval, asked for it, or is an auditor or operator may see it.
    """

    def __init__(
        self,
        store: ApprovalStore,
        outbox: Outbox,
        sink: EventSink,
        following: Following,
        *,
        is_auditor: Callable[[Principal], bool],
        is_operator: Callable[[Principal], bool],
        clock_us: Callable[[], int],
        new_id: Callable[[], str],
        decided: Callable[[Principal], None],
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._sink = sink
        self._following = following
        self._is_auditor = is_auditor
        self._is_operator = is_operator
        self._clock_us = clock_us
        self._new_id = new_id
        self._decided = decided

    def sees_all(self, who: Principal) -> bool:
        """Whether ``who`` may see everything."""
        return self._is_auditor(who) or self._is_operator(who)

    def sees(self, who: Principal, approval: Approval) -> bool:
        """Whether ``who`` may see an approval."""
        groups = {group for requirement in approval.requirements for group in requirement.groups}
        return approval.asked_by == _person(who) or not groups.isdisjoint(who.groups) or self.sees_all(who)

    def wants(self, who: Principal, wanted: Wanted, approval: Approval) -> bool:
        """Whether ``who`` may see an approval, and asks for such."""
        return (
            self.sees(who, approval)
            and approval.state in wanted.states
            and (not wanted.mine or approval.asked_by == _person(who))
            and (not wanted.to_decide or not states.why_not(approval, who, self._clock_us()))
        )

    async def page(self, who: Principal, wanted: Wanted, after: tuple[int, str] | None, limit: int) -> Page:
        """Return what is wanted. A page may be short or empty though there are more: so much is looked through."""
        found: list[Approval] = []
        for _ in range(_MOST_SCANNED // _SCANNED_AT_ONCE):
            some = await self._store.page(states=wanted.states, after=after, limit=_SCANNED_AT_ONCE)
            for approval in some:
                if len(found) == limit:
                    return Page(found, after)
                after = (approval.asked_at_us, approval.id)
                if self.wants(who, wanted, approval):
                    found.append(approval)
            if len(some) < _SCANNED_AT_ONCE:
                return Page(found, None)
        return Page(found, after)

    async def listed(
        self,
        who: Principal,
        *,
        to_decide: bool = False,
        mine: bool = False,
        states: Collection[ApprovalState] = OPEN,
        limit: int = 100,
    ) -> Sequence[Approval]:
        """See ``Deciding``."""
        return (await self.page(who, Wanted(states, to_decide, mine), None, limit)).approvals

    async def get(self, who: Principal, approval_id: str) -> Seen:
        """See ``Deciding``. Raises ``BadQuestion`` when several begin so."""
        if len(approval_id) == _ID_LENGTH:
            found: Sequence[Approval] = [await self._store.get(approval_id)]
        else:
            found = await self._store.find(approval_id, _MOST_BEGINNING_SO)
        seen = [approval for approval in found if self.sees(who, approval)]
        if not seen:
            raise NoSuchApproval("there is no such approval that you may see")
        if len(seen) > 1 or len(found) == _MOST_BEGINNING_SO:
            raise BadQuestion("approval_id: more than one begins so: say more of it")
        return self.seen(who, seen[0])

    def seen(self, who: Principal, approval: Approval) -> Seen:
        """Return what ``who`` may do about an approval that they may see."""
        now_us = self._clock_us()
        why_not = states.why_not(approval, who, now_us)
        glass = tuple(one.rule for one in states.glass_for(approval, who, now_us))
        return Seen(approval, not why_not, why_not, glass, states.may_deny(approval, who, now_us))

    async def decide(
        self, who: Principal, approval_id: str, *, version: int, agrees: bool, note: str, came: Came
    ) -> Approval:
        """See ``Deciding``."""

        async def decide() -> Approval:
            return await self._store.decide(
                approval_id, who, version=version, agrees=agrees, note=note, now_us=self._clock_us(), came=came
            )

        return await self._act(who, approval_id, decide, came)

    async def break_glass(self, who: Principal, approval_id: str, *, version: int, reason: str, came: Came) -> Approval:
        """See ``Deciding``."""

        async def break_glass() -> Approval:
            return await self._store.break_glass(
                approval_id, who, version=version, reason=reason, now_us=self._clock_us(), came=came
            )

        return await self._act(who, approval_id, break_glass, came)

    async def cancel(self, who: Principal, approval_id: str, *, came: Came) -> Approval:
        """See ``Deciding``."""

        async def cancel() -> Approval:
            try:
                return await self._store.cancel(approval_id, who, TAKEN_BACK, self._clock_us(), came)
            except NoSuchApproval:
                raise MayNot("you may not take it back: somebody else asked for it") from None

        return await self._act(who, approval_id, cancel, came)

    async def revoke(self, who: Principal, principal: Person, reason: str, *, came: Came) -> Sequence[Approval]:
        """End whatever ``principal`` asked for or agreed to and that has not run, and return it.

        Raises ``MayNot``, ``NotRecordedYet``, ``DatabaseUnavailable``.
        """
        if not self._is_operator(who):
            refused = MayNot("only operators may revoke")
            await self._stray(who, "decision_refused", str(refused), principal.subject, came)
            raise refused
        ended = await finished(self._store.revoke(principal, who, reason, self._clock_us(), came))
        for approval in ended:
            self._following.hint(approval.id)
        for approval in ended:
            await self._flush(approval.id)
        return ended

    async def link_refused(self, who: Principal, approval_id: str, why: str, *, came: Came) -> None:
        """See ``Deciding``."""
        try:
            approval = await self._store.get(approval_id)
        except NoSuchApproval:
            await self._stray(who, "link_refused", why, approval_id, came)
        else:
            await self._refused(who, approval, "link_refused", why, came)

    async def _act(
        self, who: Principal, approval_id: str, act: Callable[[], Coroutine[None, None, Approval]], came: Came
    ) -> Approval:
        """Do it, and have it recorded; or have recorded that it was refused."""
        try:
            approval = await self._store.get(approval_id)
        except NoSuchApproval as error:
            await self._stray(who, "decision_refused", str(error), approval_id, came)
            raise
        try:
            if not self.sees(who, approval):
                # No more is told to them: neither how it stands nor whom it asks.
                raise MayNot("you may not decide about it: you are in none of the groups that may")
            after = await finished(act())
        except (MayNot, NotOpen, Stale) as error:
            stands = error.approval if isinstance(error, NotOpen | Stale) else approval
            await self._refused(who, stands, "decision_refused", str(error), came)
            raise
        self._following.hint(after.id)
        self._decided(who)
        await self._flush(after.id)
        return after

    async def _refused(self, who: Principal, approval: Approval, what: str, why: str, came: Came) -> None:
        noted = Transition(
            event_id=self._new_id(),
            what=what,
            approval=approval,
            by=who,
            at_us=self._clock_us(),
            note=why,
            source_address=came.source_address,
            traceparent=came.traceparent,
        )
        await finished(self._store.note(noted))
        await self._flush(approval.id, _REFUSED)

    async def _stray(self, who: Principal, what: str, why: str, asked: str, came: Came) -> None:
        event = stray_event(self._new_id(), who, what, why, asked[:_MOST_QUOTED], self._clock_us(), came)
        try:
            await self._sink.record(event)
        except NotRecorded:
            raise NotRecordedYet(_REFUSED) from None

    async def _flush(self, approval_id: str, otherwise: str = _STANDS) -> None:
        try:
            await self._outbox.flush(approval_id)
        except (NotRecorded, DatabaseUnavailable):
            self._outbox.soon()
            raise NotRecordedYet(otherwise) from None


def _person(who: Principal) -> Person:
    return Person(who.issuer, who.subject)
