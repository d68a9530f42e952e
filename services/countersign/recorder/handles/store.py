"""Handles in Postgres: all SQL about them is here and in ``migrations/0015_handles.sql``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from uuid import UUID

from countersign.model.continuation import continuations
from countersign.recorder.handles.ports import MOST_IN_SCOPE, HashedHandle
from countersign.runtime.postgres import DatabaseError, Readers, Writers

# A call ends in its own session, or in one that goes on from it; a day has no more seals than this.
_MOST_CONTINUED = 64

_NOW_US = b"(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_KEEP = b"SELECT countersign.keep_handles(%s, %s, %s, %s, %s)"
_FIND = (
    b"""
    SELECT kept.what FROM unnest(%s::bytea[], %s::bytea[]) WITH ORDINALITY AS given(scope, mark, place)
    LEFT JOIN countersign.handles AS kept
        ON kept.scope = given.scope AND kept.mark = given.mark AND kept.expires_us > """
    + _NOW_US
    + b" ORDER BY given.place"
)
# In order, so that two who take the same never wait for one another; who comes second finds the row gone.
_LOCK = (
    b"""
    SELECT kept.mark FROM countersign.handles AS kept JOIN unnest(%s::bytea[], %s::bytea[]) AS given(scope, mark)
        ON kept.scope = given.scope AND kept.mark = given.mark
    WHERE kept.expires_us > """
    + _NOW_US
    + b" ORDER BY kept.scope, kept.mark FOR UPDATE OF kept"
)
_TAKE = b"""
    DELETE FROM countersign.handles AS kept USING unnest(%s::bytea[], %s::bytea[]) AS given(scope, mark)
    WHERE kept.scope = given.scope AND kept.mark = given.mark"""
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


class _NotAll(DatabaseError):
    """Not all of what was to be taken is there: nothing is."""


class PostgresHandleStore:
    """See ``HandleStore``. The tables are made by the record's store."""

    def __init__(self, dsn: str, *, most_in_scope: int = MOST_IN_SCOPE) -> None:
        self._most_in_scope = most_in_scope
        self._readers = Readers(dsn, application_name="countersign-handles")
        self._writers = Writers(dsn, application_name="countersign-handles-writer")

    async def keep(self, handles: Sequence[HashedHandle]) -> None:
        """See ``HandleStore``."""
        whats, lifetimes = [one.what for one in handles], [one.lifetime_us for one in handles]
        async with self._writers.transaction() as connection:
            await connection.execute(_KEEP, (*_keys(handles), whats, lifetimes, self._most_in_scope))

    async def find(self, handles: Sequence[HashedHandle]) -> Sequence[str | None]:
        """See ``HandleStore``."""
        async with self._readers.connection() as connection:
            found = await connection.execute(_FIND, _keys(handles))
            return [row[0] for row in await found.fetchall()]

    async def take(self, handles: Sequence[HashedHandle]) -> bool:
        """See ``HandleStore``."""
        try:
            async with self._writers.transaction() as connection:
                locked = await connection.execute(_LOCK, _keys(handles))
                if locked.rowcount != len(handles):
                    raise _NotAll
                await connection.execute(_TAKE, _keys(handles))
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

    async def close(self) -> None:
        """See ``HandleStore``."""
        await self._readers.close()
        await self._writers.close()


def _keys(handles: Sequence[HashedHandle]) -> tuple[list[bytes], list[bytes]]:
    return [one.scope for one in handles], [one.mark for one in handles]
