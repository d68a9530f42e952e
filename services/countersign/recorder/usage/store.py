"""Usage in Postgres. The counting itself is a function of the database: see ``migrations/0004_usage.sql``."""

from __future__ import annotations

import asyncio
from types import MappingProxyType

import psycopg
from psycopg import AsyncConnection

from countersign.model.methods import CONNECTION_METHODS
from countersign.model.rule import Window
from countersign.recorder.usage.ports import Changes, UsageBucket
from countersign.runtime.postgres import DatabaseUnavailable, Readers, connect_writer, safe_reason

# With the buckets of one more change, three for each of the events that one count takes, this stays below 8,000.
PAGE_BUCKETS = 1_000
MAX_COUNTED_EVENTS = 2_000

_TIERS = MappingProxyType({1: Window.MINUTE, 2: Window.HOUR, 3: Window.DAY})
_COUNT = b"SELECT countersign.count_usage(%s, %s)"
_PRUNE = b"SELECT countersign.prune_usage(%s)"
_STATE = b"""
    SELECT c.change, c.now_us, CASE WHEN c.next_index >= h.next_index THEN c.now_us ELSE c.counted_until_us END
    FROM (
        SELECT *, (extract(epoch FROM statement_timestamp()) * 1000000)::bigint AS now_us
        FROM countersign.usage_counter
    ) AS c, countersign.head AS h"""
# A change is told as a whole, so that the position behind it says all.
_CHANGED = b"""
    SELECT change, key, tier, bucket, calls, row_count, size_bytes FROM countersign.usage_buckets
    WHERE change > %s ORDER BY change FETCH FIRST %s ROWS WITH TIES"""


class PostgresUsageStore:
    """Counts over one connection of its own, reads over others; see ``UsageStore``."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._readers = Readers(dsn, application_name="countersign-usage")
        self._connection: AsyncConnection | None = None
        self._turn = asyncio.Lock()
        self._connection_methods = [_like(glob) for glob in CONNECTION_METHODS]

    async def count(self, at_most: int) -> int | None:
        """See ``UsageStore.count``."""
        return await self._call(_COUNT, min(at_most, MAX_COUNTED_EVENTS), self._connection_methods)

    async def prune(self, at_most: int) -> int:
        """See ``UsageStore.prune``."""
        return await self._call(_PRUNE, at_most) or 0

    async def changes(self, position: int) -> Changes:
        """See ``UsageStore.changes``."""
        async with self._readers.connection() as connection:
            state = await (await connection.execute(_STATE)).fetchone()
            if state is None:
                raise DatabaseUnavailable("the usage counter is missing: restore the database")
            newest, now_us, counted_until_us = state
            if newest <= position:
                return Changes((), newest, newest, now_us, counted_until_us)
            found = await (await connection.execute(_CHANGED, (position, PAGE_BUCKETS), binary=True)).fetchall()
        buckets = tuple(UsageBucket(key, _TIERS[tier], *counted) for _, key, tier, *counted in found)
        behind = found[-1][0] if len(found) >= PAGE_BUCKETS else newest
        return Changes(buckets, behind, max(newest, behind), now_us, counted_until_us)

    async def close(self) -> None:
        """See ``UsageStore.close``."""
        await self._readers.close()
        async with self._turn:
            await self._let_go()

    async def _call(self, query: bytes, *values: object) -> int | None:
        """One statement, which is its own transaction."""
        async with self._turn:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = await connect_writer(self._dsn, application_name="countersign-usage-counter")
                found = await (await self._connection.execute(query, values)).fetchone()
            except psycopg.Error as error:
                await self._let_go()
                raise DatabaseUnavailable(f"usage could not be counted ({safe_reason(error)})") from None
            except BaseException:
                # Cancelled in the middle: the counter's lock must not linger.
                await self._let_go()
                raise
        return None if found is None else found[0]

    async def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _like(glob: str) -> str:
    """Return a glob as a pattern of LIKE: ``*`` is any run of characters, ``?`` any one."""
    escaped = glob.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")
