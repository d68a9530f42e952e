"""What changed among revocations, from Postgres: read by those who follow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg import AsyncConnection

from countersign.recorder.revocations.ports import PAGE_REVOCATIONS, Newest, News
from countersign.recorder.revocations.rows import COLUMNS, revoked_of
from countersign.runtime.postgres import DatabaseUnavailable, Readers, connect_writer, safe_reason

_LISTEN = b"LISTEN countersign_revocations"
_NEWEST = b"""
    SELECT h.version, r.revocation_id::text FROM countersign.revocation_head AS h
    LEFT JOIN countersign.revocations AS r ON r.version = h.version"""
_HOLDS = b"SELECT EXISTS (SELECT FROM countersign.revocations WHERE version = %s AND revocation_id = %s)"
_HEAD = b"SELECT version, forgotten FROM countersign.revocation_head"
# People see the ids of what went on from sealed sessions; those who refuse know the session with which it began.
_BEGAN_AS = b"""
    CASE WHEN kind <> 4 THEN value ELSE coalesce((
        WITH RECURSIVE before AS (
            SELECT session_id, continues, 0 AS step FROM countersign.sessions WHERE session_id = value::uuid
            UNION ALL
            SELECT s.session_id, s.continues, step + 1 FROM countersign.sessions AS s
            JOIN before ON s.session_id = before.continues WHERE step < 10000)
        SELECT coalesce(continues, session_id)::text FROM before ORDER BY step DESC LIMIT 1), value)
    END"""
_COLUMNS = COLUMNS.replace(b" value,", _BEGAN_AS + b",")
_NEWS = (
    b"SELECT version, lifted_at IS NOT NULL, " + _COLUMNS + b" FROM countersign.revocations WHERE version > %s"
    b" ORDER BY version LIMIT %s"
)
# What was lifted before anything was told need not be told.
_FIRST_NEWS = (
    b"SELECT version, false, " + _COLUMNS + b" FROM countersign.revocations WHERE lifted_at IS NULL"
    b" AND version > %s ORDER BY version LIMIT %s"
)


class PostgresNews:
    """The part of ``RevocationStore`` that those who follow need."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._readers = Readers(dsn, application_name="countersign-revocations")

    async def close(self) -> None:
        """See ``RevocationStore.close``."""
        await self._readers.close()

    async def news(self, after: int, begun: int) -> News:
        """See ``RevocationStore.news``. A session that goes on from a sealed one is told as the first of them all."""
        async with self._readers.connection() as connection:
            # One moment for both: what is forgotten in between would be missed.
            await connection.execute(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            head = await (await connection.execute(_HEAD)).fetchone()
            asked = _NEWS if after >= 0 else _FIRST_NEWS
            rows = await (await connection.execute(asked, (after, PAGE_REVOCATIONS), binary=True)).fetchall()
            await connection.execute(b"COMMIT")
        if head is None:
            raise DatabaseUnavailable("the head row of the revocations is missing: restore the database")
        newest, forgotten = head
        if after >= 0 and not forgotten <= max(after, begun) <= newest:
            return News((), (), after, newest, gap=True)
        return News(
            revoked=tuple(revoked_of(row[2:]) for row in rows if not row[1]),
            lifted=tuple(row[2] for row in rows if row[1]),
            position=newest if len(rows) < PAGE_REVOCATIONS else rows[-1][0],
            newest=newest,
        )

    @asynccontextmanager
    async def eye(self) -> AsyncIterator[_Eye]:
        """See ``RevocationStore.eye``."""
        connection = await connect_writer(self._dsn, application_name="countersign-revocations-eye")
        try:
            await connection.execute(_LISTEN)
            yield _Eye(connection)
        except psycopg.Error as error:
            raise DatabaseUnavailable(f"revocations cannot be followed ({safe_reason(error)})") from None
        finally:
            await connection.close()


class _Eye:
    """See ``Eye``. Its errors of Postgres become ours where it is closed."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def newest(self) -> Newest:
        """See ``Eye.newest``."""
        row = await (await self._connection.execute(_NEWEST)).fetchone()
        if row is None:
            raise DatabaseUnavailable("the head row of the revocations is missing: restore the database")
        return Newest(*row)

    async def holds(self, newest: Newest) -> bool:
        """See ``Eye.holds``."""
        if not newest.version:
            return True
        row = await (await self._connection.execute(_HOLDS, (newest.version, newest.revocation_id))).fetchone()
        return row is not None and bool(row[0])

    async def notified(self, within_s: float) -> None:
        """See ``Eye.notified``."""
        async for _ in self._connection.notifies(timeout=within_s, stop_after=1):
            # To its end, which lets go of the connection.
            pass
