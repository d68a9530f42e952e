"""The record in Postgres. All SQL of events and sessions is here, in ``stored_calls`` and in ``migrations/``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection

from countersign.recorder import stored_calls
from countersign.recorder.entry import Entry, Verdict, Who, searchable
from countersign.recorder.plan import Known, Plan, Row, SessionChange, plan
from countersign.recorder.ports import CallFilter, FactPage, SessionFilter, SessionRow, StoredEvent, Unstorable
from countersign.runtime.migrations import load_migrations, migrate
from countersign.runtime.postgres import DatabaseUnavailable, Readers, connect_writer, safe_reason

SCHEMA = "countersign"
# Up to this a group goes as one statement; a larger one by COPY, which needs more round trips and less time a row.
ONE_STATEMENT_ROWS = 64
ONE_STATEMENT_BYTES = 512 * 1024
# Below this, single INSERTs in the same round trip as the rest beat COPY, which needs two of its own.
COPY_FROM_ROWS = 8
# Made once: json.dumps makes one a call when it is given options.
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
PAGE_EVENTS = 200
PAGE_BYTES = 4 * 1024 * 1024

_LOCK_HEAD = b"SELECT next_index FROM countersign.head FOR UPDATE"
_KNOWN = b"""
    SELECT event_id, record, sha256(coalesce(body, '')) FROM countersign.events WHERE event_id = ANY(%s::uuid[])"""
_SESSIONS = b"""
    SELECT session_id, event_count, subject FROM countersign.sessions WHERE session_id = ANY(%s::uuid[])"""
_EVENT_COLUMNS = (
    b"(index, event_id, session_id, sequence, call_id, kind, time_us, recorded_at, outcome, status,"
    b" target, method, name, rules, record, body_type, body)"
)
_EVENT_TYPES = (
    *("int8", "uuid", "uuid", "int8", "uuid", "int2", "int8", "timestamptz", "int2", "int4"),
    *("text", "text", "text", "text[]", "text", "text", "bytea"),
)
_COPY = b"COPY countersign.events " + _EVENT_COLUMNS + b" FROM STDIN (FORMAT BINARY)"
_INSERT = b"INSERT INTO countersign.events " + _EVENT_COLUMNS + b" VALUES (" + b", ".join([b"%s"] * 17) + b")"
_NEW_SESSION = b"""
    INSERT INTO countersign.sessions (issuer, subject, groups, kind, token_id, target, first_index,
        first_time_us, last_time_us, event_count, allowed_count, denied_count, refused_count, finding_count, session_id)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_MORE_OF_SESSION = b"""
    UPDATE countersign.sessions SET
        first_time_us = least(first_time_us, %s), last_time_us = greatest(last_time_us, %s),
        event_count = event_count + %s, allowed_count = allowed_count + %s, denied_count = denied_count + %s,
        refused_count = refused_count + %s, finding_count = finding_count + %s
    WHERE session_id = %s"""
_NAME_SESSION = b"""
    UPDATE countersign.sessions SET issuer = %s, subject = %s, groups = %s, kind = %s, token_id = %s
    WHERE session_id = %s"""
_APPEND = b"SELECT countersign.append(%s::json)"
_MOVE_HEAD = b"UPDATE countersign.head SET next_index = %s"


class PostgresAppendStore:
    """The writer: one connection, one transaction a group, serialised with other recorders by the head row's lock."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._migrations = load_migrations(files("countersign.recorder") / "migrations")
        self._connection: AsyncConnection | None = None

    async def open(self) -> None:
        """See ``AppendStore.open``."""
        await self._connected()

    async def close(self) -> None:
        """See ``AppendStore.close``."""
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

    async def append(self, entries: Sequence[Entry]) -> list[Verdict]:
        """See ``AppendStore.append``."""
        connection = await self._connected()
        try:
            if _fits_one_statement(entries):
                verdicts = await _commit_at_once(connection, entries)
                if verdicts is not None:
                    return verdicts
            return await _commit(connection, entries)
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


def _fits_one_statement(entries: Sequence[Entry]) -> bool:
    return len(entries) <= ONE_STATEMENT_ROWS and sum([entry.size_bytes for entry in entries]) <= ONE_STATEMENT_BYTES


async def _commit_at_once(connection: AsyncConnection, entries: Sequence[Entry]) -> list[Verdict] | None:
    """One statement, which is its own transaction: one round trip. ``None`` when an event was known already.

    The answer is complete only when the server is ready for the next statement, and that is after the commit.
    """
    todo = plan(entries, next_index=0, known={}, lengths={})
    now = datetime.now(UTC).isoformat()
    document = {
        "events": [_event_document(row, now) for row in todo.rows],
        "sessions": [_session_document(change) for change in todo.sessions],
    }
    done = await connection.execute(_APPEND, (_ENCODER.encode(document),))
    answer = await done.fetchone()
    if answer is None:
        raise DatabaseUnavailable("the database did not say what it did")
    return todo.verdicts if answer[0] else None


def _event_document(row: Row, now: str) -> dict[str, object]:
    one = row.entry
    return {
        "index": row.index,
        "event_id": str(one.event_id),
        "session_id": str(one.session_id),
        "sequence": row.sequence,
        "call_id": str(one.call_id),
        "kind": one.kind,
        "time_us": one.time_us,
        "recorded_at": now,
        "outcome": one.outcome,
        "status": one.status,
        "target": one.target,
        "method": one.method,
        "name": one.name,
        "rules": one.rules,
        "record": one.record,
        "body_type": one.body_type,
        "body": "\\x" + one.body.hex(),
    }


def _session_document(change: SessionChange) -> dict[str, object]:
    who = change.who
    return {
        "session_id": str(change.session_id),
        "first_index": change.first_index,
        "issuer": who.issuer,
        "subject": who.subject,
        "groups": who.groups,
        "kind": who.kind,
        "token_id": who.token_id,
        "target": change.target,
        "first_time_us": change.first_time_us,
        "last_time_us": change.last_time_us,
        "event_count": change.event_count,
        "allowed_count": change.allowed_count,
        "denied_count": change.denied_count,
        "refused_count": change.refused_count,
        "finding_count": change.finding_count,
    }


async def _commit(connection: AsyncConnection, entries: Sequence[Entry]) -> list[Verdict]:
    """One transaction: lock the head, look what is known, write, commit: two round trips, four with COPY.

    The look must be a statement after the lock: under READ COMMITTED each statement sees what was committed before it
    began, and one that itself waits for the lock would see the past.
    """
    event_ids = [entry.event_id for entry in entries]
    session_ids = list({entry.session_id for entry in entries})
    async with connection.pipeline():
        await connection.execute(b"BEGIN ISOLATION LEVEL READ COMMITTED")
        head = await connection.execute(_LOCK_HEAD)
        known = await connection.execute(_KNOWN, (event_ids,), binary=True)
        sessions = await connection.execute(_SESSIONS, (session_ids,), binary=True)
    found = await head.fetchone()
    if found is None:
        raise DatabaseUnavailable("the head row is missing: restore the database")
    lengths: dict[UUID, int] = {}
    nameless: set[UUID] = set()
    for session_id, length, subject in await sessions.fetchall():
        lengths[session_id] = length
        if not subject:
            nameless.add(session_id)
    todo = plan(
        entries,
        next_index=found[0],
        known={event_id: Known(record, digest) for event_id, record, digest in await known.fetchall()},
        lengths=lengths,
    )
    if not todo.rows:
        await connection.execute(b"ROLLBACK")
        return todo.verdicts
    now = datetime.now(UTC)
    if len(todo.rows) >= COPY_FROM_ROWS:
        await _copy(connection, todo.rows, now)
    async with connection.pipeline():
        if len(todo.rows) < COPY_FROM_ROWS:
            for row in todo.rows:
                await connection.execute(_INSERT, _values(row, now))
        await _write_sessions(connection, todo, nameless)
        await connection.execute(_MOVE_HEAD, (found[0] + len(todo.rows),))
        done = await connection.execute(b"COMMIT")
    # COMMIT of a failed transaction is answered with ROLLBACK, and without an error.
    if done.statusmessage != "COMMIT":
        raise DatabaseUnavailable("the database rolled back instead of committing")
    return todo.verdicts


async def _copy(connection: AsyncConnection, rows: Sequence[Row], now: datetime) -> None:
    async with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_EVENT_TYPES)
        for row in rows:
            await copy.write_row(_values(row, now))


def _values(row: Row, now: datetime) -> tuple[object, ...]:
    one = row.entry
    return (
        *(row.index, one.event_id, one.session_id, row.sequence, one.call_id, one.kind, one.time_us, now),
        *(one.outcome, one.status, one.target, one.method, one.name, one.rules, one.record, one.body_type, one.body),
    )


async def _write_sessions(connection: AsyncConnection, todo: Plan, nameless: set[UUID]) -> None:
    for change in todo.sessions:
        times = (change.first_time_us, change.last_time_us)
        if change.is_new:
            values = (*_who(change.who), change.target, change.first_index, *times, *_counts(change), change.session_id)
            await connection.execute(_NEW_SESSION, values)
        else:
            await connection.execute(_MORE_OF_SESSION, (*times, *_counts(change), change.session_id))
            if change.session_id in nameless and change.who.subject:
                await connection.execute(_NAME_SESSION, (*_who(change.who), change.session_id))


def _who(who: Who) -> tuple[object, ...]:
    return who.issuer, who.subject, list(who.groups), who.kind, who.token_id


def _counts(change: SessionChange) -> tuple[int, ...]:
    return (
        change.event_count,
        change.allowed_count,
        change.denied_count,
        change.refused_count,
        change.finding_count,
    )


_SESSION_COLUMNS = b"""
    SELECT session_id, first_index, issuer, subject, groups, kind, token_id, target, first_time_us, last_time_us,
        event_count, allowed_count, denied_count, refused_count, finding_count
    FROM countersign.sessions AS s"""
_SESSION = _SESSION_COLUMNS + b" WHERE session_id = %s"
# The running sum bounds a page by bytes before any body is read.
_EVENTS = b"""
    SELECT index, sequence, recorded_at, record, body FROM (
        SELECT *, sum(coalesce(octet_length(body), 0) + octet_length(record)) OVER (ORDER BY sequence) AS running
        FROM (
            SELECT index, sequence, recorded_at, record, body FROM countersign.events
            WHERE session_id = %s AND sequence >= %s AND sequence < %s ORDER BY sequence LIMIT %s
        ) AS page
    ) AS summed
    WHERE running <= %s OR sequence = %s ORDER BY sequence"""


class PostgresReadStore:
    """The reader; its connections are read-only."""

    def __init__(self, dsn: str) -> None:
        self._readers = Readers(dsn, application_name="countersign-sessions")

    async def close(self) -> None:
        """See ``ReadStore.close``."""
        await self._readers.close()

    async def sessions(self, wanted: SessionFilter, *, before: int | None, limit: int) -> list[SessionRow]:
        """See ``ReadStore.sessions``."""
        conditions, values = _conditions(wanted)
        if before is not None:
            conditions.append(b"first_index < %s")
            values.append(before)
        where = b" WHERE " + b" AND ".join(conditions) if conditions else b""
        query = _SESSION_COLUMNS + where + b" ORDER BY first_index DESC LIMIT %s"
        async with self._readers.connection() as connection:
            found = await connection.execute(query, (*values, limit))
            return [_session_row(row) for row in await found.fetchall()]

    async def session(self, session_id: UUID) -> SessionRow | None:
        """See ``ReadStore.session``."""
        async with self._readers.connection() as connection:
            row = await (await connection.execute(_SESSION, (session_id,))).fetchone()
            return None if row is None else _session_row(row)

    async def events(self, session_id: UUID, *, start: int, stop: int) -> list[StoredEvent]:
        """See ``ReadStore.events``: a page is at most 200 events and, past the first, 4 MiB."""
        values = (session_id, start, stop, PAGE_EVENTS, PAGE_BYTES, start)
        async with self._readers.connection() as connection:
            found = await connection.execute(_EVENTS, values, binary=True)
            return [StoredEvent(*row) for row in await found.fetchall()]

    async def indices(self, since_us: int, until_us: int) -> range:
        """See ``ReadStore.indices``."""
        async with self._readers.connection() as connection:
            return await stored_calls.indices(connection, since_us, until_us)

    async def facts(self, wanted: CallFilter, *, start: int, stop: int) -> FactPage:
        """See ``ReadStore.facts``."""
        async with self._readers.connection() as connection:
            return await stored_calls.facts(connection, wanted, start, stop)

    async def call(self, event_id: UUID) -> StoredEvent | None:
        """See ``ReadStore.call``."""
        async with self._readers.connection() as connection:
            return await stored_calls.call(connection, event_id)


_OUTCOME_CONDITIONS = {
    1: b"allowed_count > 0",
    2: b"denied_count > 0",
    3: b"refused_count > 0",
    4: b"EXISTS (SELECT FROM countersign.events AS e"
    b" WHERE e.session_id = s.session_id AND e.kind = 1 AND e.outcome = 4)",
}


def _conditions(wanted: SessionFilter) -> tuple[list[bytes], list[object]]:
    conditions: list[bytes] = []
    values: list[object] = []

    def add(condition: bytes, *given: object) -> None:
        conditions.append(condition)
        values.extend(given)

    if wanted.subject:
        add(b"subject = %s", searchable(wanted.subject))
    if wanted.target:
        add(b"target = %s", searchable(wanted.target))
    if wanted.outcome:
        add(_OUTCOME_CONDITIONS[wanted.outcome])
    if wanted.name:
        add(
            b"EXISTS (SELECT FROM countersign.events AS e"
            b" WHERE e.session_id = s.session_id AND e.kind = 1 AND e.name <> '' AND e.name = %s)",
            searchable(wanted.name),
        )
    if wanted.since_us is not None:
        add(b"last_time_us >= %s", wanted.since_us)
    if wanted.until_us is not None:
        add(b"first_time_us < %s", wanted.until_us)
    if wanted.since_us is not None and wanted.until_us is not None:
        # The two above only narrow: a session may span the time without an event in it.
        add(
            b"EXISTS (SELECT FROM countersign.events AS e"
            b" WHERE e.session_id = s.session_id AND e.time_us >= %s AND e.time_us < %s)",
            wanted.since_us,
            wanted.until_us,
        )
    return conditions, values


def _session_row(row: tuple[Any, ...]) -> SessionRow:
    session_id, first_index, issuer, subject, groups, kind, token_id, *rest = row
    who = Who(issuer, subject, tuple(groups), kind, token_id)
    return SessionRow(session_id, first_index, who, *rest)
