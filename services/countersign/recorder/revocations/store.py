"""Revocations in Postgres: all SQL about them is here, in ``news_store.py`` and in ``migrations/`` (0014)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from countersign.model.revocation import Revocation, RevocationKind
from countersign.recorder.revocations.news_store import PostgresNews
from countersign.recorder.revocations.ports import (
    MOST_IN_FORCE,
    NotInForce,
    Proposal,
    Put,
    Revoked,
    Telling,
    TooManyRevocations,
    Untold,
    room_for,
)
from countersign.recorder.revocations.rows import COLUMNS, NUMBERS, revoked_of
from countersign.runtime.postgres import DatabaseUnavailable, Writers

# Alone and first: under READ COMMITTED each later statement sees what was committed before this lock was had.
_LOCK = b"SELECT version, in_force FROM countersign.revocation_head FOR UPDATE"
_MOVE = b"UPDATE countersign.revocation_head SET version = %s, in_force = %s"
_NOTIFY = b"SELECT pg_notify('countersign_revocations', '')"
_HEAR = b"""
    INSERT INTO countersign.revocations_heard (source, source_id) VALUES (%s, %s)
    ON CONFLICT (source, source_id) DO NOTHING"""
_HEARD = b"SELECT EXISTS (SELECT FROM countersign.revocations_heard WHERE source = %s AND source_id = %s)"
# One that is about to be lifted covers nothing.
_SAME = (
    b"SELECT " + COLUMNS + b" FROM countersign.revocations AS r"
    b" JOIN (SELECT DISTINCT * FROM unnest(%s::smallint[], %s::text[], %s::text[]) AS w (kind, issuer, value)) AS w"
    b" USING (kind, issuer, value) WHERE lifted_at IS NULL AND (until_us = 0 OR until_us > %s) AND NOT EXISTS"
    b" (SELECT FROM countersign.revocation_events AS e WHERE e.revocation_id = r.revocation_id AND e.lifts)"
    b" ORDER BY version"
)
_INSERT = b"""
    INSERT INTO countersign.revocations (revocation_id, version, kind, issuer, value, issued_before_s, reason, until_us,
        revoked_us, by_issuer, by_subject, source)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_LIFT = b"""
    UPDATE countersign.revocations AS r SET lifted_at = clock_timestamp(), version = %s + gone.number
    FROM (SELECT id, row_number() OVER () AS number FROM unnest(%s::uuid[]) AS id) AS gone
    WHERE r.revocation_id = gone.id AND lifted_at IS NULL"""
_IS_IN_FORCE = b"""
    SELECT EXISTS (SELECT FROM countersign.revocations
        WHERE revocation_id = %s AND lifted_at IS NULL AND (until_us = 0 OR until_us > %s))"""
_TELL = b"""
    INSERT INTO countersign.revocation_events (event_id, revocation_id, lifts, event) VALUES (%s, %s, %s, %s)
    ON CONFLICT (revocation_id, lifts) DO NOTHING"""
_UNTOLD = b"SELECT event_id, revocation_id::text, lifts, event FROM countersign.revocation_events"
_UNTOLD_OF = _UNTOLD + b" WHERE revocation_id = ANY(%s::uuid[]) ORDER BY made_at, event_id"
_OVERDUE = _UNTOLD + b" WHERE made_at < now() - make_interval(secs => %s) ORDER BY made_at, event_id LIMIT %s"
_TOLD = b"DELETE FROM countersign.revocation_events WHERE event_id = %s"
_RECORDED = b"SELECT EXISTS (SELECT FROM countersign.events WHERE event_id = %s)"
_GET = (
    b"SELECT " + COLUMNS + b" FROM countersign.revocations"
    b" WHERE revocation_id = %s AND lifted_at IS NULL AND (until_us = 0 OR until_us > %s)"
)
_FIND = (
    b"SELECT " + COLUMNS + b" FROM countersign.revocations"
    b" WHERE kind = %s AND issuer = %s AND value = %s AND lifted_at IS NULL ORDER BY version"
)
_PAGE = (
    b"SELECT " + COLUMNS + b" FROM countersign.revocations WHERE lifted_at IS NULL"
    b" AND (until_us = 0 OR until_us > %(now)s) AND (%(issuer)s = '' OR issuer = %(issuer)s)"
    b" AND (%(value)s = '' OR value = %(value)s)"
    b" AND (%(time)s::bigint IS NULL OR (revoked_us, revocation_id) < (%(time)s, %(id)s::uuid))"
    b" ORDER BY revoked_us DESC, revocation_id DESC LIMIT %(limit)s"
)
# By the database's clock, and late: one clock that runs ahead lifts nothing.
_LAPSED = b"""
    SELECT revocation_id FROM countersign.revocations WHERE lifted_at IS NULL AND until_us > 0
        AND until_us < (extract(epoch FROM now()) * 1000000)::bigint - 60000000
    ORDER BY until_us LIMIT %s"""
_FORGET_LIFTED = b"""
    WITH gone AS (DELETE FROM countersign.revocations WHERE revocation_id IN (
        SELECT revocation_id FROM countersign.revocations WHERE lifted_at < now() - interval '1 hour'
        ORDER BY lifted_at LIMIT %s) RETURNING version)
    UPDATE countersign.revocation_head SET forgotten = greatest(forgotten, found.version)
    FROM (SELECT max(version) AS version FROM gone) AS found WHERE found.version IS NOT NULL
    RETURNING (SELECT count(*) FROM gone)"""
_FORGET_HEARD = b"""
    DELETE FROM countersign.revocations_heard WHERE (source, source_id) IN (
        SELECT source, source_id FROM countersign.revocations_heard WHERE heard_at < now() - interval '40 days'
        ORDER BY heard_at LIMIT %s)"""


class PostgresRevocationStore(PostgresNews):
    """See ``RevocationStore``."""

    def __init__(self, dsn: str, *, most: int = MOST_IN_FORCE) -> None:
        super().__init__(dsn)
        self._most = most
        self._writers = Writers(dsn, application_name="countersign-revocations-writer", size=2)

    async def close(self) -> None:
        """See ``RevocationStore.close``."""
        await self._writers.close()
        await super().close()

    async def put(self, proposals: Sequence[Proposal], now_us: int, telling: Telling | None = None) -> Put:
        """See ``RevocationStore.put``."""
        async with self._writers.transaction() as connection:
            head = await _Head.held(connection)
            if telling is not None:
                heard = await connection.execute(_HEAR, (telling.source, telling.digest))
                if not heard.rowcount:
                    return Put(known=True)
            same = await _same(connection, proposals, now_us)
            in_force, made, replaced = _weighed(proposals, same)
            if made and head.in_force + len(made) - len(replaced) > room_for(self._most, telling):
                raise TooManyRevocations
            await head.make([one.revoked for one in made])
            await head.lift(replaced)
            for one in made:
                await _tell(connection, one.untold)
            await head.moved()
        return Put(tuple(in_force), tuple(one.untold for one in made))

    async def heard(self, telling: Telling) -> bool:
        """See ``RevocationStore.heard``."""
        return bool(await self._one(_HEARD, telling.source, telling.digest))

    async def lifting(self, untold: Untold, now_us: int) -> Untold:
        """See ``RevocationStore.lifting``."""
        async with self._writers.transaction() as connection:
            await _Head.held(connection)
            found = await (await connection.execute(_IS_IN_FORCE, (untold.revocation_id, now_us))).fetchone()
            if found is None or not found[0]:
                raise NotInForce
            await _tell(connection, untold)
            rows = await (await connection.execute(_UNTOLD_OF, ([untold.revocation_id],))).fetchall()
        return next(one for one in map(_untold, rows) if one.lifts)

    async def told(self, untold: Untold) -> None:
        """See ``RevocationStore.told``."""
        async with self._writers.transaction() as connection:
            if not untold.lifts:
                await connection.execute(_TOLD, (untold.event_id,))
                return
            head = await _Head.held(connection)
            done = await connection.execute(_TOLD, (untold.event_id,))
            if done.rowcount:
                await head.lift([untold.revocation_id])
                await head.moved()

    async def untold(self, revocation_ids: Sequence[str]) -> Sequence[Untold]:
        """See ``RevocationStore.untold``."""
        async with self._readers.connection() as connection:
            rows = await (await connection.execute(_UNTOLD_OF, (list(revocation_ids),))).fetchall()
        return [_untold(row) for row in rows]

    async def overdue(self, older_than_s: float, most: int) -> Sequence[Untold]:
        """See ``RevocationStore.overdue``."""
        async with self._readers.connection() as connection:
            rows = await (await connection.execute(_OVERDUE, (older_than_s, most))).fetchall()
        return [_untold(row) for row in rows]

    async def recorded(self, event_id: UUID) -> bool:
        """See ``RevocationStore.recorded``."""
        return bool(await self._one(_RECORDED, event_id))

    async def get(self, revocation_id: str, now_us: int) -> Revoked | None:
        """See ``RevocationStore.get``."""
        async with self._readers.connection() as connection:
            row = await (await connection.execute(_GET, (revocation_id, now_us))).fetchone()
        return None if row is None else revoked_of(row)

    async def find(self, kind: RevocationKind, issuer: str, value: str) -> Sequence[Revoked]:
        """See ``RevocationStore.find``."""
        async with self._readers.connection() as connection:
            rows = await (await connection.execute(_FIND, (NUMBERS[kind], issuer, value))).fetchall()
        return [revoked_of(row) for row in rows]

    async def page(
        self, issuer: str, value: str, *, before: tuple[int, UUID] | None, limit: int, now_us: int
    ) -> Sequence[Revoked]:
        """See ``RevocationStore.page``."""
        time_us, last = before or (None, None)
        asked = {"issuer": issuer, "value": value, "time": time_us, "id": last, "limit": limit, "now": now_us}
        async with self._readers.connection() as connection:
            rows = await (await connection.execute(_PAGE, asked)).fetchall()
        return [revoked_of(row) for row in rows]

    async def sweep(self, most: int) -> int:
        """See ``RevocationStore.sweep``."""
        async with self._writers.transaction() as connection:
            head = await _Head.held(connection)
            lapsed = [str(row[0]) for row in await (await connection.execute(_LAPSED, (most,))).fetchall()]
            await head.lift(lapsed)
            await head.moved()
            gone = await (await connection.execute(_FORGET_LIFTED, (most,))).fetchone()
            unheard = await connection.execute(_FORGET_HEARD, (most,))
        return len(lapsed) + (gone[0] if gone is not None else 0) + unheard.rowcount

    async def _one(self, query: bytes, *values: object) -> Any:
        async with self._readers.connection() as connection:
            row = await (await connection.execute(query, values)).fetchone()
        return None if row is None else row[0]


class _Head:
    """The head's row, locked: gives versions to changes, and counts what is in force."""

    def __init__(self, connection: AsyncConnection, version: int, in_force: int) -> None:
        self._connection = connection
        self._found = version
        self._version = version
        self.in_force = in_force

    @classmethod
    async def held(cls, connection: AsyncConnection) -> _Head:
        """Lock it until the transaction ends."""
        row = await (await connection.execute(_LOCK)).fetchone()
        if row is None:
            raise DatabaseUnavailable("the head row of the revocations is missing: restore the database")
        return cls(connection, *row)

    async def make(self, made: Sequence[Revoked]) -> None:
        """Have these in force."""
        if not made:
            return
        first = self._version + 1
        rows = [_values(one, version) for version, one in enumerate(made, first)]
        async with self._connection.cursor() as cursor:
            await cursor.executemany(_INSERT, rows)
        self._version += len(made)
        self.in_force += len(made)

    async def lift(self, revocation_ids: Sequence[str]) -> None:
        """Have these in force no more, as far as they are."""
        if not revocation_ids:
            return
        done = await self._connection.execute(_LIFT, (self._version, list(revocation_ids)))
        self._version += len(revocation_ids)
        self.in_force -= done.rowcount

    async def moved(self) -> None:
        """Write what changed, and have all who follow look once it is committed."""
        if self._version != self._found:
            await self._connection.execute(_MOVE, (self._version, self.in_force))
            await self._connection.execute(_NOTIFY)


async def _same(connection: AsyncConnection, proposals: Sequence[Proposal], now_us: int) -> list[Revoked]:
    wanted = [one.revoked.revocation for one in proposals]
    names = [NUMBERS[one.kind] for one in wanted], [one.issuer for one in wanted], [one.value for one in wanted]
    return [revoked_of(row) for row in await (await connection.execute(_SAME, (*names, now_us))).fetchall()]


def _weighed(proposals: Sequence[Proposal], same: Sequence[Revoked]) -> tuple[list[Revoked], list[Proposal], list[str]]:
    """Return what is in force of each proposal, those to make, and the ids of those that they replace."""
    known: dict[tuple[RevocationKind, str, str], list[Revoked]] = {}
    for one in same:
        known.setdefault(_name(one.revocation), []).append(one)
    in_force: list[Revoked] = []
    made: list[Proposal] = []
    replaced: list[str] = []
    for proposal in proposals:
        others = known.setdefault(_name(proposal.revoked.revocation), [])
        covering = next((one for one in others if one.covers(proposal.revoked)), None)
        in_force.append(covering or proposal.revoked)
        if covering is None:
            made.append(proposal)
            replaced += [one.revocation.revocation_id for one in same if one in others and _replaces(proposal, one)]
            others.append(proposal.revoked)
    return in_force, made, list(dict.fromkeys(replaced))


def _replaces(proposal: Proposal, known: Revoked) -> bool:
    """Whether an issuer's service tells the same for longer; what operators made is theirs to lift."""
    new = proposal.revoked
    return bool(new.source) and (new.source, new.by_issuer) == (known.source, known.by_issuer) and new.covers(known)


def _name(revocation: Revocation) -> tuple[RevocationKind, str, str]:
    return revocation.kind, revocation.issuer, revocation.value


async def _tell(connection: AsyncConnection, untold: Untold) -> None:
    await connection.execute(_TELL, (untold.event_id, untold.revocation_id, untold.lifts, untold.event))


def _untold(row: tuple[Any, ...]) -> Untold:
    event_id, revocation_id, lifts, event = row
    return Untold(event_id, revocation_id, lifts, bytes(event))


def _values(one: Revoked, version: int) -> tuple[object, ...]:
    what = one.revocation
    return (
        *(what.revocation_id, version, NUMBERS[what.kind], what.issuer, what.value, what.issued_before_s, what.reason),
        *(what.until_us, what.revoked_us, one.by_issuer, one.by_subject, one.source),
    )
