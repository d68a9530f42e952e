"""Searching in Postgres: blocks that may hold what is wanted, the events in them, their bodies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from psycopg import AsyncConnection

from countersign.recorder.bodies import BodyKeeper, BodyUnreadable, Shelved
from countersign.recorder.search.block import BLOCK_BITS
from countersign.recorder.search.conditions import Conditions, of_events, of_marks, of_words
from countersign.recorder.search.index_store import CONTENT_BYTES
from countersign.recorder.search.ports import Bodies, Candidates, Extent, Found, Span, Wanted
from countersign.recorder.stored_events import with_bodies
from countersign.runtime.postgres import DatabaseUnavailable, Readers

STATEMENT_TIMEOUT_S = 5.0
# One worker is enough, and to compile what runs for milliseconds is not: the record needs the processors itself.
_PLANNER = MappingProxyType({"max_parallel_workers_per_gather": "0", "jit": "off"})
PAGE_BYTES = 4 * 1024 * 1024
# How long before it is recorded, and after, an event may say that it was (see docs/record.md).
_AHEAD, _LATE = timedelta(days=1), timedelta(days=31)
_NEVER = 2**62

_EXTENT = b"""
    SELECT p.next_block << %s::int, h.next_index FROM countersign.search_progress AS p, countersign.head AS h"""
_RECORDED_AT = b"SELECT recorded_at FROM countersign.events WHERE index = %s"
_SHELVES = b"""
    SELECT shelf FROM countersign.shelves
    WHERE erased_at IS NULL AND (shelf = 0 OR (%(target)s::text = '' OR target IN ('', %(target)s::text))
        AND month >= date_trunc('month', %(since)s::timestamp) AND month <= %(until)s::timestamp)"""
_OF_THESE = with_bodies(b"SELECT index, event_id, shelf FROM countersign.events WHERE index = ANY (%s)")
_BODIES = (
    _OF_THESE + b" SELECT e.index, e.event_id, b.size, b.form, substr(b.content, 1, %s) FROM e JOIN b USING (index)"
)
_SIZES = _OF_THESE + b" SELECT index, size FROM b"
_WHOLE = 2**30


class PostgresSearchStore:
    """Reads over a few connections, each statement for a few seconds at most; see ``SearchStore``."""

    def __init__(self, dsn: str, bodies: BodyKeeper) -> None:
        self._readers = Readers(
            dsn, application_name="countersign-search", statement_timeout_s=STATEMENT_TIMEOUT_S, planner=_PLANNER
        )
        self._keeper = bodies

    async def close(self) -> None:
        """See ``SearchStore.close``."""
        await self._readers.close()

    async def extent(self) -> Extent:
        """See ``SearchStore.extent``."""
        async with self._readers.connection() as connection:
            row = await (await connection.execute(_EXTENT, (BLOCK_BITS,))).fetchone()
        if row is None:
            raise DatabaseUnavailable("the head of the record is missing: restore the database")
        return Extent(*row)

    async def span(self, wanted: Wanted) -> range:
        """See ``SearchStore.span``: by halves, along the times at which events were recorded."""
        start, stop = 0, _NEVER
        if wanted.since_us is None and wanted.until_us is None:
            return range(start, stop)
        async with self._readers.connection() as connection:
            row = await (await connection.execute(_EXTENT, (BLOCK_BITS,))).fetchone()
            head = row[1] if row else 0
            if wanted.since_us is not None:
                start = await _first_recorded(connection, head, wanted.since_us - _AHEAD // timedelta(microseconds=1))
            if wanted.until_us is not None:
                late_us = wanted.until_us + _LATE // timedelta(microseconds=1)
                first = await _first_recorded(connection, head, late_us)
                stop = first if first < head else _NEVER
        return range(start, max(start, stop))

    async def candidates(self, wanted: Wanted, *, low: int, high: int, at_most: int) -> Candidates:
        """See ``SearchStore.candidates``."""
        bounds = (low >> BLOCK_BITS, -(-high >> BLOCK_BITS))
        marks = of_marks(wanted)
        words = of_words(wanted.text.wanted_words) if wanted.text is not None else None
        async with self._readers.connection() as connection:
            query = b"SELECT m.block, NULL::int[] FROM countersign.marks AS m"
            values: list[object] = []
            if words is not None:
                query = (
                    b"SELECT m.block, w.shelves FROM ("
                    b"SELECT block, array_agg(shelf) AS shelves FROM countersign.words"
                    b" WHERE shelf = ANY (%s) AND block >= %s AND block < %s AND " + words.sql + b" GROUP BY block"
                    b") AS w JOIN countersign.marks AS m ON m.block = w.block"
                )
                values += [await _shelves(connection, wanted), *bounds, *words.values]
            query += b" WHERE m.block >= %s AND m.block < %s AND " + marks.sql + b" ORDER BY m.block DESC LIMIT %s"
            values += [*bounds, *marks.values, at_most]
            found = await connection.execute(query, values, binary=True)
            rows = await found.fetchall()
        spans = [
            Span(max(low, block << BLOCK_BITS), min(high, (block + 1) << BLOCK_BITS), shelves and tuple(shelves))
            for block, shelves in rows
        ]
        return Candidates(spans, spans[-1].start if len(spans) == at_most else low)

    async def events(self, wanted: Wanted, within: Sequence[Span], *, newest_first: bool, at_most: int) -> list[Found]:
        """See ``SearchStore.events``."""
        conditions = of_events(wanted)
        bounds = [one.start for one in within], [one.stop for one in within], [_shelves_of(one) for one in within]
        async with self._readers.connection() as connection:
            found = await connection.execute(
                _events(conditions, newest_first=newest_first), (*bounds, *conditions.values, at_most), binary=True
            )
            return [Found(*row) for row in await found.fetchall()]

    async def bodies(self, events: Sequence[Found], *, first_bytes: int | None = None) -> Bodies:
        """See ``SearchStore.bodies``: 4 MiB in sum."""
        wanted = [one.index for one in events if one.shelf is not None]
        if not wanted:
            return Bodies()
        cut: int | None = None
        async with self._readers.connection() as connection:
            if first_bytes is None:
                found = await connection.execute(_SIZES, (wanted,), binary=True)
                wanted, cut = _bounded(wanted, dict(await found.fetchall()))
            content_bytes = _WHOLE if first_bytes is None else CONTENT_BYTES
            found = await connection.execute(_BODIES, (wanted, content_bytes), binary=True)
            rows = await found.fetchall()
        opened: dict[int, bytes] = {}
        for index, event_id, *kept in rows:
            shelved = Shelved(*kept)
            try:
                if first_bytes is None:
                    opened[index] = self._keeper.open(event_id, shelved).body
                elif (beginning := self._keeper.beginning(shelved, first_bytes)) is not None:
                    opened[index] = beginning
            except BodyUnreadable:
                # Erased with its key, or damaged: the others are found all the same.
                continue
        return Bodies(opened, cut)


def _events(conditions: Conditions, *, newest_first: bool) -> bytes:
    order = b" ORDER BY e.index DESC" if newest_first else b" ORDER BY e.index"
    # Each range is read by itself, by the primary key, whatever the planner believes of what is wanted.
    return (
        b"SELECT e.index, e.sequence, e.recorded_at, e.record, e.shelf, EXISTS ("
        b"SELECT FROM countersign.shelves WHERE shelf = e.shelf AND erased_at IS NOT NULL) AND NOT EXISTS ("
        b"SELECT FROM countersign.bodies_0 AS b WHERE b.index = e.index) AS erased"
        b" FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS r (low, high, shelves) CROSS JOIN LATERAL ("
        b"SELECT * FROM countersign.events AS one WHERE one.index >= r.low AND one.index < r.high OFFSET 0) AS e"
        b" JOIN countersign.sessions AS s ON s.session_id = e.session_id"
        b" WHERE (r.shelves IS NULL OR e.shelf = ANY (r.shelves::int[])) AND " + conditions.sql + order + b" LIMIT %s"
    )


def _shelves_of(one: Span) -> str | None:
    """Return an array as Postgres reads it; none for all shelves: an event whose body is held stands where it stood."""
    return None if one.shelves is None or 0 in one.shelves else "{" + ",".join(map(str, one.shelves)) + "}"


async def _shelves(connection: AsyncConnection, wanted: Wanted) -> list[int]:
    """Return the shelves that may hold the bodies of what is wanted."""
    since, until = _moment(wanted.since_us, -_AHEAD), _moment(wanted.until_us, _LATE)
    asked = {"target": wanted.target, "since": since or "-infinity", "until": until or "infinity"}
    found = await connection.execute(_SHELVES, asked)
    return [shelf for (shelf,) in await found.fetchall()]


def _moment(time_us: int | None, beside: timedelta) -> str | None:
    """Return a time beside another as text; ``None`` for none, and for what no calendar holds."""
    if time_us is None:
        return None
    try:
        return (datetime(1970, 1, 1) + timedelta(microseconds=time_us) + beside).isoformat()  # noqa: DTZ001 - for UTC
    except OverflowError:
        return None


def _bounded(wanted: Sequence[int], sizes: dict[int, int]) -> tuple[list[int], int | None]:
    """Return the indices whose bodies fit, in the order given, and the first one that does not."""
    running, kept = 0, list[int]()
    for index in wanted:
        running += sizes.get(index, 0)
        if running > PAGE_BYTES and kept:
            return kept, index
        kept.append(index)
    return kept, None


async def _first_recorded(connection: AsyncConnection, end: int, time_us: int) -> int:
    """Return the first index that was recorded at the time or later, or ``end``."""
    low, high = 0, end
    while low < high:
        middle = (low + high) // 2
        row = await (await connection.execute(_RECORDED_AT, (middle,))).fetchone()
        if row is not None and int(row[0].timestamp() * 1_000_000) < time_us:
            low = middle + 1
        else:
            high = middle
    return low
