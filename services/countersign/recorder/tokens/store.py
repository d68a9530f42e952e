"""Tokens in Postgres. What must happen at once are functions of the database: see ``migrations/0006_tokens.sql``."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection

from countersign.recorder.tokens.ports import LIFETIME_US, MOST_FOUND, MOST_IN_SESSION, Kept, SealedToken, TokensFull
from countersign.runtime.postgres import DatabaseUnavailable, Readers, connect_writer, safe_reason

WRITERS = 4

_KEEP = b"SELECT is_full, taken, echoes FROM countersign.keep_tokens(%s, %s, %s, %s, %s, %s, %s)"
_SWEEP = b"SELECT countersign.sweep_tokens(%s)"
_FIND = b"""
    SELECT sealed FROM countersign.tokens
    WHERE session_id = %s AND head = ANY(%s) AND expires_us > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
    LIMIT %s"""
_HELD = b"SELECT coalesce(sum(held), 0)::bigint FROM countersign.token_sessions"


class PostgresTokenStore:
    """See ``TokenStore``. A few connections write, so that many wait for one commit together.

    The tables are made by the record's store.
    """

    def __init__(self, dsn: str, *, lifetime_us: int = LIFETIME_US, most_in_session: int = MOST_IN_SESSION) -> None:
        self._dsn = dsn
        self._lifetime_us = lifetime_us
        self._most_in_session = most_in_session
        self._readers = Readers(dsn, application_name="countersign-tokens")
        self._idle: asyncio.LifoQueue[AsyncConnection | None] = asyncio.LifoQueue()
        for _ in range(WRITERS):
            self._idle.put_nowait(None)

    async def keep(self, session_id: str, tokens: Sequence[SealedToken]) -> Kept:
        """See ``TokenStore``."""
        is_full, taken, echoes = await self._write(
            _KEEP,
            session_id,
            [token.mark for token in tokens],
            [token.value_mark for token in tokens],
            [token.head for token in tokens],
            [token.sealed for token in tokens],
            self._lifetime_us,
            self._most_in_session,
        )
        if is_full:
            raise TokensFull("the session has too many tokens")
        return Kept(frozenset(map(bytes, taken)), frozenset(map(bytes, echoes)))

    async def find(self, session_id: str, heads: Collection[bytes]) -> Sequence[bytes]:
        """See ``TokenStore``."""
        async with self._readers.connection() as connection:
            found = await connection.execute(_FIND, (session_id, list(heads), MOST_FOUND + 1), binary=True)
            sealed = [bytes(row[0]) for row in await found.fetchall()]
        if len(sealed) > MOST_FOUND:
            raise TokensFull("too many tokens begin like this")
        return sealed

    async def sweep(self, at_most: int) -> int:
        """See ``TokenStore``."""
        removed: int = (await self._write(_SWEEP, at_most))[0]
        return removed

    async def held(self) -> int:
        """See ``TokenStore``."""
        async with self._readers.connection() as connection:
            row = await (await connection.execute(_HELD)).fetchone()
        return 0 if row is None else row[0]

    async def close(self) -> None:
        """See ``TokenStore``."""
        await self._readers.close()
        for connection in [await self._idle.get() for _ in range(WRITERS)]:
            self._idle.put_nowait(None)
            if connection is not None:
                await connection.close()

    async def _write(self, query: bytes, *values: object) -> tuple[Any, ...]:
        """One statement, which is its own transaction, durable when this returns."""
        connection = await self._idle.get()
        kept: AsyncConnection | None = None
        try:
            if connection is None or connection.closed:
                connection = await connect_writer(self._dsn, application_name="countersign-tokens-writer")
            row = await (await connection.execute(query, values)).fetchone()
            kept = connection
        except psycopg.Error as error:
            raise DatabaseUnavailable(f"the tokens could not be kept ({safe_reason(error)})") from None
        finally:
            # Cancelled or failed in the middle: the session's lock must not linger.
            if kept is None and connection is not None:
                await connection.close()
            self._idle.put_nowait(kept)
        if row is None:
            raise DatabaseUnavailable("the database did not say what it kept")
        return row
