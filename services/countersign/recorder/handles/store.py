"""Handles in Postgres: all SQL about them is here and in ``migrations/0015`` and ``0016``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from uuid import UUID

from countersign.model.continuation import continuations
from countersign.recorder.handles.ports import MOST_IN_SCOPE, HashedHandle, HashedOwner, KnownHandle
from countersign.recorder.handles.shares import Bounds, Share
from countersign.runtime.postgres import DatabaseError, Readers, Writers

# A call ends in its own session, or in one that goes on from it; a day has no more seals than this.
_MOST_CONTINUED = 64

_NOW_US = b"(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_KEEP = b"SELECT countersign.keep_handles(%s, %s, %s, %s, %s, %s, %s, %s)"
_FIND = (
    b"""
    SELECT kept.what, kept.masks FROM unnest(%s::bytea[], %s::bytea[]) WITH ORDINALITY AS given(scope, mark, place)
    LEFT JOIN countersign.handles AS kept
        ON kept.scope = given.scope AND kept.mark = given.mark AND kept.expires_us > """
    + _NOW_US
    + b" ORDER BY given.place"
)
_GIVEN = b"unnest(%s::bytea[], %s::bytea[], %s::bytea[]) AS given(scope, mark, answer)"
# In order, so that two who take the same never wait for one another; who comes second finds the row taken, or gone.
_LOCK = (
    b"SELECT kept.answer = given.answer FROM countersign.handles AS kept JOIN "
    + _GIVEN
    + b" ON kept.scope = given.scope AND kept.mark = given.mark WHERE kept.expires_us > "
    + _NOW_US
    + b" ORDER BY kept.scope, kept.mark FOR UPDATE OF kept"
)
_TAKE = (
    b"UPDATE countersign.handles AS kept SET answer = given.answer FROM "
    + _GIVEN
    + b" WHERE kept.scope = given.scope AND kept.mark = given.mark"
)
_SPEND = (
    b"DELETE FROM countersign.handles AS kept USING "
    + _GIVEN
    + b" WHERE kept.scope = given.scope AND kept.mark = given.mark"
)
_DROP = b"DELETE FROM countersign.handles WHERE scope = %s"
# Kinds of events: 2 and 4 end a call, unless a reason says that its answer never came: the target may still be at it.
# Its end is among its session's latest. As json, which bears the NUL that jsonb does not.
_ENDED = b"""
    SELECT EXISTS (
        SELECT FROM (
            SELECT call_id, kind, record FROM countersign.events
            WHERE session_id = given.id ORDER BY sequence DESC LIMIT 20000
        ) AS latest WHERE latest.call_id = %s AND latest.kind IN (2, 4) AND latest.record::json -> 'reason' IS NULL)
    FROM unnest(%s::uuid[]) AS given(id) WHERE EXISTS (
        SELECT FROM countersign.sessions AS known WHERE known.session_id = given.id)"""
_SWEEP = (
    b"""
    DELETE FROM countersign.handles AS kept USING (
        SELECT scope, mark FROM countersign.handles WHERE expires_us <= """
    + _NOW_US
    + b""" ORDER BY expires_us LIMIT %s FOR UPDATE SKIP LOCKED
    ) AS due WHERE kept.scope = due.scope AND kept.mark = due.mark"""
)
_HELD = b"SELECT count(*) FROM countersign.handles"
_CROWDED = b"""
    SELECT coalesce(target, ''), coalesce(principal, ''), count(*) FROM countersign.handles
    GROUP BY GROUPING SETS ((target), (principal), (target, principal))
    HAVING count(*) >= CASE grouping(target, principal) WHEN 1 THEN %s WHEN 2 THEN %s ELSE %s END"""


class _NotAll(DatabaseError):
    """Not all of what was to be taken is there: nothing is."""


class PostgresHandleStore:
    """See ``HandleStore``. The tables are made by the record's store."""

    def __init__(self, dsn: str, *, most_in_scope: int = MOST_IN_SCOPE) -> None:
        self._most_in_scope = most_in_scope
        self._readers = Readers(dsn, application_name="countersign-handles")
        self._writers = Writers(dsn, application_name="countersign-handles-writer")

    async def keep(self, owner: HashedOwner, handles: Sequence[HashedHandle]) -> None:
        """See ``HandleStore``."""
        whats, lifetimes = [one.what for one in handles], [one.lifetime_us for one in handles]
        whose = (owner.target, owner.principal, sorted(set(owner.masks)))
        async with self._writers.transaction() as connection:
            await connection.execute(_KEEP, (*_keys(handles), whats, lifetimes, *whose, self._most_in_scope))

    async def find(self, handles: Sequence[HashedHandle]) -> Sequence[KnownHandle | None]:
        """See ``HandleStore``."""
        async with self._readers.connection() as connection:
            found = await connection.execute(_FIND, _keys(handles))
            rows = await found.fetchall()
        return [None if what is None else KnownHandle(what, tuple(masks)) for what, masks in rows]

    async def take(self, handles: Sequence[HashedHandle]) -> bool:
        """See ``HandleStore``."""
        return await self._all_or_none(_TAKE, handles, also_untaken=True)

    async def spend(self, handles: Sequence[HashedHandle]) -> bool:
        """See ``HandleStore``."""
        return await self._all_or_none(_SPEND, handles, also_untaken=False)

    async def _all_or_none(self, statement: bytes, handles: Sequence[HashedHandle], *, also_untaken: bool) -> bool:
        given = (*_keys(handles), [one.answer for one in handles])
        try:
            async with self._writers.transaction() as connection:
                locked = await (await connection.execute(_LOCK, given)).fetchall()
                # Of one that nobody took the answer is none, and so is what is said of it.
                fit = [same or (also_untaken and same is None) for (same,) in locked]
                if len(fit) != len(handles) or not all(fit):
                    raise _NotAll
                await connection.execute(statement, given)
        except _NotAll:
            return False
        return True

    async def drop(self, scope: bytes) -> None:
        """See ``HandleStore``."""
        async with self._writers.transaction() as connection:
            await connection.execute(_DROP, (scope,))

    async def has_ended(self, session_id: str, call_id: str) -> bool:
        """See ``HandleStore``."""
        session = UUID(session_id)
        sessions = [session, *islice(continuations(session), _MOST_CONTINUED)]
        async with self._readers.connection() as connection:
            found = await connection.execute(_ENDED, (UUID(call_id), sessions))
            return any(row[0] for row in await found.fetchall())

    async def sweep(self, at_most: int) -> int:
        """See ``HandleStore``."""
        async with self._writers.transaction() as connection:
            return (await connection.execute(_SWEEP, (at_most,))).rowcount

    async def held(self) -> int:
        """See ``HandleStore``."""
        async with self._readers.connection() as connection:
            row = await (await connection.execute(_HELD)).fetchone()
        return 0 if row is None else row[0]

    async def crowded(self, least: Bounds) -> Mapping[Share, int]:
        """See ``HandleStore``."""
        async with self._readers.connection() as connection:
            found = await connection.execute(_CROWDED, (least.target, least.principal, least.both))
            return {Share(target, principal): count for target, principal, count in await found.fetchall()}

    async def close(self) -> None:
        """See ``HandleStore``."""
        await self._readers.close()
        await self._writers.close()


def _keys(handles: Sequence[HashedHandle]) -> tuple[list[bytes], list[bytes]]:
    return [one.scope for one in handles], [one.mark for one in handles]
