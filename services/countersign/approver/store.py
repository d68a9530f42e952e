"""Approvals in Postgres. All SQL about them is here, in ``rows`` and in ``migrations/0001_approvals.sql``.

Whoever changes an approval holds its row, so that what :mod:`countersign.approver.states` makes of it is written over
nothing newer. Rows of several approvals are locked in the order of their ids; a caller's advisory lock comes before.
The locks leave alone who only refers to an approval, such as a delivery.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from uuid import uuid4

from psycopg import AsyncConnection

from countersign.approver import states
from countersign.approver.ports import (
    FROM_NOWHERE,
    ApprovalError,
    Asked,
    Came,
    NoSuchApproval,
    Taken,
    TooManyPending,
    Transition,
)
from countersign.approver.rows import COLUMNS, Kept, kept_of, outbox_values, question_bytes, text, transition_of
from countersign.model.approval import Approval, ApprovalState, Person, Question, Waiter
from countersign.model.principal import Principal
from countersign.runtime.migrations import load_migrations, migrate
from countersign.runtime.postgres import DatabaseUnavailable, Readers, Writers, connect_writer

SCHEMA = "countersign_approvals"
CHANNEL = "countersign_approvals"
"""Where every change is announced, as ``ID VERSION``; only a hint, see ``listening``."""

_READ = b"SELECT " + COLUMNS + b" FROM countersign_approvals.approvals AS a WHERE "
_READ_ONE = _READ + b"a.id = %s"
_READ_SOME = _READ + b"a.id = ANY(%s) ORDER BY a.id"
_READ_PAGE = _READ + b"a.state = ANY(%s) ORDER BY a.asked_at_us DESC, a.id DESC LIMIT %s"
_READ_LATER_PAGE = (
    _READ + b"a.state = ANY(%s) AND (a.asked_at_us, a.id) < (%s, %s) ORDER BY a.asked_at_us DESC, a.id DESC LIMIT %s"
)
_READ_RANGE = _READ + b"a.id >= %s AND a.id < %s ORDER BY a.id LIMIT %s"
_READ_OPEN = _READ + b"a.state IN ('pending', 'approved') ORDER BY a.id"
_VERSIONS = b"SELECT id, version FROM countersign_approvals.approvals WHERE id = ANY(%s)"

_LOCK_CALLER = b"SELECT pg_advisory_xact_lock(%s)"
_LOCK_ONE = b"SELECT FROM countersign_approvals.approvals WHERE id = %s FOR NO KEY UPDATE"
_LOCK_SOME = b"SELECT FROM countersign_approvals.approvals WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
_LOCK_OPEN = b"""
    SELECT id FROM countersign_approvals.approvals
    WHERE digest = %s AND state IN ('pending', 'approved') FOR NO KEY UPDATE"""
_LOCK_OVER = b"""
    SELECT id FROM countersign_approvals.approvals WHERE over_at_us <= %s LIMIT %s FOR NO KEY UPDATE SKIP LOCKED"""
_LOCK_AWAITED = b"""
    SELECT id FROM countersign_approvals.approvals AS a WHERE issuer = %s AND subject = %s AND id IN (
        SELECT approval_id FROM countersign_approvals.waiters WHERE session_id = %s AND (%s = '' OR rpc_id = %s))
    ORDER BY id FOR NO KEY UPDATE"""

_COUNT_PENDING = b"""
    SELECT count(*) FROM countersign_approvals.approvals
    WHERE issuer = %s AND subject = %s AND state = 'pending' AND expires_at_us > %s"""
_INSERT = b"""
    INSERT INTO countersign_approvals.approvals
        (id, state, version, digest, issuer, subject, question, asked_at_us, expires_at_us, reuse_us)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_UPDATE = b"""
    UPDATE countersign_approvals.approvals SET state = %s, version = %s, decided_at_us = %s, grant_until_us = %s,
        reuse_us = %s, uses = %s, used_by = %s, reason = %s
    WHERE id = %s AND version = %s AND state IN ('pending', 'approved')"""
_DECIDE = b"""
    INSERT INTO countersign_approvals.decisions
        (approval_id, version, issuer, subject, agrees, note, at_us, rules, glass)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"""

_USED = b"SELECT FROM countersign_approvals.uses WHERE approval_id = %s AND call_id = %s"
_USE = b"INSERT INTO countersign_approvals.uses (approval_id, call_id, at_us) VALUES (%s, %s, %s)"

_WAIT = b"""
    INSERT INTO countersign_approvals.waiters (approval_id, waiter_id, session_id, rpc_id, until_us)
    VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (approval_id, waiter_id) DO UPDATE SET until_us = excluded.until_us, held = true"""
_EXPECT_BACK = b"""
    UPDATE countersign_approvals.waiters SET until_us = %s, held = false WHERE approval_id = %s AND waiter_id = %s"""
_LEAVE = b"DELETE FROM countersign_approvals.waiters WHERE approval_id = %s AND waiter_id = %s"
_LEAVE_SESSION = b"""
    DELETE FROM countersign_approvals.waiters
    WHERE approval_id = ANY(%s) AND session_id = %s AND (%s = '' OR rpc_id = %s)"""
_AWAITED = (
    b"SELECT DISTINCT approval_id FROM countersign_approvals.waiters WHERE approval_id = ANY(%s) AND until_us > %s"
)
_FORGET_PAST = b"""
    DELETE FROM countersign_approvals.waiters
    WHERE approval_id = %s AND (until_us <= %s OR (session_id = %s AND NOT held))"""
_FORGET_ALL = b"DELETE FROM countersign_approvals.waiters WHERE approval_id = %s"

_RECORD = b"""
    INSERT INTO countersign_approvals.outbox
        (event_id, approval_id, what, approval, actor, at_us, call_id, note, source_address, traceparent)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (event_id) DO NOTHING"""
_NOTICE = b"""
    INSERT INTO countersign_approvals.notices (event_id, approval_id, version, what, at_us)
    VALUES (%s, %s, %s, %s, %s)"""
_ANNOUNCE = b"SELECT pg_notify(%s, %s)"
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
            row = await (await connection.execute(_READ_ONE, (text(approval_id),))).fetchone()
        if row is None:
            raise NoSuchApproval("there is no such approval")
        return kept_of(row).approval

    async def rejoin(self, approval_id: str, caller: Person, waiter: Waiter | None, now_us: int) -> Approval:
        """See ``ApprovalStore.rejoin``."""
        async with self._changing() as change:
            approval = (await change.lock(approval_id, now_us, caller)).approval
            if waiter is not None and approval.state.is_open:
                await change.wait(approval, waiter, now_us)
            return approval

    async def leave(self, approval_id: str, waiter_id: str, *, hung_up: bool, until_us: int, now_us: int) -> Approval:
        """See ``ApprovalStore.leave``. Who was not known to wait ends nothing."""
        async with self._changing() as change:
            kept = await change.lock(approval_id, now_us)
            if not hung_up:
                await change.connection.execute(_EXPECT_BACK, (until_us, approval_id, text(waiter_id)))
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

    async def consume(self, approval_id: str, digest: bytes, call_id: str, now_us: int) -> Taken:
        """See ``ApprovalStore.consume``."""
        async with self._changing() as change:
            kept = await change.lock(approval_id, now_us)
            if not hmac.compare_digest(kept.approval.digest, digest):
                raise NoSuchApproval("the approval is about another call")
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
            await connection.execute(_RECORD, outbox_values(noted))

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
    async def _changing(self) -> AsyncIterator[_Change]:
        """One transaction. What is refused leaves what time did: nothing else is written before anything is refused."""
        async with self._writers.transaction(commit_on=ApprovalError) as connection:
            yield _Change(connection)


class _Change:
    """What one transaction does."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    async def lock(self, approval_id: str, now_us: int, caller: Person | None = None) -> Kept:
        """Hold an approval (of ``caller``, when given), expired if it is over. Raises ``NoSuchApproval``."""
        # The lock is a statement of its own: one that waits for it shows decisions as they were before it was had.
        async with self.connection.pipeline():
            await self.connection.execute(_LOCK_ONE, (text(approval_id),))
            found = await self.connection.execute(_READ_ONE, (text(approval_id),))
        row = await found.fetchone()
        kept = None if row is None else kept_of(row)
        if kept is None or caller not in (None, kept.approval.asked_by):
            raise NoSuchApproval("there is no such approval")
        return await self._settled(kept, now_us)

    async def lock_open(self, question: Question, now_us: int) -> Kept | None:
        """Let nobody else ask for this caller, and hold what is open for the digest, if anything is."""
        async with self.connection.pipeline():
            await self.connection.execute(_LOCK_CALLER, (_caller_key(question.caller),))
            found = await self.connection.execute(_LOCK_OPEN, (question.digest,))
        row = await found.fetchone()
        if row is None:
            return None
        # A digest is of one caller only; what says otherwise gets nothing of another's.
        kept = await self.lock(row[0], now_us, question.caller)
        return kept if kept.approval.state.is_open else None

    async def read(self, ids: Sequence[str], now_us: int) -> list[Kept]:
        """Read approvals that are held already, expired if they are over."""
        rows = await (await self.connection.execute(_READ_SOME, (ids,))).fetchall()
        return [await self._settled(kept_of(row), now_us) for row in rows]

    async def count_pending(self, caller: Person, now_us: int) -> int:
        """Count what is pending for a caller."""
        values = (text(caller.issuer), text(caller.subject), now_us)
        row = await (await self.connection.execute(_COUNT_PENDING, values)).fetchone()
        if row is None:
            raise DatabaseUnavailable("the database did not count")
        count: int = row[0]
        return count

    async def wait(self, approval: Approval, waiter: Waiter, now_us: int) -> None:
        """Write down that somebody waits, and forget whom nobody expects any more, or who came back with them."""
        fields = (waiter.id, waiter.session_id, waiter.rpc_id)
        async with self.connection.pipeline():
            await self.connection.execute(_FORGET_PAST, (approval.id, now_us, text(waiter.session_id)))
            await self.connection.execute(_WAIT, (approval.id, *map(text, fields), waiter.until_us))

    async def abandon(self, kept: Kept, now_us: int) -> Approval:
        """End a pending approval unless somebody waits for it."""
        step = states.abandoned(kept.approval)
        awaited = await self.connection.execute(_AWAITED, ([kept.approval.id], now_us))
        return kept.approval if await awaited.fetchone() is not None else await self.save(kept, step, now_us)

    async def insert(self, step: states.Step, question: Question, now_us: int) -> None:
        """Write a new approval."""
        one, caller = step.approval, question.caller
        values = (
            *(one.id, str(one.state), one.version, one.digest, text(caller.issuer), text(caller.subject)),
            *(question_bytes(question), one.asked_at_us, one.expires_at_us, one.reuse_us),
        )
        async with self.connection.pipeline():
            await self.connection.execute(_INSERT, values)
            await self._tell(states.transition(step, question, now_us, states.came_of(question)))

    async def save(self, kept: Kept, step: states.Step | None, now_us: int, came: Came = FROM_NOWHERE) -> Approval:
        """Write a step of an approval that is held, with all that hangs on it; return how it stands now."""
        if step is None:
            return kept.approval
        before, after = kept.approval, step.approval
        values = (
            *(str(after.state), after.version, after.decided_at_us, after.grant_until_us, after.reuse_us),
            *(after.uses, text(after.used_by), after.reason, after.id, before.version),
        )
        async with self.connection.pipeline():
            done = await self.connection.execute(_UPDATE, values)
            for one in after.decisions[len(before.decisions) :]:
                fields = (text(one.by.issuer), text(one.by.subject), one.agrees, one.note, one.at_us)
                await self.connection.execute(_DECIDE, (after.id, after.version, *fields, list(one.rules), one.glass))
            if not after.state.is_open:
                await self.connection.execute(_FORGET_ALL, (after.id,))
            await self._tell(states.transition(step, kept.question, now_us, came))
        if done.rowcount != 1:
            raise DatabaseUnavailable("the approval changed while it was held")
        return after

    async def record(self, step: states.Step, question: Question, now_us: int, came: Came) -> None:
        """Have a step recorded that changes nothing."""
        await self.connection.execute(_RECORD, outbox_values(states.transition(step, question, now_us, came)))

    async def _settled(self, kept: Kept, now_us: int) -> Kept:
        return Kept(await self.save(kept, states.expired(kept.approval, now_us), now_us), kept.question)

    async def _tell(self, changed: Transition) -> None:
        one = changed.approval
        await self.connection.execute(_RECORD, outbox_values(changed))
        await self.connection.execute(_NOTICE, (changed.event_id, one.id, one.version, changed.what, changed.at_us))
        await self.connection.execute(_ANNOUNCE, (CHANNEL, f"{one.id} {one.version}"))


def _caller_key(caller: Person) -> int:
    """The number of a caller's advisory lock: whom chance gives the same one only waits."""
    parts = hashlib.sha256(caller.issuer.encode()).digest() + hashlib.sha256(caller.subject.encode()).digest()
    return int.from_bytes(hashlib.sha256(b"approvals" + parts).digest()[:8], signed=True)
