"""The index of the search in Postgres: what is written of each block of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection

from countersign.recorder.bodies import SALT_BYTES, BodyKeeper, BodyUnreadable, Shelved
from countersign.recorder.search.block import BLOCK_BITS, BLOCK_EVENTS, Body, IndexedBlock, indexed
from countersign.recorder.search.facets import Marked
from countersign.recorder.search.words import SEARCHED_BYTES
from countersign.recorder.stored_events import with_bodies
from countersign.runtime.postgres import DatabaseUnavailable, connect_writer, safe_reason

CONTENT_BYTES = SALT_BYTES + SEARCHED_BYTES + 1024
"""As much of a body's content holds the beginning that is searched, also where it does not let itself be compressed."""
REMEMBERED = 20_000

_BEHIND = (
    b"SELECT (h.next_index >> %s::int) - p.next_block FROM countersign.search_progress AS p, countersign.head AS h"
)
_TAKE = b"SELECT next_block FROM countersign.search_progress FOR UPDATE SKIP LOCKED"
_HEAD = b"SELECT next_index >> %s::int FROM countersign.head"
_BLOCK = (
    with_bodies(b"SELECT * FROM countersign.events WHERE index >= %s AND index < %s")
    + b"""
    SELECT e.index, e.session_id, e.call_id, e.kind, e.time_us, e.outcome, e.target, e.method, e.name, e.record,
        s.first_index, s.issuer, s.subject, s.groups, s.kind, b.shelf, b.size, b.form, substr(b.content, 1, %s)
    FROM e JOIN countersign.sessions AS s USING (session_id) LEFT JOIN b ON b.index = e.index ORDER BY e.index"""
)
_MARKS = b"INSERT INTO countersign.marks (block, min_time_us, max_time_us, bits) VALUES (%s, %s, %s, %s)"
_WORDS = b"INSERT INTO countersign.words (block, shelf, bits) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
_SESSIONS = b"""
    INSERT INTO countersign.session_marks (facet, first_index)
    SELECT * FROM unnest(%s::bigint[], %s::bigint[]) ON CONFLICT DO NOTHING"""
_MOVE = b"UPDATE countersign.search_progress SET next_block = %s"


class PostgresIndexStore:
    """Indexes over one connection of its own; see ``IndexStore``."""

    def __init__(self, dsn: str, bodies: BodyKeeper) -> None:
        self._dsn = dsn
        self._bodies = bodies
        self._connection: AsyncConnection | None = None
        self._turn = asyncio.Lock()
        # Sessions go on from block to block with the same facets: most need not be written again.
        self._written: set[tuple[int, int]] = set()

    async def index(self, at_most: int) -> int | None:
        """See ``IndexStore.index``."""
        async with self._connected() as connection:
            # Without the lock first: to take it is a write, and most of the time there is nothing to do.
            behind = await (await connection.execute(_BEHIND, (BLOCK_BITS,))).fetchone()
            if behind is None:
                raise DatabaseUnavailable("the progress of the search's index is missing: restore the database")
            if behind[0] <= 0:
                return 0
            async with connection.transaction():
                # What is lost in a crash is indexed again: its progress is lost with it.
                await connection.execute(b"SET LOCAL synchronous_commit = off")
                taken = await (await connection.execute(_TAKE)).fetchone()
                head = await (await connection.execute(_HEAD, (BLOCK_BITS,))).fetchone()
                if taken is None or head is None:
                    return None
                stop: int = min(taken[0] + at_most, head[0])
                written: set[tuple[int, int]] = set()
                for block in range(taken[0], stop):
                    one = await self._indexed(connection, block)
                    await _write(connection, one, one.of_sessions - self._written - written)
                    written |= one.of_sessions
                await connection.execute(_MOVE, (max(stop, taken[0]),))
            self._remember(written)
        return max(0, int(head[0]) - stop)

    async def close(self) -> None:
        """See ``IndexStore.close``."""
        async with self._turn:
            await self._let_go()

    def _remember(self, written: set[tuple[int, int]]) -> None:
        """Remember what is committed, and of it what is recent."""
        if len(self._written) > REMEMBERED:
            self._written.clear()
        self._written |= written

    async def _indexed(self, connection: AsyncConnection, block: int) -> IndexedBlock:
        bounds = block << BLOCK_BITS, (block + 1) << BLOCK_BITS
        found = await connection.execute(_BLOCK, (*bounds, CONTENT_BYTES), binary=True)
        rows = await found.fetchall()
        if len(rows) != BLOCK_EVENTS:
            raise DatabaseUnavailable(f"block {block} of the record is not whole: restore the database")
        # One after the other, as they are needed: to unpack all at once would keep the record waiting.
        return await indexed(block, ((_marked(row[:15]), self._body(*row[15:])) for row in rows))

    def _body(self, shelf: int | None, size_bytes: int, form: int, content: bytes) -> Body | None:
        if shelf is None:
            return None
        try:
            beginning = self._bodies.beginning(Shelved(size_bytes, form, content), SEARCHED_BYTES)
        except BodyUnreadable:
            return None
        return None if beginning is None else Body(shelf, beginning)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        async with self._turn:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = await connect_writer(self._dsn, application_name="countersign-search-index")
                yield self._connection
            except psycopg.Error as error:
                await self._let_go()
                raise DatabaseUnavailable(f"the search's index was not written ({safe_reason(error)})") from None
            except BaseException:
                # Cancelled in the middle: the lock must not linger.
                await self._let_go()
                raise

    async def _let_go(self) -> None:
        # What is connected to next may be an older copy.
        self._written.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _marked(row: tuple[Any, ...]) -> Marked:
    *columns, groups, principal_kind = row
    return Marked(*columns, tuple(groups), principal_kind)  # type: ignore[call-arg]  # as _BLOCK selects them


async def _write(connection: AsyncConnection, one: IndexedBlock, of_sessions: set[tuple[int, int]]) -> None:
    facets, sessions = zip(*sorted(of_sessions), strict=True) if of_sessions else ((), ())
    async with connection.pipeline():
        await connection.execute(_MARKS, (one.block, one.min_time_us, one.max_time_us, one.bits))
        for shelf, bits in sorted(one.words.items()):
            await connection.execute(_WORDS, (one.block, shelf, bits))
        if facets:
            await connection.execute(_SESSIONS, (list(facets), list(sessions)))
