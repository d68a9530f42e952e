"""What sealing reads, from Postgres. What is sealed is written by the record's own store, as events are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from countersign.recorder.seals.ports import ENDED, IDLE, REVOKED, Due, Found, Stretch, Struck
from countersign.runtime.postgres import Readers, Writers

_IDLE = b"""
    WITH page AS MATERIALIZED (
        SELECT session_id, target, event_count, first_index, touched_at FROM countersign.sessions
        WHERE seal_index IS NULL AND first_index > %s ORDER BY first_index LIMIT %s
    )
    SELECT looked.last, looked.number, due.first_index, due.session_id, due.target, due.event_count
    FROM (SELECT max(first_index) AS last, count(*) AS number FROM page) AS looked
    LEFT JOIN (SELECT * FROM page WHERE touched_at < %s ORDER BY first_index LIMIT %s) AS due ON true
    ORDER BY due.first_index"""
_ENDED = b"""
    SELECT session_id, target, event_count FROM countersign.sessions
    WHERE ended AND seal_index IS NULL AND touched_at < %s ORDER BY first_index LIMIT %s"""
_LOOKED_AT = b"""
    SELECT revocation_id, revoked_us FROM countersign.revocations
    WHERE lifted_at IS NULL AND NOT sealed AND revoked_us < %s ORDER BY revoked_us LIMIT %s"""
# Columns for searching hold the beginning of what is long (who.py).
_REVOKED = b"""
    WITH RECURSIVE struck AS MATERIALIZED (
        SELECT kind, issuer, left(value, 500) AS value, issued_before_s * 1000000 AS before_us
        FROM countersign.revocations WHERE revocation_id = ANY(%s::uuid[])
    ), named AS (
        SELECT r.value::uuid AS session_id, r.before_us FROM struck AS r WHERE r.kind = 4
        UNION
        SELECT s.session_id, n.before_us FROM named AS n JOIN countersign.sessions AS s ON s.continues = n.session_id
    ), found AS (
        SELECT s.*, r.before_us FROM struck AS r JOIN countersign.sessions AS s
            ON r.kind = 1 AND s.issuer = r.issuer AND s.subject = r.value AND s.seal_index IS NULL
        UNION ALL
        SELECT s.*, r.before_us FROM struck AS r JOIN countersign.sessions AS s
            ON r.kind = 2 AND s.issuer = r.issuer AND s.token_id = r.value AND s.seal_index IS NULL
        UNION ALL
        SELECT s.*, r.before_us FROM struck AS r JOIN countersign.sessions AS s
            ON r.kind IN (1, 3) AND s.issuer = r.issuer AND s.seal_index IS NULL
            AND s.known_as @> ARRAY[CASE r.kind WHEN 1 THEN 'p:' ELSE 's:' END || r.value]
        UNION ALL
        SELECT s.*, n.before_us FROM named AS n JOIN countersign.sessions AS s USING (session_id)
            WHERE s.seal_index IS NULL
        UNION ALL
        SELECT s.*, r.before_us FROM struck AS r JOIN countersign.sessions AS s
            ON r.kind = 5 AND s.issuer = r.issuer AND s.seal_index IS NULL
    )
    SELECT DISTINCT session_id, target, event_count FROM found
    WHERE before_us IS NULL OR first_time_us < before_us LIMIT %s"""
_SETTLE = b"UPDATE countersign.revocations SET sealed = true WHERE revocation_id = ANY(%s::uuid[])"
_MOST_LOOKED_AT = 100
# First the hashes, so that they are sorted, not the records.
_LEAVES = b"""
    WITH leaves AS MATERIALIZED (
        SELECT p.session_id, p.start, p.stop, e.sequence, sha256('\\x00'::bytea || convert_to(e.record, 'UTF8')) AS hash
        FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[]) AS p (session_id, start, stop)
        JOIN countersign.events AS e ON e.session_id = p.session_id AND e.sequence >= p.start AND e.sequence < p.stop
    )
    SELECT session_id, start, stop, string_agg(hash, '' ORDER BY sequence) FROM leaves
    GROUP BY session_id, start, stop"""
# Requests that were allowed; whole answers and the ends of streams. Each event is read once: a join of a long session
# with itself takes for ever where the planner has no figures of it.
_UNANSWERED = b"""
    SELECT session_id, sum(allowed)::bigint FROM (
        SELECT session_id, count(*) FILTER (WHERE kind = 1 AND outcome = 1) AS allowed FROM countersign.events
        WHERE session_id = ANY(%s::uuid[]) AND kind IN (1, 2, 4)
        GROUP BY session_id, call_id HAVING NOT bool_or(kind IN (2, 4))
    ) AS calls GROUP BY session_id HAVING sum(allowed) > 0"""
# By their indexes, whatever the planner thinks of the rest of the record, and with no more than one core.
_PLANNER = MappingProxyType({"enable_seqscan": "off", "max_parallel_workers_per_gather": "0"})
_STATEMENT_TIMEOUT_S = 120.0


class PostgresSealStore:
    """See ``SealStore``."""

    def __init__(self, dsn: str) -> None:
        # One at a time, so that sealing never takes more than its share.
        self._readers = Readers(
            dsn,
            application_name="countersign-seals",
            size=1,
            statement_timeout_s=_STATEMENT_TIMEOUT_S,
            planner=_PLANNER,
        )
        self._writers = Writers(dsn, application_name="countersign-seals-writer", size=1)

    async def idle(self, since: datetime, *, after: int, looked_at: int, most: int) -> Found:
        """See ``SealStore``."""
        async with self._readers.connection() as connection:
            rows = await (await connection.execute(_IDLE, (after, looked_at, since, most))).fetchall()
        last, number = rows[0][:2]
        due = [Due(session_id, target, count, IDLE) for *_, session_id, target, count in rows if session_id is not None]
        if len(due) == most:
            return Found(due, rows[-1][2])
        return Found(due, last if number == looked_at else None)

    async def ended(self, since: datetime, *, most: int) -> Sequence[Due]:
        """See ``SealStore``."""
        async with self._readers.connection() as connection:
            rows = await (await connection.execute(_ENDED, (since, most))).fetchall()
        return [Due(session_id, target, count, ENDED) for session_id, target, count in rows]

    async def revoked(self, until_us: int, *, most: int) -> Struck:
        """See ``SealStore``."""
        async with self._readers.connection() as connection:
            rows = await (await connection.execute(_LOOKED_AT, (until_us, _MOST_LOOKED_AT))).fetchall()
            looked_at = dict(rows)
            if not looked_at:
                return Struck((), {})
            rows = await (await connection.execute(_REVOKED, (list(looked_at), most))).fetchall()
        return Struck([Due(session_id, target, count, REVOKED) for session_id, target, count in rows], looked_at)

    async def settled(self, revocations: Sequence[UUID]) -> None:
        """See ``SealStore``."""
        async with self._writers.transaction() as connection:
            await connection.execute(_SETTLE, (list(revocations),))

    async def leaves(self, parts: Sequence[Stretch]) -> Mapping[Stretch, bytes]:
        """See ``SealStore``."""
        columns = [one.session_id for one in parts], [one.start for one in parts], [one.stop for one in parts]
        async with self._readers.connection() as connection:
            rows = await (await connection.execute(_LEAVES, columns, binary=True)).fetchall()
        return {Stretch(session_id, start, stop): bytes(hashes) for session_id, start, stop, hashes in rows}

    async def unanswered(self, sessions: Sequence[UUID]) -> Mapping[UUID, int]:
        """See ``SealStore``."""
        async with self._readers.connection() as connection:
            rows = await (await connection.execute(_UNANSWERED, (list(sessions),))).fetchall()
        return dict(rows)

    async def close(self) -> None:
        """See ``SealStore``."""
        await self._writers.close()
        await self._readers.close()
