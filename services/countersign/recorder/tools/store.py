"""The pins in Postgres. All SQL about tools is here and in ``migrations/`` (0003, 0005)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection

from countersign.pins import Flag
from countersign.recorder.tools.plan import Acceptance, ListedTarget, Offer, Tool, ToolState
from countersign.recorder.tools.ports import PAGE_BYTES, News, Standing
from countersign.runtime.postgres import DatabaseUnavailable, Readers, connect_writer, safe_reason

# With the target's name, an advisory lock's key: any constant that nothing else in the database uses.
_LOCK_CLASS = 0x746F6F6C
_LOCK = b"SELECT pg_advisory_xact_lock(%s, hashtext(%s))"
_TARGET = b"SELECT target, first_seen_us, open_until_us, tool_count FROM countersign.tool_targets WHERE target = %s"
_COLUMNS = (
    b"target, name, seen_digest, seen_definition, seen_flags, accepted_digest, accepted_definition, accepted_us,"
    b" accepted_issuer, accepted_subject, first_seen_us, changed_us"
)
_TOOLS = b"SELECT " + _COLUMNS + b" FROM countersign.tools WHERE target = %s AND name = ANY(%s::text[])"
_NEXT_REVISION = b"UPDATE countersign.tool_head SET revision = revision + 1 RETURNING revision"
_REVISION = b"SELECT revision FROM countersign.tool_head"
_SAVE_TARGET = b"""
    INSERT INTO countersign.tool_targets (target, first_seen_us, open_until_us, tool_count, revision)
    VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (target) DO UPDATE SET open_until_us = excluded.open_until_us, tool_count = excluded.tool_count,
        revision = excluded.revision"""
_SAVE_TOOL = (
    b"INSERT INTO countersign.tools (" + _COLUMNS + b", state, revision) VALUES ("
    b"%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
    b"""
    ON CONFLICT (target, name) DO UPDATE SET
        seen_digest = excluded.seen_digest, seen_definition = excluded.seen_definition,
        seen_flags = excluded.seen_flags, accepted_digest = excluded.accepted_digest,
        accepted_definition = excluded.accepted_definition, accepted_us = excluded.accepted_us,
        accepted_issuer = excluded.accepted_issuer, accepted_subject = excluded.accepted_subject,
        changed_us = excluded.changed_us, state = excluded.state, revision = excluded.revision"""
)
_NEW_TARGETS = b"""
    SELECT target, first_seen_us, open_until_us, tool_count FROM countersign.tool_targets WHERE revision > %s"""
_NEW_STANDINGS = b"""
    SELECT target, name, state, seen_digest, coalesce(accepted_digest, ''), seen_flags
    FROM countersign.tools WHERE revision > %s"""
_FORGET = b"""
    WITH gone AS (DELETE FROM countersign.tools WHERE target = %s AND name = ANY(%s::text[]) RETURNING target, name)
    INSERT INTO countersign.forgotten_tools (target, name, revision) SELECT target, name, %s FROM gone
    ON CONFLICT (target, name) DO UPDATE SET revision = excluded.revision"""
_NEW_FORGOTTEN = b"SELECT target, name FROM countersign.forgotten_tools WHERE revision > %s"
# The running sum bounds a page by bytes.
_PAGE = (
    b"SELECT " + _COLUMNS + b" FROM (SELECT *, sum(octet_length(seen_definition)"
    b" + coalesce(octet_length(accepted_definition), 0)) OVER (ORDER BY target, name) AS running,"
    b" row_number() OVER (ORDER BY target, name) AS number FROM ("
    b"SELECT * FROM countersign.tools WHERE (target, name) > (%s, %s)"
    b" AND (%s = '' OR target = %s) AND (state <> 1 OR NOT %s) ORDER BY target, name LIMIT %s"
    b") AS page) AS summed WHERE running <= %s OR number = 1 ORDER BY target, name"
)


class PostgresPinStore:
    """See ``PinStore``. One connection writes, one change at a time; the tables are made by the record's store."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._readers = Readers(dsn, application_name="countersign-tools")
        self._writer: AsyncConnection | None = None
        self._turn = asyncio.Lock()

    async def close(self) -> None:
        """See ``PinStore.close``."""
        await self._drop_writer()
        await self._readers.close()

    @asynccontextmanager
    async def held(self, target: str) -> AsyncIterator[_Held]:
        """See ``PinStore.held``."""
        async with self._turn:
            finished = False
            try:
                connection = await self._connected()
                # The lock comes first and alone: under READ COMMITTED each later statement sees what was committed
                # before it was had.
                await connection.execute(b"BEGIN ISOLATION LEVEL READ COMMITTED")
                await connection.execute(_LOCK, (_LOCK_CLASS, target))
                row = await (await connection.execute(_TARGET, (target,))).fetchone()
                held = _Held(connection, target, None if row is None else ListedTarget(*row))
                yield held
                done = await connection.execute(b"COMMIT" if held.saved else b"ROLLBACK")
                # COMMIT of a failed transaction is answered with ROLLBACK, and without an error.
                if held.saved and done.statusmessage != "COMMIT":
                    raise DatabaseUnavailable("the database rolled back instead of committing")
                finished = True
            except psycopg.Error as error:
                raise DatabaseUnavailable(f"the database did not keep the tools ({safe_reason(error)})") from None
            finally:
                if not finished:
                    # Whatever went wrong, cancellation among it: the transaction must not linger with its locks.
                    await self._drop_writer()

    async def news(self, after: int) -> News | None:
        """See ``PinStore.news``."""
        async with self._readers.connection() as connection:
            newest = await (await connection.execute(_REVISION)).fetchone()
            if newest is None or newest[0] <= after:
                return None
            # One moment for all of them: a target whose tools are missing would look as if it offered none.
            await connection.execute(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            newest = await (await connection.execute(_REVISION)).fetchone()
            targets = await (await connection.execute(_NEW_TARGETS, (after,))).fetchall()
            tools = await (await connection.execute(_NEW_STANDINGS, (after,), binary=True)).fetchall()
            # Who was told nothing yet has nothing to forget.
            gone = await (await connection.execute(_NEW_FORGOTTEN, (after,))).fetchall() if after > 0 else []
            await connection.execute(b"COMMIT")
        if newest is None:
            raise DatabaseUnavailable("the head row of the tools is missing: restore the database")
        forgotten = [(target, name) for target, name in gone]
        return News(newest[0], [ListedTarget(*row) for row in targets], [_standing(row) for row in tools], forgotten)

    async def tool(self, target: str, name: str) -> Tool | None:
        """See ``PinStore.tool``."""
        async with self._readers.connection() as connection:
            row = await (await connection.execute(_TOOLS, (target, [name]))).fetchone()
        return None if row is None else _tool(row)

    async def page(self, target: str, *, pending: bool, after: tuple[str, str], limit: int) -> Sequence[Tool]:
        """See ``PinStore.page``."""
        values = (*after, target, target, pending, limit, PAGE_BYTES)
        async with self._readers.connection() as connection:
            return [_tool(row) for row in await (await connection.execute(_PAGE, values)).fetchall()]

    async def _connected(self) -> AsyncConnection:
        if self._writer is None or self._writer.closed:
            self._writer = await connect_writer(self._dsn, application_name="countersign-tools-writer")
        return self._writer

    async def _drop_writer(self) -> None:
        connection, self._writer = self._writer, None
        if connection is not None:
            await connection.close()


class _Held:
    """See ``HeldTarget``."""

    def __init__(self, connection: AsyncConnection, target: str, listed: ListedTarget | None) -> None:
        self._connection = connection
        self._target = target
        self.listed = listed
        self.saved = False

    async def tools(self, names: Collection[str]) -> dict[str, Tool]:
        """See ``HeldTarget.tools``."""
        found = await self._connection.execute(_TOOLS, (self._target, list(names)))
        tools = [_tool(row) for row in await found.fetchall()]
        return {tool.seen.name: tool for tool in tools}

    async def save(self, listed: ListedTarget, tools: Sequence[Tool], forgotten: Sequence[str] = ()) -> int:
        """See ``HeldTarget.save``."""
        row = await (await self._connection.execute(_NEXT_REVISION)).fetchone()
        if row is None:
            raise DatabaseUnavailable("the head row of the tools is missing: restore the database")
        revision: int = row[0]
        async with self._connection.cursor() as cursor:
            times = (listed.first_seen_us, listed.open_until_us)
            await cursor.execute(_SAVE_TARGET, (listed.target, *times, listed.tool_count, revision))
            await cursor.executemany(_SAVE_TOOL, [(*_values(tool), int(tool.state), revision) for tool in tools])
            if forgotten:
                await cursor.execute(_FORGET, (listed.target, list(forgotten), revision))
        self.saved = True
        return revision


def _values(tool: Tool) -> tuple[object, ...]:
    seen, accepted = tool.seen, tool.accepted or _NOT_ACCEPTED
    flags = json.dumps([[flag.hidden, flag.place, flag.what] for flag in seen.flags])
    return (
        *(tool.target, seen.name, seen.digest, seen.definition, flags),
        *((accepted.digest, accepted.definition) if tool.accepted else (None, None)),
        *(accepted.time_us, accepted.issuer.replace("\0", "\ufffd"), accepted.subject.replace("\0", "\ufffd")),
        *(tool.first_seen_us, tool.changed_us),
    )


_NOT_ACCEPTED = Acceptance(b"", "", 0)


def _tool(row: tuple[Any, ...]) -> Tool:
    target, name, digest, definition, flags, accepted_digest, accepted_definition, *rest = row
    accepted_us, issuer, subject, first_seen_us, changed_us = rest
    offer = Offer(name, bytes(digest), definition, _flags(flags))
    accepted = None
    if accepted_digest is not None:
        accepted = Acceptance(bytes(accepted_digest), accepted_definition, accepted_us, issuer, subject)
    return Tool(target, offer, accepted, first_seen_us, changed_us)


def _standing(row: tuple[Any, ...]) -> Standing:
    target, name, state, seen, accepted, flags = row
    hidden = any(flag.hidden for flag in _flags(flags))
    return Standing(target, name, ToolState(state), bytes(seen), bytes(accepted), hidden)


def _flags(text: str) -> tuple[Flag, ...]:
    return tuple(Flag(*fields) for fields in json.loads(text)) if text != "[]" else ()
