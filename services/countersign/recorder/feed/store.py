"""The feed in Postgres: the cursors of sinks, and events with whose session they belong to."""

from __future__ import annotations

from uuid import UUID

from countersign.recorder.bodies import BodyKeeper
from countersign.recorder.feed.ports import EventMissing, FedEvent, NotLent, SinkRow, SinkTaken
from countersign.recorder.stored_events import STORED_EVENT, stored_event, with_bodies
from countersign.recorder.who import NOBODY, Who
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
_SOME = b"SELECT * FROM countersign.events WHERE index >= %(start)s AND index < %(stop)s ORDER BY index LIMIT %(limit)s"
# The running sum bounds a page by bytes before any body is read. Whose session it is is looked up event by event,
# whatever the planner thinks of new tables.
_PAGE = b"""
    SELECT index, sequence, recorded_at, record, event_id, shelf, size, form, content,
        issuer, subject, groups, kind, token_id
    FROM (
        SELECT *, sum(coalesce(size, 0) + octet_length(record)) OVER (ORDER BY index) AS running
        FROM (
            SELECT %b, whose.issuer, whose.subject, whose.groups, whose.kind, whose.token_id
            FROM e %b
            LEFT JOIN LATERAL (
                SELECT issuer, subject, groups, kind, token_id FROM countersign.sessions
                WHERE session_id = e.session_id
            ) AS whose ON true
        ) AS page
    ) AS summed
    WHERE running <= %%(bytes)s OR index = %%(start)s ORDER BY index"""
_EVENTS = with_bodies(_SOME) + _PAGE % (STORED_EVENT, b"LEFT JOIN b USING (index)")
# As if none had a body.
_LEAF = b"e.index, e.sequence, e.recorded_at, e.record, e.event_id"
_NO_BODY = b"NULL::int AS shelf, NULL::int AS size, NULL::int AS form, NULL::bytea AS content"
_LEAVES = b"WITH e AS (" + _SOME + b")" + _PAGE % (_LEAF + b", " + _NO_BODY, b"")
_STORED = 9


class PostgresFeedStore:
    """Reads over a few connections that cannot write, moves cursors over others; see ``FeedStore``."""

    def __init__(self, dsn: str, keeper: BodyKeeper | None = None) -> None:
        self._keeper = keeper or BodyKeeper()
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
        """See ``FeedStore.events``: at most 500 events and, past the first, 4 MiB."""
        values = {"start": start, "stop": stop, "limit": PAGE_EVENTS, "bytes": PAGE_BYTES}
        async with self._readers.connection() as connection:
            rows = await (await connection.execute(_EVENTS if bodies else _LEAVES, values, binary=True)).fetchall()
        for expected, row in enumerate(rows, start):
            if row[0] != expected:
                raise EventMissing(expected)
        if not rows and start < stop:
            raise EventMissing(start)
        return [FedEvent(stored_event(self._keeper, *row[:_STORED]), _who(*row[_STORED:])) for row in rows]

    async def close(self) -> None:
        """See ``FeedStore.close``."""
        await self._readers.close()
        await self._writers.close()


def _who(issuer: str | None, subject: str, groups: list[str], kind: str, token_id: str) -> Who:
    return NOBODY if issuer is None else Who(issuer, subject, tuple(groups), kind, token_id)
