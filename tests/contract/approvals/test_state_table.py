"""Whatever is done in whatever order, the real store does as the one in memory does, and both keep the state table.

The table is written down here once more, in other words than the code's.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar
from uuid import UUID, uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from countersign.approver.ports import ApprovalError, ApprovalStore, Asked, NotOpen, Stale, Taken, Transition
from countersign.approver.store import PostgresApprovalStore
from countersign.model.approval import Approval, ApprovalState, Person, Question, Requirement, Waiter
from countersign.model.principal import Principal, PrincipalKind
from tests.support.approvals import (
    GLASS,
    ISSUER,
    MINUTE,
    NOON,
    OWNERS,
    REASON,
    SECURITY,
    TWO_OWNERS,
    owner,
    person,
    question,
    waiter,
)
from tests.support.memory_approvals import MemoryApprovalStore

Given = TypeVar("Given")

BOSS = Person(ISSUER, "boss")
NOTED = replace(SECURITY, note_required=True)
SHORT_HOURS = replace(OWNERS, window="Fri 10:00-10:20 UTC")
DEMANDS = ((TWO_OWNERS,), (OWNERS,), (TWO_OWNERS, NOTED), (TWO_OWNERS,), (SHORT_HOURS,), ())
LEADS_TO = {
    None: {"pending"},
    "pending": {"pending", "approved", "denied", "expired", "abandoned", "cancelled"},
    "approved": {"approved", "expired", "cancelled", "consumed"},
}
OPERATOR = person("operator")
APPROVERS = (
    *(owner(1), owner(2), person("guard", "security"), person("both", "auditors", "data-owners")),
    # Unless it was asked for them.
    person("boss", "data-owners"),
)
STRANGERS = (
    # None is the caller.
    *(None, owner(1), owner(3), person("nobody")),
    *(person("bot", "data-owners", kind=PrincipalKind.AGENT), person("x", "security", actors=("bot",))),
)
EXAMPLES = 30
STEPS = 25

# Mostly the newest: what is begun should come to an end.
newest = st.sampled_from([0, 0, 0, 0, 1, 2])
mostly = st.sampled_from([True, True, True, False])


@dataclass(frozen=True)
class Refused:
    """What was raised instead of an answer."""

    error: type[ApprovalError]
    stands: Approval | None = None


class Machine(RuleBasedStateMachine):
    """One example: two callers, what they ask, and all who can do something about it."""

    runner: ClassVar[asyncio.Runner]
    dsn: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        # Examples share a database.
        self.name = str(uuid4())
        base = uuid4().int & ~0xFFFF
        self.real = PostgresApprovalStore(self.dsn, new_id=_counting(base))
        self.stores: tuple[ApprovalStore, ApprovalStore] = (self.real, MemoryApprovalStore(new_id=_counting(base)))
        self.now_us = NOON
        self.asking: dict[tuple[int, int], Question] = {}
        self.ids: list[str] = []
        self.stands: dict[str, Approval] = {}
        self.ran: dict[str, set[str]] = {}
        # Denied ones of which callers heard since they were last sent away.
        self.heard: set[str] = set()
        self.waits = 0

    def teardown(self) -> None:
        real, fake = self.stores
        for approval_id in self.ids:
            assert self._run(real.get(approval_id)) == self._run(fake.get(approval_id))
            told = self._run(real.outbox(1_000, approval_id))
            assert told == self._run(fake.outbox(1_000, approval_id))
            _check_told(told)
        self._run(self.real.close())

    @initialize(demand=st.sampled_from(DEMANDS), more=st.data())
    def ask_first(self, demand: tuple[Requirement, ...], more: st.DataObject) -> None:
        self._ask(0, 0, demand, more)

    @rule(caller=st.integers(0, 1), call=st.integers(0, 2), demand=st.sampled_from(DEMANDS), more=st.data())
    def ask(self, caller: int, call: int, demand: tuple[Requirement, ...], more: st.DataObject) -> None:
        self._ask(caller, call, demand, more)

    def _ask(self, caller: int, call: int, demand: tuple[Requirement, ...], more: st.DataObject) -> None:
        if (caller, call) not in self.asking:
            asking = question(
                caller=f"{caller} of {self.name}",
                glass=more.draw(st.sampled_from([(), (GLASS,)])),
                acts_for=more.draw(st.sampled_from([(), (BOSS,)])),
                reuse_us=more.draw(st.sampled_from([0, 0, 5 * MINUTE])),
                most_pending=2,
            )
            self.asking[caller, call] = replace(asking, requirements=demand)
        asked = replace(self.asking[caller, call], waiter=self._waiter(), call_id=str(self.waits))
        answer = self._do(lambda store: store.ask(asked, self.now_us))
        if isinstance(answer, Asked):
            assert answer.joined == (answer.approval.id in self.ids)
            if not answer.approval.state.is_open:
                assert answer.approval.state is ApprovalState.DENIED
                self._hears(answer.approval)
            if not answer.joined:
                self.ids.append(answer.approval.id)
                self._saw(answer.approval)
            pending = [one for one in self.stands.values() if self._is_pending(one, asked.caller)]
            assert len(pending) <= 2

    @rule(minutes=st.sampled_from([1, 1, 1, 4, 4, 15]), swept=st.booleans())
    def time_passes(self, minutes: int, swept: bool) -> None:
        self.now_us += minutes * MINUTE
        if swept:
            self._sweep()

    @precondition(lambda self: self.ids)
    @rule(one=newest, by=st.sampled_from(APPROVERS), note=st.sampled_from(["because", "as I said"]))
    def agree(self, one: int, by: Principal, note: str) -> None:
        self._decide(self._picked(one), by, agrees=True, current=True, note=note)

    @precondition(lambda self: self.ids)
    @rule(one=newest, by=st.sampled_from(STRANGERS), agrees=mostly, current=mostly, noted=mostly)
    def decide(self, one: int, by: Principal | None, agrees: bool, current: bool, noted: bool) -> None:
        approval = self._picked(one)
        by = by or person(approval.asked_by.subject, "data-owners")
        self._decide(approval, by, agrees=agrees, current=current, note="why not" if noted else "")

    def _decide(self, approval: Approval, by: Principal, *, agrees: bool, current: bool, note: str) -> None:
        version = approval.version if current else approval.version - 1
        self._do(
            lambda store: store.decide(approval.id, by, version=version, agrees=agrees, note=note, now_us=self.now_us)
        )

    @precondition(lambda self: self.ids)
    @rule(one=newest, reason=st.sampled_from([REASON, "short"]), kind=st.sampled_from(PrincipalKind))
    def break_glass(self, one: int, reason: str, kind: PrincipalKind) -> None:
        approval = self._picked(one)
        by = person(approval.asked_by.subject, kind=kind)
        self._do(
            lambda store: store.break_glass(
                approval.id, by, version=approval.version, reason=reason, now_us=self.now_us
            )
        )

    @precondition(lambda self: self.ids)
    @rule(one=newest, call=st.integers(0, 2))
    def consume(self, one: int, call: int) -> None:
        approval = self._picked(one)
        answer = self._do(lambda store: store.consume(approval.id, approval.digest, f"call {call}", self.now_us))
        assert isinstance(answer, Taken)
        calls = self.ran.setdefault(approval.id, set())
        if answer.granted and f"call {call}" not in calls:
            before = approval
            assert before.state is ApprovalState.APPROVED
            assert self.now_us < before.grant_until_us
            assert before.reuse_us or not calls
            calls.add(f"call {call}")
        assert answer.approval.uses == len(calls)

    @precondition(lambda self: self.ids)
    @rule(one=newest, call=st.integers(0, 2))
    def be_refused_at_the_grant(self, one: int, call: int) -> None:
        approval, now_us = self._picked(one), self.now_us
        answer = self._do(
            lambda store: store.consume(approval.id, approval.digest, f"call {call}", now_us, lambda *_: "revoked")
        )
        assert isinstance(answer, Taken)
        assert not answer.granted
        assert not answer.approval.state.is_open

    @precondition(lambda self: self.ids)
    @rule(one=newest, way=st.sampled_from(["rejoin", "hang up", "end of hold", "withdraw", "cancel", "revoke"]))
    def come_and_go(self, one: int, way: str) -> None:
        approval, now_us = self._picked(one), self.now_us
        last = str(self.waits)
        until_us = now_us + 2 * MINUTE
        if way == "rejoin":
            waiting = self._waiter()
            self._do(lambda store: store.rejoin(approval.id, approval.asked_by, waiting, now_us))
            if approval.state is ApprovalState.DENIED:
                self.heard.add(approval.id)
        elif way in ("hang up", "end of hold"):
            gone = way == "hang up"
            if not gone:
                self.heard.discard(approval.id)
            self._do(lambda store: store.leave(approval.id, last, hung_up=gone, until_us=until_us, now_us=now_us))
        elif way == "withdraw":
            self._do(lambda store: store.withdraw(approval.asked_by, "session", "", now_us))
        elif way == "cancel":
            self._do(lambda store: store.cancel(approval.id, approval.asked_by, "no more", now_us))
        else:
            self._do(lambda store: store.revoke(approval.asked_by, OPERATOR, "left", now_us))

    @precondition(lambda self: self.ids)
    @rule(one=newest, late=st.sampled_from([0, 0, 1, 2]), asked=st.integers(0, 2), more=st.data())
    def deny_while_away(self, one: int, late: int, asked: int, more: st.DataObject) -> None:
        approval = self._picked(one)
        for way in ("rejoin", "end of hold"):
            self.come_and_go(one, way)
        self._decide(self._picked(one), owner(1), agrees=False, current=True, note="not today")
        self.now_us += late * MINUTE
        (same,) = (key for key, asking in self.asking.items() if asking.digest == approval.digest)
        for _ in range(asked):
            self._ask(*same, (), more)

    def _hears(self, denied: Approval) -> None:
        assert denied.id not in self.heard
        self.heard.add(denied.id)
        same = [one for one in self.stands.values() if one.digest == denied.digest and one.state.is_open]
        assert not same

    def _sweep(self) -> None:
        swept = [self._run(store.expire(100_000, self.now_us)) for store in self.stores]
        real, fake = ({one.id: one for one in found if one.id in self.ids} for found in swept)
        assert real == fake
        for one in real.values():
            assert one.state is ApprovalState.EXPIRED
            self._saw(one)

    @invariant()
    def table_is_kept(self) -> None:
        for one in self.stands.values():
            agreed = {said.by for said in one.decisions if said.agrees and not said.glass}
            assert not agreed & {one.asked_by, *one.acts_for}
            assert len({said.by for said in one.decisions}) == len(one.decisions)
            assert all(one.asked_at_us <= said.at_us < one.expires_at_us for said in one.decisions)
            if one.state in (ApprovalState.APPROVED, ApprovalState.CONSUMED):
                broken = [said for said in one.decisions if said.glass]
                assert broken or (one.requirements and self._is_met(one))
                assert all(said.by == one.asked_by and one.break_glass for said in broken)
            if one.state is ApprovalState.DENIED:
                assert not one.decisions[-1].agrees
            if one.state is ApprovalState.CONSUMED:
                assert (one.uses, one.reuse_us) == (1, 0)

    def _is_met(self, one: Approval) -> bool:
        groups = {
            "owner 1": {"data-owners"},
            "owner 2": {"data-owners"},
            "owner 3": {"data-owners"},
            "guard": {"security"},
            "both": {"auditors", "data-owners"},
            "boss": {"data-owners"},
        }
        people = [groups.get(said.by.subject, set()) for said in one.decisions]
        return all(
            sum(not mine.isdisjoint(demand.groups) for mine in people) >= demand.count for demand in one.requirements
        )

    def _is_pending(self, one: Approval, caller: Person) -> bool:
        return (one.asked_by, one.state) == (caller, ApprovalState.PENDING) and one.expires_at_us > self.now_us

    def _picked(self, number: int) -> Approval:
        return self.stands[self.ids[-1 - min(number, len(self.ids) - 1)]]

    def _waiter(self) -> Waiter:
        self.waits += 1
        return waiter(waiter_id=str(self.waits), until_us=self.now_us + MINUTE)

    def _run(self, work: Awaitable[Given]) -> Given:
        async def done() -> Given:
            return await work

        return self.runner.run(done())

    def _do(self, work: Callable[[ApprovalStore], Awaitable[Given]]) -> Given | Refused:
        """Do the same in both stores, and see that it is the same that they answer."""
        real, fake = (self._run(_outcome(work(store))) for store in self.stores)
        assert real == fake
        # Also what no answer showed: time may have ended it before something else was refused.
        for approval_id in self.ids:
            self._saw(self._run(self.stores[1].get(approval_id)))
        return real

    def _saw(self, now: Approval) -> None:
        before = self.stands.get(now.id)
        if before != now:
            assert now.state in LEADS_TO.get(before.state if before else None, set())
            assert now.version == (before.version + 1 if before else 1)
            self.stands[now.id] = now


def _check_told(told: Sequence[Transition]) -> None:
    changes = [one for one in told if one.what != "joined"]
    assert [one.approval.version for one in changes] == [*range(1, len(changes) + 1)]
    assert len({one.event_id for one in told}) == len(told)


async def _outcome(work: Awaitable[Given]) -> Given | Refused:
    try:
        return await work
    except (NotOpen, Stale) as error:
        return Refused(type(error), error.approval)
    except ApprovalError as error:
        return Refused(type(error))


def _counting(base: int) -> Callable[[], str]:
    numbers = itertools.count(base)
    return lambda: str(UUID(int=next(numbers)))


def test_both_stores_keep_the_state_table(dsn: str) -> None:
    with asyncio.Runner() as runner:

        class Here(Machine):
            pass

        Here.runner, Here.dsn = runner, dsn
        first = PostgresApprovalStore(dsn)
        runner.run(first.open())
        runner.run(first.close())
        run_state_machine_as_test(Here, settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS))
