"""What auditors read of the record in Postgres."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from countersign.recorder import stored_calls
from countersign.recorder.bodies import BodyKeeper
from countersign.recorder.ports import CallFilter, FactPage, SealRow, SessionFilter, SessionRow, StoredEvent
from countersign.recorder.search.marked_sessions import is_marked, marked_sessions
from countersign.recorder.stored_events import STORED_EVENT, stored_event, with_bodies
from countersign.recorder.who import Who, searchable
from countersign.runtime.postgres import Readers

PAGE_EVENTS = 200
PAGE_BYTES = 4 * 1024 * 1024

_SESSION_COLUMNS = b"""
    SELECT session_id, first_index, issuer, subject, groups, kind, token_id, target, first_time_us, last_time_us,
        event_count, allowed_count, denied_count, refused_count, finding_count, continues,
        seal_index, seal_root, seal_unanswered, sealed_at, seal_reason
    FROM countersign.sessions AS s"""
_SESSION = _SESSION_COLUMNS + b" WHERE session_id = %s"
# The running sum bounds a page by bytes before any body is read.
_EVENTS = (
    with_bodies(
        b"""
    SELECT * FROM countersign.events
    WHERE session_id = %s AND sequence >= %s AND sequence < %s ORDER BY sequence LIMIT %s"""
    )
    + b"""
    SELECT index, sequence, recorded_at, record, event_id, shelf, size, form, content FROM (
        SELECT *, sum(coalesce(size, 0) + octet_length(record)) OVER (ORDER BY sequence) AS running
        FROM (SELECT """
    + STORED_EVENT
    + b""" FROM e LEFT JOIN b USING (index)) AS page
    ) AS summed
    WHERE running <= %s OR sequence = %s ORDER BY sequence"""
)


class PostgresReadStore:
    """The reader; its connections are read-only."""

    def __init__(self, dsn: str, keeper: BodyKeeper | None = None) -> None:
        self._keeper = keeper or BodyKeeper()
        self._readers = Readers(dsn, application_name="countersign-sessions")

    async def close(self) -> None:
        """See ``ReadStore.close``."""
        await self._readers.close()

    async def sessions(self, wanted: SessionFilter, *, before: int | None, limit: int) -> list[SessionRow]:
        """See ``ReadStore.sessions``."""
        conditions, values = _conditions(wanted)
        for condition, given in await self._marked(wanted):
            conditions.append(condition)
            values += given
        if before is not None:
            conditions.append(b"first_index < %s")
            values.append(before)
        where = b" WHERE " + b" AND ".join(conditions) if conditions else b""
        query = _SESSION_COLUMNS + where + b" ORDER BY first_index DESC LIMIT %s"
        async with self._readers.connection() as connection:
            found = await connection.execute(query, (*values, limit))
            return [_session_row(row) for row in await found.fetchall()]

    async def _marked(self, wanted: SessionFilter) -> list[tuple[bytes, list[object]]]:
        if not is_marked(wanted):
            return []
        async with self._readers.connection() as connection:
            return await marked_sessions(connection, wanted)

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
            return [stored_event(self._keeper, *row) for row in await found.fetchall()]

    async def indices(self, since_us: int, until_us: int) -> range:
        """See ``ReadStore.indices``."""
        async with self._readers.connection() as connection:
            return await stored_calls.indices(connection, since_us, until_us)

    async def facts(self, wanted: CallFilter, *, start: int, stop: int) -> FactPage:
        """See ``ReadStore.facts``."""
        async with self._readers.connection() as connection:
            return await stored_calls.facts(connection, self._keeper, wanted, start, stop)

    async def call(self, event_id: UUID) -> StoredEvent | None:
        """See ``ReadStore.call``."""
        async with self._readers.connection() as connection:
            return await stored_calls.call(connection, self._keeper, event_id)


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
    if wanted.issuer:
        add(b"issuer = %s", searchable(wanted.issuer))
    if wanted.principal_kind:
        add(b"kind = %s", searchable(wanted.principal_kind))
    if wanted.group:
        add(b"%s = ANY (groups)", searchable(wanted.group))
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
        # The two above only narrow: a session may span the time without an event in it. OFFSET 0 has the planner look
        # into each that is left, and not through all events.
        add(
            b"EXISTS (SELECT FROM countersign.events AS e"
            b" WHERE e.session_id = s.session_id AND e.time_us >= %s AND e.time_us < %s OFFSET 0)",
            wanted.since_us,
            wanted.until_us,
        )
    return conditions, values


def _session_row(row: tuple[Any, ...]) -> SessionRow:
    session_id, first_index, issuer, subject, groups, kind, token_id, *rest = row[:16]
    who = Who(issuer, subject, tuple(groups), kind, token_id)
    seal = None if row[16] is None else SealRow(*row[16:])
    return replace(SessionRow(session_id, first_index, who, *rest), seal=seal)
