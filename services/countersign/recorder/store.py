"""Appending to the record in Postgres; ``reading`` reads it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from importlib.resources import files
from itertools import islice
from uuid import UUID

import psycopg
from psycopg import AsyncConnection

from countersign.model.continuation import continuations
from countersign.recorder.bodies import BodyKeeper, BodyUnreadable, Shelved
from countersign.recorder.entry import Entry, Settled
from countersign.recorder.plan import Known, Plan, SessionChange, SessionState, plan
from countersign.recorder.ports import Unstorable
from countersign.recorder.rows import (
    BODY_COLUMNS,
    EVENT_COLUMNS,
    copied_bodies,
    copied_events,
    event_values,
    ids,
    numbers,
)
from countersign.recorder.stored_events import with_bodies
from countersign.runtime.migrations import load_migrations, migrate
from countersign.runtime.postgres import DatabaseUnavailable, connect_writer, safe_reason

SCHEMA = "countersign"
# Below this, single INSERTs in the same round trip as the rest beat COPY, which needs two of its own.
COPY_FROM_ROWS = 8
# How much of a chain of sealed sessions is looked at in one statement.
_CHAIN_STEP = 100
_LARGE_BYTES = 1024 * 1024

_LOCK_HEAD = b"SELECT next_index FROM countersign.head FOR UPDATE"
_KNOWN = (
    with_bodies(b"SELECT event_id, record, shelf, index FROM countersign.events WHERE event_id = ANY(%s::uuid[])")
    + b"""
    SELECT e.event_id, e.record, e.shelf IS NOT NULL, b.size, b.form, b.content FROM e LEFT JOIN b USING (index)"""
)
_ANY_KNOWN = b"SELECT event_id FROM countersign.events WHERE event_id = ANY(%s::uuid[])"
_SESSIONS = b"""
    SELECT session_id, event_count, issuer, subject, target, seal_index IS NOT NULL FROM countersign.sessions
    WHERE session_id = ANY(%s::uuid[])"""
_SEALED = b"""
    SELECT session_id FROM countersign.sessions WHERE seal_index IS NOT NULL AND session_id = ANY(%s::uuid[])"""
_SHELF_FOR = b"SELECT countersign.shelf_for(%s, %s)"
_COPY_EVENTS = b"COPY countersign.events " + EVENT_COLUMNS + b" FROM STDIN (FORMAT BINARY)"
_COPY_BODIES = b"COPY countersign.bodies " + BODY_COLUMNS + b" FROM STDIN (FORMAT BINARY)"
_INSERT_EVENT = (
    b"INSERT INTO countersign.events (index, sequence, time_us, event_id, session_id, call_id, shelf, kind, outcome,"
    b" target, method, name, record, recorded_at) VALUES (" + b"%s, " * 13 + b"%s)"
)
_INSERT_BODY = b"INSERT INTO countersign.bodies " + BODY_COLUMNS + b" VALUES (%s, %s, %s, %s, %s)"
_NEW_SESSION = b"""
    INSERT INTO countersign.sessions (issuer, subject, groups, kind, token_id, known_as, target, first_index,
        first_time_us, last_time_us, event_count, allowed_count, denied_count, refused_count, finding_count,
        ended, continues, touched_at, session_id)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_MORE_OF_SESSIONS = b"""
    UPDATE countersign.sessions AS s SET
        first_time_us = least(s.first_time_us, more.first_us), last_time_us = greatest(s.last_time_us, more.last_us),
        event_count = s.event_count + more.events, allowed_count = s.allowed_count + more.allowed,
        denied_count = s.denied_count + more.denied, refused_count = s.refused_count + more.refused,
        finding_count = s.finding_count + more.findings, touched_at = %s
    FROM unnest(%s::uuid[], %s::int8[], %s::int8[], %s::int8[], %s::int8[], %s::int8[], %s::int8[], %s::int8[])
        AS more (session_id, first_us, last_us, events, allowed, denied, refused, findings)
    WHERE s.session_id = more.session_id"""
_NAME_SESSION = b"""
    UPDATE countersign.sessions SET issuer = %s, subject = %s, groups = %s, kind = %s, token_id = %s, known_as = %s
    WHERE session_id = %s"""
# What goes on from a session is its principal's, also when it begins with an answer: usage, lists and holds ask whose.
_INHERIT_WHO = b"""
    UPDATE countersign.sessions AS s
    SET issuer = b.issuer, subject = b.subject, groups = b.groups, kind = b.kind, token_id = b.token_id,
        known_as = b.known_as
    FROM countersign.sessions AS b WHERE s.session_id = %s AND b.session_id = s.continues"""
_END_SESSION = b"UPDATE countersign.sessions SET ended = true WHERE session_id = %s"
_SEAL_SESSION = b"""
    UPDATE countersign.sessions SET seal_index = %s, seal_root = %s, seal_unanswered = %s, seal_reason = %s,
        sealed_at = %s WHERE session_id = %s"""
_MOVE_HEAD = b"UPDATE countersign.head SET next_index = %s"


class PostgresAppendStore:
    """The writer: one connection, one transaction a group, serialised with other recorders by the head row's lock.

    ``is_configured`` says whether gateway.yaml names a target: the bodies of others lie on one shelf. ``clock`` gives
    seconds since the epoch.
    """

    def __init__(
        self,
        dsn: str,
        *,
        keeper: BodyKeeper | None = None,
        is_configured: Callable[[str], bool] = lambda _: True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._dsn = dsn
        self._keeper = keeper or BodyKeeper()
        self._is_configured = is_configured
        self._clock = clock
        self._migrations = load_migrations(files("countersign.recorder") / "migrations")
        self._connection: AsyncConnection | None = None
        self._shelves: dict[tuple[str, date], int] = {}
        self._last: tuple[int, UUID] | None = None

    @property
    def last(self) -> tuple[int, UUID] | None:
        """The index and the id of the last event that this recorder made durable since it started."""
        return self._last

    async def open(self) -> None:
        """See ``AppendStore.open``."""
        await self._connected()

    async def close(self) -> None:
        """See ``AppendStore.close``."""
        self._shelves.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def ping(self) -> None:
        """See ``AppendStore.ping``."""
        connection = await self._connected()
        try:
            await connection.execute(b"SELECT 1")
        except psycopg.Error as error:
            await self.close()
            raise DatabaseUnavailable(f"the database did not answer ({safe_reason(error)})") from None

    async def append(self, entries: Sequence[Entry]) -> list[Settled]:
        """See ``AppendStore.append``."""
        connection = await self._connected()
        try:
            return await self._commit(connection, entries)
        except psycopg.errors.CheckViolation as error:
            await self.close()
            if error.diag.table_name == "bodies":
                # No such partition: the shelf was erased since we asked for it. The next time we ask again.
                raise DatabaseUnavailable("the shelf of a body is gone") from None
            raise Unstorable(f"the database refuses the event ({safe_reason(error)})") from None
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            await self.close()
            raise Unstorable(f"the database refuses the event ({safe_reason(error)})") from None
        except psycopg.Error as error:
            await self.close()
            raise DatabaseUnavailable(f"the database did not commit ({safe_reason(error)})") from None
        except DatabaseUnavailable:
            await self.close()
            raise
        except Exception as error:
            # Whatever an event did to us, it must not stop the others: the committer finds it and refuses it alone.
            await self.close()
            raise Unstorable(f"the event cannot be stored ({type(error).__name__})") from None
        except BaseException:
            # Cancelled in the middle: the transaction must not linger with the head's lock.
            await self.close()
            raise

    async def _connected(self) -> AsyncConnection:
        if self._connection is None or self._connection.closed:
            connection = await connect_writer(self._dsn, application_name="countersign-recorder")
            try:
                await migrate(connection, SCHEMA, self._migrations)
            except BaseException:
                await connection.close()
                raise
            self._connection = connection
        return self._connection

    async def _commit(self, connection: AsyncConnection, entries: Sequence[Entry]) -> list[Settled]:
        """One transaction: lock the head, look what is known, write, commit: two round trips, six with COPY.

        The look must be a statement after the lock: under READ COMMITTED each statement sees what was committed before
        it began, and one that itself waits for the lock would see the past. What takes time and needs no place in the
        record is done before the lock is had.
        """
        now = datetime.fromtimestamp(self._clock(), UTC)
        shelved = await self._shelve(connection, [one for one in entries if one.body], now)
        event_ids = ids([entry.event_key for entry in entries])
        sessions = {key for one in entries for key in (one.session_key, one.continues_key) if key}
        async with connection.pipeline():
            await connection.execute(b"BEGIN ISOLATION LEVEL READ COMMITTED")
            head = await connection.execute(_LOCK_HEAD)
            found = await connection.execute(_ANY_KNOWN, (event_ids,), binary=True)
            states = await connection.execute(_SESSIONS, (ids(list(sessions)),), binary=True)
        row = await head.fetchone()
        if row is None:
            raise DatabaseUnavailable("the head row is missing: restore the database")
        known = [event_id.bytes for (event_id,) in await found.fetchall()]
        there = {one[0].bytes: SessionState(*one[1:]) for one in await states.fetchall()}
        todo = plan(
            entries,
            next_index=row[0],
            known=await self._known(connection, known) if known else {},
            sessions=there,
            open_ends={key: await _open_end(connection, key) for key, one in there.items() if one.sealed},
        )
        if not todo.rows:
            await connection.execute(b"ROLLBACK")
            return todo.verdicts
        await _write(connection, todo, shelved, now)
        self._last = todo.rows[-1].index, todo.rows[-1].entry.event_id
        return todo.verdicts

    async def _shelve(
        self, connection: AsyncConnection, entries: Sequence[Entry], now: datetime
    ) -> dict[int, tuple[int, Shelved]]:
        """Shut bodies away; return the shelf of each and what is to be put there, by the ``id`` of its entry."""
        month = date(now.year, now.month, 1)
        shelves = {target: await self._shelf(connection, target, month) for target in {one.target for one in entries}}
        shelved: dict[int, tuple[int, Shelved]] = {}
        for one in entries:
            if len(one.body) < _LARGE_BYTES:
                kept = self._keeper.shut(one.event_id, one.salt, one.body)
            else:
                # Long enough to keep health checks and other senders waiting.
                kept = await asyncio.to_thread(self._keeper.shut, one.event_id, one.salt, one.body)
            shelved[id(one)] = shelves[one.target], kept
        return shelved

    async def _shelf(self, connection: AsyncConnection, target: str, month: date) -> int:
        place = (target if self._is_configured(target) else ""), month
        shelf = self._shelves.get(place)
        if shelf is None:
            row = await (await connection.execute(_SHELF_FOR, place)).fetchone()
            if row is None:
                raise DatabaseUnavailable("the database did not say which shelf it made")
            shelf = self._shelves[place] = row[0]
        return shelf

    async def _known(self, connection: AsyncConnection, keys: Sequence[bytes]) -> dict[bytes, Known]:
        """What is recorded of events that are known: that takes the time only when somebody sends them again."""
        found = await connection.execute(_KNOWN, (ids(keys),), binary=True)
        known: dict[bytes, Known] = {}
        for event_id, record, has_body, *kept in await found.fetchall():
            body: bytes | None = None if has_body else b""
            if kept[2] is not None:
                try:
                    body = self._keeper.open(event_id, Shelved(*kept)).body
                except BodyUnreadable:
                    body = None
            known[event_id.bytes] = Known(record, body)
        return known


async def _open_end(connection: AsyncConnection, key: bytes) -> UUID:
    """Return the session in which a sealed one goes on: the first of its chain that is not sealed itself."""
    chain = continuations(UUID(bytes=key))
    last = UUID(bytes=key)
    while step := list(islice(chain, _CHAIN_STEP)):
        last = step[-1]
        found = await connection.execute(_SEALED, (ids([one.bytes for one in step]),), binary=True)
        sealed = {session_id for (session_id,) in await found.fetchall()}
        for one in step:
            if one not in sealed:
                return one
    return last


async def _write(
    connection: AsyncConnection, todo: Plan, shelved: dict[int, tuple[int, Shelved]], now: datetime
) -> None:
    placed = [shelved.get(id(row.entry)) for row in todo.rows]
    shelves = [None if one is None else one[0] for one in placed]
    bodies = [(row.index, *one) for row, one in zip(todo.rows, placed, strict=True) if one is not None]
    few = len(todo.rows) < COPY_FROM_ROWS
    if not few:
        now_us = int(now.timestamp() * 1_000_000)
        await _copy(connection, _COPY_EVENTS, copied_events(todo.rows, shelves, now_us))
        if bodies:
            await _copy(connection, _COPY_BODIES, copied_bodies(bodies))
    async with connection.pipeline():
        if few:
            for row, shelf in zip(todo.rows, shelves, strict=True):
                await connection.execute(_INSERT_EVENT, (*event_values(row, shelf), now))
            for index, shelf, kept in bodies:
                await connection.execute(_INSERT_BODY, (index, shelf, kept.size_bytes, kept.form, kept.content))
        await _write_sessions(connection, todo.sessions, now)
        await connection.execute(_MOVE_HEAD, (todo.rows[-1].index + 1,))
        done = await connection.execute(b"COMMIT")
    # COMMIT of a failed transaction is answered with ROLLBACK, and without an error.
    if done.statusmessage != "COMMIT":
        raise DatabaseUnavailable("the database rolled back instead of committing")


async def _copy(connection: AsyncConnection, statement: bytes, rows: bytes) -> None:
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        await copy.write(rows)


async def _write_sessions(connection: AsyncConnection, changes: Sequence[SessionChange], now: datetime) -> None:
    for change in changes:
        if change.is_new:
            await connection.execute(_NEW_SESSION, _new_session(change, now))
            if change.continues_key and not change.who.subject:
                await connection.execute(_INHERIT_WHO, (change.session_id,))
    if more := [change for change in changes if not change.is_new]:
        await connection.execute(
            _MORE_OF_SESSIONS,
            (
                now,
                ids([one.session_key for one in more]),
                numbers([one.first_time_us for one in more]),
                numbers([one.last_time_us for one in more]),
                *[numbers(column) for column in zip(*[_counts(one) for one in more], strict=True)],
            ),
        )
    for change in more:
        if change.named:
            await connection.execute(_NAME_SESSION, (*_who(change), change.session_id))
        if change.ended:
            await connection.execute(_END_SESSION, (change.session_id,))
    for change in changes:
        if change.seal is not None:
            index, seal = change.seal
            values = (index, seal.seal_root, seal.unanswered_count, seal.method, now, change.session_id)
            await connection.execute(_SEAL_SESSION, values)


def _new_session(change: SessionChange, now: datetime) -> tuple[object, ...]:
    continues = UUID(bytes=change.continues_key) if change.continues_key else None
    return (
        *(*_who(change), change.target, change.first_index, change.first_time_us, change.last_time_us),
        *(*_counts(change), change.ended, continues, now, change.session_id),
    )


def _who(change: SessionChange) -> tuple[object, ...]:
    who = change.who
    return who.issuer, who.subject, list(who.groups), who.kind, who.token_id, list(who.known_as)


def _counts(change: SessionChange) -> tuple[int, int, int, int, int]:
    return (
        change.event_count,
        change.allowed_count,
        change.denied_count,
        change.refused_count,
        change.finding_count,
    )
