"""Sessions by what their events have: from the index, and from what is not indexed yet."""

from __future__ import annotations

import asyncio
from json.encoder import encode_basestring

from psycopg import AsyncConnection

from countersign.recorder.ports import SessionFilter
from countersign.recorder.search.block import BLOCK_BITS, facet_of
from countersign.recorder.search.facets import OF_SESSIONS, details_of
from countersign.recorder.who import searchable
from countersign.runtime.postgres import DatabaseUnavailable

# Of what is not indexed yet, as many events are read at a time that seem to have what is wanted; and so often at most.
TAIL_EVENTS = 1_000
MOST_LOOKS = 100

_INDEXED = b"SELECT next_block << %s::int FROM countersign.search_progress"
_BY_METHOD = b"""
    SELECT DISTINCT s.first_index FROM countersign.events AS e JOIN countersign.sessions AS s USING (session_id)
    WHERE e.index >= %s AND e.method = %s"""
_BY_RECORD = b"""
    SELECT e.index, s.first_index, e.record
    FROM countersign.events AS e JOIN countersign.sessions AS s USING (session_id)
    WHERE e.index >= %s AND strpos(e.record, %s) > 0 AND s.first_index <> ALL (%s::bigint[])
    ORDER BY e.index LIMIT %s"""
_MARKED = b"""first_index IN (
    SELECT first_index FROM countersign.session_marks WHERE facet = %s UNION ALL SELECT unnest(%s::bigint[]))"""


def is_marked(wanted: SessionFilter) -> bool:
    """Whether anything is wanted of a session's events that is told here."""
    return any(getattr(wanted, one) for one in OF_SESSIONS)


async def marked_sessions(connection: AsyncConnection, wanted: SessionFilter) -> list[tuple[bytes, list[object]]]:
    """Return conditions on ``first_index`` of sessions, with their values, that must all hold."""
    row = await (await connection.execute(_INDEXED, (BLOCK_BITS,))).fetchone()
    indexed = row[0] if row else 0
    return [
        (_MARKED, [facet_of(one, value), await _in_tail(connection, indexed, one, value)])
        for one in OF_SESSIONS
        if (value := searchable(getattr(wanted, one)))
    ]


async def _in_tail(connection: AsyncConnection, indexed: int, one: str, value: str) -> list[int]:
    """Return the first indices of sessions with an event from ``indexed`` on that has ``value``."""
    if one == "method":
        rows = await (await connection.execute(_BY_METHOD, (indexed, value))).fetchall()
        return [first_index for (first_index,) in rows]
    # As JSON writes it, without the closing quotation mark: what is searched is shortened.
    written = encode_basestring(value.partition("\ufffd")[0])[:-1]
    found: set[int] = set()
    start = indexed
    for _ in range(MOST_LOOKS):
        values = (start, written, sorted(found), TAIL_EVENTS)
        rows = await (await connection.execute(_BY_RECORD, values)).fetchall()
        found |= {first_index for _, first_index, record in rows if _has(record, one, value)}
        if len(rows) < TAIL_EVENTS:
            return sorted(found)
        start = rows[-1][0] + 1
        await asyncio.sleep(0)
    # Never a list that lacks some: an auditor would take it for whole.
    raise DatabaseUnavailable("too much of the record is not indexed yet to list sessions by this")


def _has(record: str, one: str, value: str) -> bool:
    details = details_of(record)
    values = {
        "rule": details.rules,
        "label": details.labels,
        "relation": details.relations,
        "approval_id": (details.approval_id,),
    }
    return value in values[one]
