"""Use and verdicts in Postgres: a walk along the primary key, summed up there, so that little has to be sent."""

from __future__ import annotations

from collections.abc import Sequence

from countersign.recorder import stored_calls
from countersign.recorder.bodies import BodyKeeper
from countersign.recorder.ports import StoredEvent
from countersign.recorder.review.ports import Piece
from countersign.recorder.stored_events import STORED_EVENT, stored_event, with_bodies
from countersign.recorder.who import searchable
from countersign.runtime.postgres import Readers

# Canonical JSON without blanks, in which a bare quotation mark opens or closes a string: what looks like a key, or like
# the beginning of a finding, is one. To parse it costs more, and fails at a NUL. See migrations/0004_usage.sql.
_PIECES = rb"""
    SELECT g.session_id, s.issuer, s.subject, s.kind, g.target, g.method, g.name, g.is_call, g.outcome, g.approved,
        g.hour, g.rules, g.groups, g.events, g.row_count, g.size_bytes, g.found, g.first_us, g.last_us
    FROM (
        SELECT session_id, target, method, name, is_call, outcome, approved, hour, rules, groups,
            count(*)::bigint AS events, sum(row_count)::bigint AS row_count, sum(size_bytes)::bigint AS size_bytes,
            sum(found)::bigint AS found, min(time_us) AS first_us, max(time_us) AS last_us
        FROM (
            SELECT session_id, target, method, name, kind = 1 AS is_call, time_us,
                CASE WHEN kind = 1 THEN outcome ELSE 0 END::integer AS outcome,
                kind = 1 AND record LIKE '{"approval\_id":"%%' AS approved,
                CASE WHEN kind = 1 THEN (time_us / 3600000000) %% 24 ELSE 0 END::integer AS hour,
                CASE WHEN kind = 1
                    THEN split_part(split_part(record, ',"rules":', 2), ',"event_id":"', 1) ELSE '' END AS rules,
                CASE WHEN kind = 1
                    THEN split_part(split_part(record, '"groups":', 2), ',"issuer":"', 1) ELSE '' END AS groups,
                CASE WHEN kind = 1 THEN 0 ELSE coalesce(
                    nullif(split_part(split_part(record, ',"row_count":', 2), ',', 1), '')::bigint, 0) END AS row_count,
                CASE WHEN kind = 1 THEN 0 ELSE coalesce(
                    nullif(split_part(split_part(record, ',"size_bytes":', 2), ',', 1), '')::bigint, 0) END
                    AS size_bytes,
                -- Most often each was found once: that is counted without looking for numbers.
                CASE WHEN position(',"findings":[' IN record) = 0 THEN 0
                    WHEN position('{"count":' IN replace(record, '{"count":1,', '')) = 0
                    THEN (length(record) - length(replace(record, '{"count":1,', ''))) / 11
                ELSE (
                    SELECT coalesce(sum(one[1]::bigint), 0) FROM regexp_matches(
                        split_part(record, ',"findings":[', 2), '\{"count":([0-9]+),"label":', 'g') AS one
                ) END AS found
            FROM countersign.events
            WHERE index >= %(start)s AND index < %(stop)s
                -- Of a stream its events, not its end, which repeats their sizes.
                AND kind IN (1, 2, 3) AND time_us >= %(since)s AND time_us < %(until)s
                AND (%(target)s::text = '' OR target = %(target)s::text)
        ) AS one
        GROUP BY session_id, target, method, name, is_call, outcome, approved, hour, rules, groups
    ) AS g
    JOIN countersign.sessions AS s ON s.session_id = g.session_id
    WHERE s.subject <> ''"""
_VERDICTS = (
    with_bodies(
        b"SELECT * FROM countersign.events"
        b" WHERE kind = 14 AND split_part(name, '/', 1) = %s AND index >= %s ORDER BY index LIMIT %s"
    )
    + b" SELECT "
    + STORED_EVENT
    + b" FROM e LEFT JOIN b USING (index) ORDER BY e.index"
)


class PostgresReviewStore:
    """Reads over two connections that cannot write; see ``ReviewStore``."""

    def __init__(self, dsn: str, keeper: BodyKeeper) -> None:
        self._keeper = keeper
        # What is summed up can wait, and the record's own work cannot.
        planner = {"max_parallel_workers_per_gather": "0", "jit": "off"}
        self._readers = Readers(dsn, application_name="countersign-review", size=2, planner=planner)

    async def indices(self, since_us: int, until_us: int) -> range:
        """See ``ReviewStore.indices``."""
        async with self._readers.connection() as connection:
            return await stored_calls.indices(connection, since_us, until_us)

    async def pieces(self, since_us: int, until_us: int, target: str, *, start: int, stop: int) -> Sequence[Piece]:
        """See ``ReviewStore.pieces``."""
        wanted = {
            "since": since_us,
            "until": until_us,
            "target": searchable(target),
            "start": start,
            "stop": stop,
        }
        async with self._readers.connection() as connection:
            found = await connection.execute(_PIECES, wanted, binary=True)
            return [Piece(*row) for row in await found.fetchall()]

    async def verdicts(self, review_id: str, *, start: int, limit: int) -> list[StoredEvent]:
        """See ``ReviewStore.verdicts``."""
        async with self._readers.connection() as connection:
            found = await connection.execute(_VERDICTS, (review_id, start, limit), binary=True)
            return [stored_event(self._keeper, *row) for row in await found.fetchall()]

    async def close(self) -> None:
        """See ``ReviewStore.close``."""
        await self._readers.close()
