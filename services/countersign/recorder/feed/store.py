"""The feed in Postgres: the cursors of sinks, and events with whose session they belong to."""

from __future__ import annotations

from uuid import UUID

from countersign.recorder.entry import Who
from countersign.recorder.feed.ports import EventMissing, FedEvent, NotLent, SinkRow, SinkTaken
from countersign.recorder.ports import StoredEvent
from countersign.runtime.postgres import Readers, Writers

LENT_S = 20
PAGE_EVENTS = 500
PAGE_BYTES = 4 * 1024 * 1024

_LENT = b"clock_timestamp() + make_interval(secs => %s)"
_LEND = (
    b"""
    INSERT INTO countersign.sinks AS s (name, description, next_index, moved_at, run, lent_until)
    VALUES (%s, %s, 0, clock_timestamp(), %s, """
    + _LENT
    + b""")
    ON CONFLICT (name) DO UPDATE SET
        description = excluded.description, run = excluded.run, lent_until = excluded.lent_until
    WHERE s.run IS NULL OR s.lent_until < clock_timestamp()
    RETURNING next_index"""
)
# A run that was late keeps the sink as long as nobody else took it.
_MOVE = b"""
    UPDATE countersign.sinks SET
        next_index = greatest(next_index, %(next)s),
        moved_at = CASE WHEN %(next)s > next_index THEN clock_timestamp() ELSE moved_at END,
        run = CASE WHEN %(release)s THEN NULL ELSE run END,
        lent_until = clock_timestamp() + make_interval(secs => %(lent)s)
    WHERE name = %(name)s AND run = %(run)s
    RETURNING next_index"""
_IS_LENT = b"SELECT EXISTS (SELECT FROM countersign.sinks WHERE run = %s AND lent_until > clock_timestamp())"
_SINKS = b"""
    SELECT name, description, next_index, moved_at, run IS NOT NULL AND lent_until > clock_timestamp()
    FROM countersign.sinks ORDER BY name LIMIT 1000"""
# The running sum bounds a page by bytes before any body is read.
_EVENTS = b"""
    SELECT p.index, p.sequence, p.recorded_at, p.record, CASE WHEN %(bodies)s THEN e.body END, p.erased,
        s.issuer, s.subject, s.groups, s.kind, s.token_id
    FROM (
        SELECT *, sum(size) OVER (ORDER BY index) AS running
        FROM (
            SELECT index, sequence, recorded_at, record, session_id, body IS NULL AS erased,
                octet_length(record) + CASE WHEN %(bodies)s THEN coalesce(octet_length(body), 0) ELSE 0 END AS size
            FROM countersign.events WHERE index >= %(start)s AND index < %(stop)s ORDER BY index LIMIT %(limit)s
        ) AS page
    ) AS p
    JOIN countersign.events AS e USING (index)
    JOIN countersign.sessions AS s ON s.session_id = p.session_id
    WHERE p.running <= %(bytes)s OR p.index = %(start)s ORDER BY p.index"""


class PostgresFeedStore:
    """Reads over a few connections that cannot write, moves cursors over others; see ``FeedStore``."""

    def __init__(self, dsn: str) -> None:
        self._readers = Readers(dsn, application_name="countersign-feed")
        self._writers = Writers(dsn, application_name="countersign-feed-cursors", size=2)

    async def lend(self, sink: str, description: str, run: UUID) -> int:
        """See ``FeedStore.lend``."""
        async with self._writers.transaction() as connection:
            found = await (await connection.execute(_LEND, (sink, description, run, LENT_S))).fetchone()
        if found is None:
            raise SinkTaken
        return int(found[0])

    async def move(self, sink: str, run: UUID, next_index: int, *, release: bool) -> int:
        """See ``FeedStore.move``."""
        values = {"name": sink, "run": run, "next": next_index, "release": release, "lent": LENT_S}
        async with self._writers.transaction() as connection:
            found = await (await connection.execute(_MOVE, values)).fetchone()
        if found is None:
            raise NotLent
        return int(found[0])

    async def is_lent(self, run: UUID) -> bool:
        """See ``FeedStore.is_lent``."""
        async with self._readers.connection() as connection:
            found = await (await connection.execute(_IS_LENT, (run,))).fetchone()
        return found is not None and bool(found[0])

    async def sinks(self) -> list[SinkRow]:
        """See ``FeedStore.sinks``."""
        async with self._readers.connection() as connection:
            return [SinkRow(*row) for row in await (await connection.execute(_SINKS)).fetchall()]

    async def events(self, start: int, stop: int, *, bodies: bool) -> list[FedEvent]:
        """See ``FeedStore.events``: a page is at most 500 events and, past the first, 4 MiB."""
        values = {"start": start, "stop": stop, "bodies": bodies, "limit": PAGE_EVENTS, "bytes": PAGE_BYTES}
        async with self._readers.connection() as connection:
            rows = await (await connection.execute(_EVENTS, values, binary=True)).fetchall()
        for expected, row in enumerate(rows, start):
            if row[0] != expected:
                raise EventMissing(expected)
        if not rows and start < stop:
            raise EventMissing(start)
        return [
            FedEvent(StoredEvent(*stored), erased, Who(issuer, subject, tuple(groups), kind, token_id))
            for *stored, erased, issuer, subject, groups, kind, token_id in rows
        ]

    async def close(self) -> None:
        """See ``FeedStore.close``."""
        await self._readers.close()
        await self._writers.close()
