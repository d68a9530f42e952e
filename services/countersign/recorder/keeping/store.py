"""Shelves and holds in Postgres. What erases is a function of the database: see ``migrations/0012_keeping.sql``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection

from countersign.recorder.keeping.ports import MOST_HOLDS, Erasure, Hold, NotThere, Shelf, TooManyHolds
from countersign.runtime.postgres import DatabaseUnavailable, Readers, Writers, connect_writer, safe_reason

# An advisory lock's key: any constant that nothing else in the database uses.
_KEEPER = (1668247154, 13)
# Counting and moving a large month takes its time; others are kept waiting only at the end (see ``erase``).
_PATIENCE = b"SET statement_timeout = '6h'"
_TRY_TURN = b"SELECT pg_try_advisory_lock(%s, %s)"
_NOW = b"SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_KEPT = b"SELECT shelf, target, month, erased_at, 0 FROM countersign.shelves WHERE shelf > 0 AND erased_at IS NULL"
_SHELVES = b"""
    SELECT shelf, target, month, erased_at,
        coalesce(pg_total_relation_size(to_regclass('countersign.bodies_' || shelf)), 0)
        + coalesce(pg_total_relation_size(to_regclass('countersign.words_' || shelf)), 0)
    FROM countersign.shelves ORDER BY month DESC, target LIMIT %s"""
_MOST_SHELVES = 20_000
_ERASURE = b"""
    SELECT erasure_id, shelf, target, month, kept_days, begun_us, coalesce(outcome, ''), ended_us, bodies,
        size_bytes, held
    FROM countersign.erasures"""
_UNDER_WAY = _ERASURE + b" WHERE NOT told ORDER BY begun_us, shelf"
_ONE_ERASURE = _ERASURE + b" WHERE erasure_id = %s"
_BEGIN = b"""
    INSERT INTO countersign.erasures (erasure_id, shelf, target, month, kept_days, begun_us)
    VALUES (%s, %s, %s, %s, %s, %s)"""
_ERASE = b"SELECT countersign.erase(%s, %s)"
_CALL_OFF = b"""
    UPDATE countersign.erasures SET outcome = 'called_off', ended_us = %s WHERE erasure_id = %s AND outcome IS NULL"""
_RETIME = b"""
    UPDATE countersign.erasures SET begun_us = CASE WHEN outcome IS NULL THEN %s ELSE begun_us END,
        ended_us = CASE WHEN outcome IS NULL THEN NULL ELSE %s END
    WHERE erasure_id = %s"""
_TOLD = b"UPDATE countersign.erasures SET told = true WHERE erasure_id = %s"
# A deleted row stays in its file until it is written over.
_WIPE = b"VACUUM (FULL) countersign.bodies_0"
_ANY_LET_GO = b"SELECT countersign.any_let_go()"
_HOLD = b"""
    SELECT hold_id, session_id, coalesce(issuer, ''), coalesce(subject, ''), reason, placed_by, placed_at
    FROM countersign.holds WHERE released_at IS NULL"""
_HOLDS = _HOLD + b" ORDER BY placed_at, hold_id LIMIT %s"
_ONE_HOLD = _HOLD + b" AND hold_id = %s FOR UPDATE"
_STAND_STILL = b"SELECT countersign.holds_stand_still(false)"
_HOW_MANY = b"SELECT count(*) FROM countersign.holds WHERE released_at IS NULL"
_IS_SESSION = b"SELECT EXISTS (SELECT FROM countersign.sessions WHERE session_id = %s)"
_PLACE = b"""
    INSERT INTO countersign.holds (hold_id, session_id, issuer, subject, reason, placed_by, placed_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s)"""
_RELEASE = b"UPDATE countersign.holds SET released_at = %s WHERE hold_id = %s"


class PostgresKeepingStore:
    """See ``KeepingStore``. The keeper has a connection of its own while it is at work."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._readers = Readers(dsn, application_name="countersign-keeping", size=2)
        self._writers = Writers(dsn, application_name="countersign-holds", size=2)

    async def close(self) -> None:
        """See ``KeepingStore.close``."""
        await self._writers.close()
        await self._readers.close()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[_Turn | None]:
        """See ``KeepingStore.turn``."""
        connection = await connect_writer(self._dsn, application_name="countersign-keeper")
        try:
            await connection.execute(_PATIENCE)
            found = await (await connection.execute(_TRY_TURN, _KEEPER)).fetchone()
            yield _Turn(connection) if found is not None and found[0] else None
        except psycopg.Error as error:
            raise DatabaseUnavailable(f"the database did not keep shelves ({safe_reason(error)})") from None
        finally:
            # With the connection goes its lock.
            await connection.close()

    async def shelves(self) -> Sequence[Shelf]:
        """See ``KeepingStore.shelves``."""
        async with self._readers.connection() as connection:
            return [Shelf(*row) for row in await (await connection.execute(_SHELVES, (_MOST_SHELVES,))).fetchall()]

    async def holds(self) -> Sequence[Hold]:
        """See ``KeepingStore.holds``."""
        async with self._readers.connection() as connection:
            return [Hold(*row) for row in await (await connection.execute(_HOLDS, (MOST_HOLDS,))).fetchall()]

    @asynccontextmanager
    async def placing(self, hold: Hold) -> AsyncIterator[None]:
        """See ``KeepingStore.placing``."""
        async with self._writers.transaction() as connection:
            await connection.execute(_STAND_STILL)
            if hold.session_id is not None and not await _one(connection, _IS_SESSION, hold.session_id):
                raise NotThere("there is no such session")
            if await _one(connection, _HOW_MANY) >= MOST_HOLDS:
                raise TooManyHolds
            principal = (None, None) if hold.session_id is not None else (hold.issuer, hold.subject)
            values = (hold.hold_id, hold.session_id, *principal, hold.reason, hold.placed_by, hold.placed_at)
            await connection.execute(_PLACE, values)
            yield

    @asynccontextmanager
    async def releasing(self, hold_id: UUID, at: datetime) -> AsyncIterator[Hold]:
        """See ``KeepingStore.releasing``."""
        async with self._writers.transaction() as connection:
            await connection.execute(_STAND_STILL)
            row = await (await connection.execute(_ONE_HOLD, (hold_id,))).fetchone()
            if row is None:
                raise NotThere("there is no such hold in force")
            await connection.execute(_RELEASE, (at, hold_id))
            yield Hold(*row)


class _Turn:
    """See ``HeldShelves``. Its errors of Postgres become ours where the turn ends."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def now_us(self) -> int:
        """See ``HeldShelves.now_us``."""
        now: int = await _one(self._connection, _NOW)
        return now

    async def kept(self) -> Sequence[Shelf]:
        """See ``HeldShelves.kept``."""
        return [Shelf(*row) for row in await (await self._connection.execute(_KEPT)).fetchall()]

    async def under_way(self) -> Sequence[Erasure]:
        """See ``HeldShelves.under_way``."""
        return [Erasure(*row) for row in await (await self._connection.execute(_UNDER_WAY)).fetchall()]

    async def released(self) -> bool:
        """See ``HeldShelves.released``."""
        return bool(await _one(self._connection, _ANY_LET_GO))

    async def begin(self, erasure: Erasure) -> None:
        """See ``HeldShelves.begin``."""
        values = (erasure.erasure_id, erasure.shelf, erasure.target, erasure.month, erasure.kept_days, erasure.begun_us)
        await self._connection.execute(_BEGIN, values)

    async def erase(self, erasure: Erasure, now_us: int) -> Erasure:
        """See ``HeldShelves.erase``."""
        await self._connection.execute(_ERASE, (erasure.erasure_id, now_us))
        return await self._now(erasure)

    async def call_off(self, erasure: Erasure, now_us: int) -> Erasure:
        """See ``HeldShelves.call_off``."""
        await self._connection.execute(_CALL_OFF, (now_us, erasure.erasure_id))
        return await self._now(erasure)

    async def retime(self, erasure: Erasure, now_us: int) -> Erasure:
        """See ``HeldShelves.retime``."""
        await self._connection.execute(_RETIME, (now_us, now_us, erasure.erasure_id))
        return await self._now(erasure)

    async def wipe(self) -> None:
        """See ``HeldShelves.wipe``."""
        # Who reads bodies waits behind us if we must wait: so not for long. It is tried again in the next pass.
        await self._connection.execute(b"SET lock_timeout = '500ms'")
        try:
            await self._connection.execute(_WIPE)
        finally:
            await self._connection.execute(b"RESET lock_timeout")

    async def told(self, erasure: Erasure) -> None:
        """See ``HeldShelves.told``."""
        await self._connection.execute(_TOLD, (erasure.erasure_id,))

    async def _now(self, erasure: Erasure) -> Erasure:
        row = await (await self._connection.execute(_ONE_ERASURE, (erasure.erasure_id,))).fetchone()
        return Erasure(*row) if row is not None else erasure


async def _one(connection: AsyncConnection, query: bytes, *values: object) -> Any:
    row = await (await connection.execute(query, values)).fetchone()
    return None if row is None else row[0]
