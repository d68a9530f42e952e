"""Reading calls over all sessions: a walk along the primary key, so that no index has to be kept for it.

An event's index follows the time of its commit, and that the time at which it was seen, as far as clocks agree.
So the walk begins and ends a day beside the times that were asked for, and each event is asked for its own time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from psycopg import AsyncConnection

from countersign.recorder.bodies import BodyKeeper
from countersign.recorder.ports import CallFilter, FactPage, StoredEvent, StoredFact
from countersign.recorder.stored_events import STORED_EVENT, stored_event, with_bodies
from countersign.recorder.who import searchable

CLOCKS_APART = timedelta(days=1)
# How far one statement walks at most, how much it brings at most (past the first event).
WALK_EVENTS = 5_000
PAGE_EVENTS = 500
PAGE_BYTES = 4 * 1024 * 1024

_END = b"SELECT next_index FROM countersign.head"
_RECORDED_AT = b"SELECT recorded_at FROM countersign.events WHERE index = %s"
_CALL = (
    with_bodies(b"SELECT * FROM countersign.events WHERE event_id = %s AND kind = 1")
    + b" SELECT "
    + STORED_EVENT
    + b" FROM e LEFT JOIN b USING (index)"
)
# As for a session's events: the running sum bounds a page by bytes before any body is read.
_FACTS = (
    with_bodies(
        b"""
    SELECT e.*, s.issuer, s.subject,
        CASE WHEN e.kind = 1 AND e.time_us >= %(bodies_since)s THEN e.shelf END AS told_shelf
    FROM countersign.events AS e JOIN countersign.sessions AS s USING (session_id)
    WHERE e.index >= %(start)s AND e.index < %(reached)s AND e.kind IN (1, 2, 3, 4)
        AND e.time_us >= %(since)s AND e.time_us < %(until)s
        AND (%(target)s::text = '' OR e.target = %(target)s::text)
        AND (%(subject)s::text = '' OR s.subject = %(subject)s::text)
    ORDER BY e.index LIMIT %(events)s""",
        shelf=b"told_shelf",
    )
    + b"""
    SELECT index, sequence, recorded_at, record, event_id, shelf, size, form, content, is_call, issuer, subject, matches
    FROM (
        SELECT *, count(*) OVER () AS matches, row_number() OVER (ORDER BY index) AS place,
            sum(coalesce(size, 0) + octet_length(record)) OVER (ORDER BY index) AS running
        FROM (
            SELECT e.index, e.sequence, e.recorded_at, e.record, e.event_id, e.kind = 1 AS is_call,
                e.issuer, e.subject, b.size, b.form, b.content,
                -- A shelf without a body on it says that there is a body, and that it is not told.
                CASE WHEN e.kind = 1 AND e.time_us >= %(bodies_since)s THEN e.shelf ELSE 0 END AS shelf
            FROM e LEFT JOIN b USING (index)
        ) AS page
    ) AS summed
    WHERE running <= %(bytes)s OR place = 1 ORDER BY index"""
)


async def indices(connection: AsyncConnection, since_us: int, until_us: int) -> range:
    """See ``ReadStore.indices``."""
    row = await (await connection.execute(_END)).fetchone()
    end: int = row[0] if row else 0
    start = await _first_recorded(connection, end, since_us - CLOCKS_APART // timedelta(microseconds=1))
    stop = await _first_recorded(connection, end, until_us + CLOCKS_APART // timedelta(microseconds=1))
    return range(start, max(start, stop))


async def facts(connection: AsyncConnection, keeper: BodyKeeper, wanted: CallFilter, start: int, stop: int) -> FactPage:
    """See ``ReadStore.facts``."""
    reached = min(stop, start + WALK_EVENTS)
    asked = {
        "start": start,
        "reached": reached,
        "since": wanted.since_us,
        "until": wanted.until_us,
        "bodies_since": wanted.bodies_since_us,
        "target": searchable(wanted.target),
        "subject": searchable(wanted.subject),
        "events": PAGE_EVENTS,
        "bytes": PAGE_BYTES,
    }
    rows = await (await connection.execute(_FACTS, asked, binary=True)).fetchall()
    page = [StoredFact(stored_event(keeper, *row[:9]), *row[9:12]) for row in rows]
    whole = not rows or (len(rows) == rows[0][12] and len(rows) < PAGE_EVENTS)
    return FactPage(page, reached if whole else page[-1].event.index + 1)


async def call(connection: AsyncConnection, keeper: BodyKeeper, event_id: UUID) -> StoredEvent | None:
    """See ``ReadStore.call``."""
    row = await (await connection.execute(_CALL, (event_id,), binary=True)).fetchone()
    return None if row is None else stored_event(keeper, *row)


async def _first_recorded(connection: AsyncConnection, end: int, time_us: int) -> int:
    """Return the first index that was recorded at the time or later, or ``end``: by halves."""
    low, high = 0, end
    while low < high:
        middle = (low + high) // 2
        row = await (await connection.execute(_RECORDED_AT, (middle,))).fetchone()
        if row is not None and _microseconds(row[0]) < time_us:
            low = middle + 1
        else:
            high = middle
    return low


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)
