"""Approvals in Postgres. All SQL about them is here, in ``changing``, in ``rows`` and in ``migrations/``.

Whoever changes an approval holds its row, so that what :mod:`countersign.approver.states` makes of it is written over
nothing newer. Rows of several approvals are locked in the order of their ids; a caller's advisory lock comes before.
The locks leave alone who only refers to an approval, such as a delivery.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from uuid import uuid4

from countersign.approver import states
from countersign.approver.changing import READ, READ_ONE, RECORD, Change
from countersign.approver.ports import (
    FROM_NOWHERE,
    ApprovalError,
    Asked,
    Came,
    NoSuchApproval,
    Taken,
    TooManyPending,
    Transition,
    Why,
    nothing_ends_it,
)
from countersign.approver.rows import kept_of, outbox_values, text, transition_of
from countersign.model.approval import Approval, ApprovalState, Person, Question, Waiter
from countersign.model.principal import Principal
from countersign.runtime.migrations import load_migrations, migrate
from countersign.runtime.postgres import Readers, Writers, connect_writer

SCHEMA = "countersign_approvals"

_READ_PAGE = READ + b"a.state = ANY(%s) ORDER BY a.asked_at_us DESC, a.id DESC LIMIT %s"
_READ_LATER_PAGE = (
    READ + b"a.state = ANY(%s) AND (a.asked_at_us, a.id) < (%s, %s) ORDER BY a.asked_at_us DESC, a.id DESC LIMIT %s"
)
_READ_RANGE = READ + b"a.id >= %s AND a.id < %s ORDER BY a.id LIMIT %s"
_READ_OPEN = READ + b"a.state IN ('pending', 'approved') ORDER BY a.id"
_VERSIONS = b"SELECT id, version FROM countersign_approvals.approvals WHERE id = ANY(%s)"

_LOCK_SOME = b"SELECT FROM countersign_approvals.approvals WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
_LOCK_OVER = b"""
    SELECT id FROM countersign_approvals.approvals WHERE over_at_us <= %s LIMIT %s FOR NO KEY UPDATE SKIP LOCKED"""
_LOCK_AWAITED = b"""
    SELECT id FROM countersign_approvals.approvals AS a WHERE issuer = %s AND subject = %s AND id IN (
        SELECT approval_id FROM countersign_approvals.waiters WHERE session_id = %s AND (%s = '' OR rpc_id = %s))
    ORDER BY id FOR NO KEY UPDATE"""


_USED = b"SELECT FROM countersign_approvals.uses WHERE approval_id = %s AND call_id = %s"
_USE = b"INSERT INTO countersign_approvals.uses (approval_id, call_id, at_us) VALUES (%s, %s, %s)"

_EXPECT_BACK = b"""
    UPDATE countersign_approvals.waiters SET until_us = %s, held = false WHERE approval_id = %s AND waiter_id = %s"""
_LEAVE = b"DELETE FROM countersign_approvals.waiters WHERE approval_id = %s AND waiter_id = %s"
_LEAVE_SESSION = b"""
    DELETE FROM countersign_approvals.waiters
    WHERE approval_id = ANY(%s) AND session_id = %s AND (%s = '' OR rpc_id = %s)"""

_UNRECORDED = b"""
    SELECT event_id, approval_id, what, approval, actor, at_us, call_id, note, source_address, traceparent
    FROM countersign_approvals.outbox"""
_OUTBOX = _UNRECORDED + b" ORDER BY number LIMIT %s"
_OUTBOX_OF_ONE = _UNRECORDED + b" WHERE approval_id = %s ORDER BY number LIMIT %s"
_RECORDED = b"DELETE FROM countersign_approvals.outbox WHERE event_id = ANY(%s::uuid[])"

_ID_CHARACTERS = frozenset("0123456789abcdef-")
# In the order of bytes it comes after all of these.
_AFTER_ID = "g"


class PostgresApprovalStore:
    """See ``ApprovalStore``. A few connections write, so that many wait for one commit together."""

    def __init__(self, dsn: str, *, new_id: Callable[[], str] = lambda: str(uuid4())) -> None:
        self._dsn = dsn
        self._new_id = new_id
        self._readers = Readers(dsn, application_name="countersign-approvals")
        self._writers = Writers(dsn, application_name="countersign-approvals-writer")

    async def open(self) -> None:
        """See ``ApprovalStore.open``."""
        connection = await connect_writer(self._dsn, application_name="countersign-approvals-migrations")
        try:
            await migrate(connection, SCHEMA, load_migrations(files("countersign.approver") / "migrations"))
        finally:
            await connection.close()

    async def close(self) -> None:
        """See ``ApprovalStore.close``."""
        await self._readers.close()
        await self._writers.close()

    async def ask(self, question: Question, now_us: int) -> Asked:
        """See ``ApprovalStore.ask``."""
        async with self._changing() as change:
            found = await change.lock_open(question, now_us)
            if found is not None:
                approval = found.approval
                await change.wait(approval, question.waiter, now_us)
                if question.call_id != found.question.call_id:
                    await change.record(states.joined(approval, question), question, now_us, states.came_of(question))
                return Asked(approval, joined=True)
            denied = await change.tell_untold(question, now_us)
            if denied is not None:
                return Asked(denied, joined=True)
            if await change.count_pending(question.caller, now_us) >= question.most_pending:
                raise TooManyPending(
                    f"{question.most_pending} approvals wait for an answer already: let them end first"
                )
            step = states.asked(question, self._new_id(), now_us)
            await change.insert(step, question, now_us)
            await change.wait(step.approval, question.waiter, now_us)
            return Asked(step.approval, joined=False)

    async def get(self, approval_id: str) -> Approval:
        """See ``ApprovalStore.get``."""
        async with self._readers.connection() as connection:
            row = await (await connection.execute(READ_ONE, (text(approval_id),))).fetchone()
        if row is None:
            raise NoSuchApproval("there is no such approval")
        return kept_of(row).approval

    async def rejoin(self, approval_id: str, caller: Person, waiter: Waiter | None, now_us: int) -> Approval:
        """See ``ApprovalStore.rejoin``."""
        async with self._changing() as change:
            approval = (await change.lock(approval_id, now_us, caller)).approval
            if waiter is not None and approval.state.is_open:
                await change.wait(approval, waiter, now_us)
            if approval.state is ApprovalState.DENIED:
                await change.told(approval)
            return approval

    async def leave(self, approval_id: str, waiter_id: str, *, hung_up: bool, until_us: int, now_us: int) -> Approval:
        """See ``ApprovalStore.leave``. Who was not known to wait ends nothing."""
        async with self._changing() as change:
            kept = await change.lock(approval_id, now_us)
            if not hung_up:
                await change.connection.execute(_EXPECT_BACK, (until_us, approval_id, text(waiter_id)))
                if kept.approval.state is ApprovalState.DENIED:
                    await change.expect_back(kept.approval, until_us)
                return kept.approval
            left = await change.connection.execute(_LEAVE, (approval_id, text(waiter_id)))
            return await change.abandon(kept, now_us) if left.rowcount else kept.approval

    async def withdraw(self, caller: Person, session_id: str, rpc_id: str, now_us: int) -> Sequence[Approval]:
        """See ``ApprovalStore.withdraw``."""
        waiting = (text(session_id), text(rpc_id), text(rpc_id))
        async with self._changing() as change:
            found = await change.connection.execute(
                _LOCK_AWAITED, (text(caller.issuer), text(caller.subject), *waiting)
            )
            ids = [row[0] for row in await found.fetchall()]
            await change.connection.execute(_LEAVE_SESSION, (ids, *waiting))
            ended = [await change.abandon(kept, now_us) for kept in await change.read(ids, now_us)]
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
        async with self._changing() as change:
            kept = await change.lock(approval_id, now_us)
            token_id = kept.question.caller_token_id
            step = states.decided(
                kept.approval, by, version=version, agrees=agrees, note=note, now_us=now_us, token_id=token_id
            )
            return await change.save(kept, step, now_us, came)

    async def break_glass(
        self, approval_id: str, by: Principal, *, version: int, reason: str, now_us: int, came: Came = FROM_NOWHERE
    ) -> Approval:
        """See ``ApprovalStore.break_glass``."""
        async with self._changing() as change:
            kept = await change.lock(approval_id, now_us)
            step = states.glass_broken(kept.approval, by, version=version, reason=reason, now_us=now_us)
            return await change.save(kept, step, now_us, came)

    async def consume(
        self, approval_id: str, digest: bytes, call_id: str, now_us: int, why: Why = nothing_ends_it
    ) -> Taken:
        """See ``ApprovalStore.consume``."""
        async with self._changing() as change:
            kept = await change.lock(approval_id, now_us)
            if not hmac.compare_digest(kept.approval.digest, digest):
                raise NoSuchApproval("the approval is about another call")
            reason = why(kept.question, kept.approval)
            if reason:
                return Taken(granted=False, approval=await change.end(kept, reason, now_us))
            use = (approval_id, text(call_id))
            if await (await change.connection.execute(_USED, use)).fetchone() is not None:
                return Taken(granted=True, approval=kept.approval)
            step = states.consumed(kept.approval, call_id)
            if step is None:
                return Taken(granted=False, approval=kept.approval)
            await change.connection.execute(_USE, (*use, now_us))
            return Taken(granted=True, approval=await change.save(kept, step, now_us))

    async def cancel(
        self, approval_id: str, caller: Principal | Person, reason: str, now_us: int, came: Came = FROM_NOWHERE
    ) -> Approval:
        """See ``ApprovalStore.cancel``."""
        async with self._changing() as change:
            kept = await change.lock(approval_id, now_us, Person(caller.issuer, caller.subject))
            return await change.save(kept, states.cancelled(kept.approval, caller, reason), now_us, came)

    async def revoke(
        self, principal: Person, by: Principal, reason: str, now_us: int, came: Came = FROM_NOWHERE
    ) -> Sequence[Approval]:
        """See ``ApprovalStore.revoke``."""
        async with self._changing() as change:
            rows = await (await change.connection.execute(_READ_OPEN)).fetchall()
            concerned = [kept.approval for kept in map(kept_of, rows) if states.concerns(kept.approval, principal)]
            ids = [approval.id for approval in concerned]
            await change.connection.execute(_LOCK_SOME, (ids,))
            ended = []
            for kept in await change.read(ids, now_us):
                if kept.approval.state.is_open:
                    step = states.cancelled(kept.approval, by, reason)
                    ended.append(await change.save(kept, step, now_us, came))
            return ended

    async def end(self, why: Why, now_us: int) -> Sequence[Approval]:
        """See ``ApprovalStore.end``."""
        async with self._changing() as change:
            rows = await (await change.connection.execute(_READ_OPEN)).fetchall()
            ids = [kept.approval.id for kept in map(kept_of, rows) if why(kept.question, kept.approval)]
            if not ids:
                return []
            await change.connection.execute(_LOCK_SOME, (ids,))
            ended = []
            for kept in await change.read(ids, now_us):
                reason = why(kept.question, kept.approval)
                if reason and kept.approval.state.is_open:
                    ended.append(await change.end(kept, reason, now_us))
            return ended

    async def expire(self, at_most: int, now_us: int) -> Sequence[Approval]:
        """See ``ApprovalStore.expire``. What others change just now is left for the next time."""
        async with self._changing() as change:
            found = await change.connection.execute(_LOCK_OVER, (now_us, at_most))
            ids = [row[0] for row in await found.fetchall()]
            return [kept.approval for kept in await change.read(ids, now_us)]

    async def page(
        self, *, states: Collection[ApprovalState], after: tuple[int, str] | None, limit: int
    ) -> Sequence[Approval]:
        """See ``ApprovalStore.page``."""
        names = [str(state) for state in states]
        if after is None:
            return await self._found(_READ_PAGE, names, limit)
        return await self._found(_READ_LATER_PAGE, names, after[0], text(after[1]), limit)

    async def find(self, prefix: str, limit: int) -> Sequence[Approval]:
        """See ``ApprovalStore.find``."""
        if not _ID_CHARACTERS.issuperset(prefix):
            return []
        return await self._found(_READ_RANGE, prefix, prefix + _AFTER_ID, limit)

    async def versions(self, ids: Collection[str]) -> Mapping[str, int]:
        """See ``ApprovalStore.versions``."""
        async with self._readers.connection() as connection:
            found = await connection.execute(_VERSIONS, (list(map(text, ids)),))
            return dict(await found.fetchall())

    async def note(self, noted: Transition) -> None:
        """See ``ApprovalStore.note``."""
        async with self._writers.transaction() as connection:
            await connection.execute(RECORD, outbox_values(noted))

    async def outbox(self, limit: int, approval_id: str = "") -> Sequence[Transition]:
        """See ``ApprovalStore.outbox``."""
        async with self._readers.connection() as connection:
            if approval_id:
                found = await connection.execute(_OUTBOX_OF_ONE, (text(approval_id), limit))
            else:
                found = await connection.execute(_OUTBOX, (limit,))
            return [transition_of(row) for row in await found.fetchall()]

    async def recorded(self, event_ids: Collection[str]) -> None:
        """See ``ApprovalStore.recorded``."""
        async with self._writers.transaction() as connection:
            await connection.execute(_RECORDED, (list(event_ids),))

    async def _found(self, query: bytes, *values: object) -> Sequence[Approval]:
        async with self._readers.connection() as connection:
            return [kept_of(row).approval for row in await (await connection.execute(query, values)).fetchall()]

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[Change]:
        """One transaction. What is refused leaves what time did: nothing else is written before anything is refused."""
        async with self._writers.transaction(commit_on=ApprovalError) as connection:
            yield Change(connection)
