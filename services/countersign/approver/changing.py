"""What one transaction does to approvals in Postgres: hold, settle, write a step with all that hangs on it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from psycopg import AsyncConnection

from countersign.approver import states
from countersign.approver.ports import FROM_NOWHERE, Came, NoSuchApproval, Transition
from countersign.approver.rows import COLUMNS, Kept, decision_values, kept_of, outbox_values, question_bytes, text
from countersign.model.approval import Approval, ApprovalState, Person, Question, Waiter
from countersign.runtime.postgres import DatabaseUnavailable

CHANNEL = "countersign_approvals"
"""Where every change is announced, as ``ID VERSION``; only a hint, see ``listening``."""
READ = b"SELECT " + COLUMNS + b" FROM countersign_approvals.approvals AS a WHERE "
READ_ONE = READ + b"a.id = %s"
_READ_SOME = READ + b"a.id = ANY(%s) ORDER BY a.id"
_LOCK_CALLER = b"SELECT pg_advisory_xact_lock(%s)"
_LOCK_ONE = b"SELECT FROM countersign_approvals.approvals WHERE id = %s FOR NO KEY UPDATE"
_LOCK_OPEN = b"""
    SELECT id FROM countersign_approvals.approvals
    WHERE digest = %s AND state IN ('pending', 'approved') FOR NO KEY UPDATE"""
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
        (approval_id, version, issuer, subject, agrees, note, at_us, rules, glass,
         token_id, issued_s, signed_in, token_subject)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_WAIT = b"""
    INSERT INTO countersign_approvals.waiters (approval_id, waiter_id, session_id, rpc_id, until_us)
    VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (approval_id, waiter_id) DO UPDATE SET until_us = excluded.until_us, held = true"""
_AWAITED = (
    b"SELECT DISTINCT approval_id FROM countersign_approvals.waiters WHERE approval_id = ANY(%s) AND until_us > %s"
)
_FORGET_PAST = b"""
    DELETE FROM countersign_approvals.waiters
    WHERE approval_id = %s AND (until_us <= %s OR (session_id = %s AND NOT held))"""
# The second comparison is the index's own: it is of no use to a query that does not say so.
_LATEST_UNTOLD = b"""
    SELECT id FROM countersign_approvals.approvals
    WHERE digest = %s AND issuer = %s AND subject = %s AND untold_until_us > %s AND untold_until_us > 0
    ORDER BY decided_at_us DESC, id DESC LIMIT 1"""
_OWE_EXPECTED = b"""
    UPDATE countersign_approvals.approvals SET untold_until_us = coalesce((
        SELECT max(until_us) FROM countersign_approvals.waiters WHERE approval_id = %s AND NOT held), 0)
    WHERE id = %s"""
_OWE = b"""
    UPDATE countersign_approvals.approvals SET untold_until_us = greatest(untold_until_us, %s)
    WHERE id = %s AND state = 'denied'"""
_TOLD = b"""
    UPDATE countersign_approvals.approvals SET untold_until_us = 0 WHERE id = %s AND untold_until_us > 0"""
_FORGET_ALL = b"DELETE FROM countersign_approvals.waiters WHERE approval_id = %s"
RECORD = b"""
    INSERT INTO countersign_approvals.outbox
        (event_id, approval_id, what, approval, actor, at_us, call_id, note, source_address, traceparent)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (event_id) DO NOTHING"""
_NOTICE = b"""
    INSERT INTO countersign_approvals.notices (event_id, approval_id, version, what, at_us)
    VALUES (%s, %s, %s, %s, %s)"""
_ANNOUNCE = b"SELECT pg_notify(%s, %s)"


class Change:
    """What one transaction does."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    async def lock(self, approval_id: str, now_us: int, caller: Person | None = None) -> Kept:
        """Hold an approval (of ``caller``, when given), expired if it is over. Raises ``NoSuchApproval``."""
        # The lock is a statement of its own: one that waits for it shows decisions as they were before it was had.
        async with self.connection.pipeline():
            await self.connection.execute(_LOCK_ONE, (text(approval_id),))
            found = await self.connection.execute(READ_ONE, (text(approval_id),))
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

    async def tell_untold(self, question: Question, now_us: int) -> Approval | None:
        """Return the last denial of this call that its caller has yet to hear of, as told now; ``None``: there is none.

        Nobody else asks for this caller meanwhile, see ``lock_open``.
        """
        caller = question.caller
        values = (question.digest, text(caller.issuer), text(caller.subject), now_us)
        row = await (await self.connection.execute(_LATEST_UNTOLD, values)).fetchone()
        if row is None:
            return None
        denied = (await self.lock(row[0], now_us, caller)).approval
        await self.told(denied)
        return denied

    async def told(self, approval: Approval) -> None:
        """Write down that the caller of a denied approval has heard of it."""
        await self.connection.execute(_TOLD, (approval.id,))

    async def expect_back(self, approval: Approval, until_us: int) -> None:
        """Write down that a caller comes back, who does not know yet if it is denied by now."""
        await self.connection.execute(_OWE, (until_us, approval.id))

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

    async def end(self, kept: Kept, reason: str, now_us: int) -> Approval:
        """End what is open, by nobody."""
        if not kept.approval.state.is_open:
            return kept.approval
        return await self.save(kept, states.cancelled(kept.approval, None, reason), now_us)

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
                await self.connection.execute(_DECIDE, (after.id, after.version, *decision_values(one)))
            if after.state is ApprovalState.DENIED:
                await self.connection.execute(_OWE_EXPECTED, (after.id, after.id))
            if not after.state.is_open:
                await self.connection.execute(_FORGET_ALL, (after.id,))
            await self._tell(states.transition(step, kept.question, now_us, came))
        if done.rowcount != 1:
            raise DatabaseUnavailable("the approval changed while it was held")
        return after

    async def record(self, step: states.Step, question: Question, now_us: int, came: Came) -> None:
        """Have a step recorded that changes nothing."""
        await self.connection.execute(RECORD, outbox_values(states.transition(step, question, now_us, came)))

    async def _settled(self, kept: Kept, now_us: int) -> Kept:
        return Kept(await self.save(kept, states.expired(kept.approval, now_us), now_us), kept.question)

    async def _tell(self, changed: Transition) -> None:
        one = changed.approval
        await self.connection.execute(RECORD, outbox_values(changed))
        await self.connection.execute(_NOTICE, (changed.event_id, one.id, one.version, changed.what, changed.at_us))
        await self.connection.execute(_ANNOUNCE, (CHANNEL, f"{one.id} {one.version}"))


def _caller_key(caller: Person) -> int:
    """The number of a caller's advisory lock: whom chance gives the same one only waits."""
    parts = hashlib.sha256(caller.issuer.encode()).digest() + hashlib.sha256(caller.subject.encode()).digest()
    return int.from_bytes(hashlib.sha256(b"approvals" + parts).digest()[:8], signed=True)
