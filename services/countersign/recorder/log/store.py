"""The log in Postgres. The tables are made by the record's store: see ``migrations/0009_log.sql``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from psycopg import AsyncConnection

from countersign.recorder.log.errors import LogStopped
from countersign.recorder.log.growing import Batch, first_leaf, grown
from countersign.recorder.log.ports import Published
from countersign.runtime.postgres import Readers, Writers
from countersign.tlog import TILE_WIDTH, TileId, edge_tiles

# One transaction's worth: some tenths of a second, so that who waits for the row does not wait long.
BATCH_EVENTS = 64 * TILE_WIDTH

_LOCK = b"SELECT integrated_size FROM countersign.log FOR UPDATE SKIP LOCKED"
# Tile by tile, hashed there: what travels is 32 bytes an event.
# First the hashes, so that they are sorted, not the records.
_LEAVES = b"""
    WITH leaves AS MATERIALIZED (
        SELECT index, sha256('\\x00'::bytea || convert_to(record, 'UTF8')) AS hash FROM countersign.events
        WHERE index >= %s AND index < %s
    )
    SELECT min(index), max(index), string_agg(hash, '' ORDER BY index) FROM leaves GROUP BY index >> 8 ORDER BY 1"""
_EVENT_AT = b"SELECT event_id FROM countersign.events WHERE index = %s"
_TILES = b"""
    SELECT t.level, t.tile, t.hashes FROM countersign.tiles AS t
    JOIN unnest(%s::smallint[], %s::bigint[]) AS wanted (level, tile) USING (level, tile)"""
_KEEP_TILE = b"""
    INSERT INTO countersign.tiles (level, tile, hashes) VALUES (%s, %s, %s)
    ON CONFLICT (level, tile) DO UPDATE SET hashes = excluded.hashes"""
_INTEGRATED = b"UPDATE countersign.log SET integrated_size = %s"
_STANDING = b"""
    SELECT
        (SELECT next_index FROM countersign.head),
        (SELECT integrated_size FROM countersign.log),
        (SELECT note FROM countersign.signed WHERE origin = %s)"""
_LATEST = b"""
    SELECT origin, size, note, (extract(epoch FROM published_at) * 1000000)::bigint FROM countersign.checkpoints
    WHERE origin = %s ORDER BY size DESC LIMIT 1"""
# A row that changes nothing, too, is locked, and there is one from the first time on.
_LOCK_SIGNED = b"""
    INSERT INTO countersign.signed (origin, size, note, signed_at) VALUES (%s, 0, '', now())
    ON CONFLICT (origin) DO UPDATE SET origin = excluded.origin RETURNING note"""
_SIGNED = b"UPDATE countersign.signed SET size = %s, note = %s, signed_at = now() WHERE origin = %s"
_PUBLISH = b"""
    INSERT INTO countersign.checkpoints (origin, size, note, published_at) VALUES (%s, %s, %s, now())
    ON CONFLICT (origin, size) DO NOTHING"""
_THIN = b"""
    DELETE FROM countersign.checkpoints AS c WHERE c.origin = %s AND c.published_at < now() - interval '1 hour'
    AND EXISTS (
        SELECT FROM countersign.checkpoints AS later WHERE later.origin = c.origin AND later.size > c.size
        AND date_trunc('hour', later.published_at, 'UTC') = date_trunc('hour', c.published_at, 'UTC'))"""
_TAKE_TURN = b"""
    INSERT INTO countersign.turns AS t (work, whose, until)
    VALUES (%(work)s, %(whose)s, clock_timestamp() + make_interval(secs => %(for_s)s))
    ON CONFLICT (work) DO UPDATE SET whose = excluded.whose, until = excluded.until
    WHERE t.whose = excluded.whose OR t.until < clock_timestamp() RETURNING true"""
_END_TURN = b"DELETE FROM countersign.turns WHERE work = %s AND whose = %s"


@dataclass(frozen=True, slots=True)
class Standing:
    """How many events are durable, how many in the tree, and the last checkpoint signed; "" before the first."""

    recorded_size: int
    integrated_size: int
    signed: str


class Signing:
    """What is held while a checkpoint is signed: nobody else signs in this origin's name before it ends."""

    def __init__(self, connection: AsyncConnection, origin: str, standing: Standing) -> None:
        self._connection = connection
        self._origin = origin
        self.standing = standing

    async def tiles(self, wanted: Collection[TileId]) -> Mapping[TileId, bytes]:
        """See ``TreeReader.tiles``."""
        return await _tiles(self._connection, wanted)

    async def keep(self, size: int, note: str) -> None:
        """Keep ``note`` as the last that was signed, once the transaction ends."""
        await self._connection.execute(_SIGNED, (size, note, self._origin))


class PostgresLogStore:
    """Tiles, what was signed, what was shown. Every method raises ``DatabaseUnavailable``."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._readers, self._writers = self._connections()

    def _connections(self) -> tuple[Readers, Writers]:
        return (
            Readers(self._dsn, application_name="countersign-log"),
            Writers(self._dsn, application_name="countersign-log-writer", size=2),
        )

    async def close(self) -> None:
        """Let go of all connections."""
        await self._readers.close()
        await self._writers.close()

    async def renew(self) -> None:
        """Connect again: who was led to another server is not to ask the one before how the log stands."""
        readers, writers = self._readers, self._writers
        self._readers, self._writers = self._connections()
        await readers.close()
        await writers.close()

    async def standing(self, origin: str) -> Standing:
        """Return how the log stands."""
        async with self._readers.connection() as connection:
            return await _standing(connection, origin)

    async def tiles(self, wanted: Collection[TileId]) -> Mapping[TileId, bytes]:
        """See ``TreeReader.tiles``."""
        async with self._readers.connection() as connection:
            return await _tiles(connection, wanted)

    async def published(self, origin: str) -> Published | None:
        """See ``TreeReader.published``."""
        async with self._readers.connection() as connection:
            row = await (await connection.execute(_LATEST, (origin,))).fetchone()
            return None if row is None else Published(*row)

    async def holds(self, index: int, event_id: UUID) -> bool:
        """Whether an event is where it was recorded."""
        async with self._readers.connection() as connection:
            row = await (await connection.execute(_EVENT_AT, (index,))).fetchone()
            return row is not None and row[0] == event_id

    async def leaves(self, tile: int) -> bytes:
        """Return the hashes of the leaves of a tile of level 0, made of the events as they are now."""
        start = tile * TILE_WIDTH
        async with self._readers.connection() as connection:
            row = await (await connection.execute(_LEAVES, (start, start + TILE_WIDTH), binary=True)).fetchone()
            return b"" if row is None else bytes(row[2])

    async def integrate(self, most: int = BATCH_EVENTS) -> int:
        """Put at most ``most`` events that are not in the tree yet into it; return how many.

        One transaction: the tiles and the size change together, or not at all, and the same events make the same
        tiles, whoever does it. 0 also when another recorder is about it. Raises ``LogStopped`` when the events that are
        there are not those that the tree was made of, as far as they are looked at: the last tile's.
        """
        async with self._writers.transaction() as connection:
            row = await (await connection.execute(_LOCK)).fetchone()
            if row is None:
                return 0
            size: int = row[0]
            found = await connection.execute(_LEAVES, (first_leaf(size), size + most), binary=True)
            batches = [Batch(first, last, bytes(hashes)) for first, last, hashes in await found.fetchall()]
            edge = await _tiles(connection, edge_tiles(size))
            after = grown(size, edge, batches)
            if after.size == size:
                return 0
            async with connection.cursor() as cursor:
                await cursor.executemany(_KEEP_TILE, [(*tile, hashes) for tile, hashes in after.tiles.items()])
            await connection.execute(_INTEGRATED, (after.size,))
            return after.size - size

    @asynccontextmanager
    async def signing(self, origin: str) -> AsyncIterator[Signing]:
        """Hold the right to sign in the name of ``origin``; what is kept is durable once the block is left."""
        async with self._writers.transaction() as connection:
            await connection.execute(_LOCK_SIGNED, (origin,))
            yield Signing(connection, origin, await _standing(connection, origin))

    async def publish(self, origin: str, size: int, note: str) -> None:
        """Show a checkpoint from now on."""
        async with self._writers.transaction() as connection:
            await connection.execute(_PUBLISH, (origin, size, note))

    async def thin(self, origin: str) -> None:
        """Forget checkpoints that were shown more than an hour ago, but for the last of each hour."""
        async with self._writers.transaction() as connection:
            await connection.execute(_THIN, (origin,))

    async def take_turn(self, work: str, whose: UUID, for_s: float) -> bool:
        """Return whether ``work`` is for ``whose`` to do, for the next ``for_s`` seconds; nobody else has that then."""
        async with self._writers.transaction() as connection:
            # Only who works does it; nothing is lost with it.
            await connection.execute(b"SET LOCAL synchronous_commit = off")
            taken = await connection.execute(_TAKE_TURN, {"work": work, "whose": whose, "for_s": for_s})
            return await taken.fetchone() is not None

    async def end_turn(self, work: str, whose: UUID) -> None:
        """Let others have the turn at once, if it is still of ``whose``."""
        async with self._writers.transaction() as connection:
            await connection.execute(_END_TURN, (work, whose))


async def _standing(connection: AsyncConnection, origin: str) -> Standing:
    row = await (await connection.execute(_STANDING, (origin,))).fetchone()
    if row is None or row[0] is None or row[1] is None:
        raise LogStopped("the rows that say how long the record is are missing: restore the database")
    return Standing(row[0], row[1], row[2] or "")


async def _tiles(connection: AsyncConnection, wanted: Collection[TileId]) -> dict[TileId, bytes]:
    if not wanted:
        return {}
    places = [tile.level for tile in wanted], [tile.tile for tile in wanted]
    found = await connection.execute(_TILES, places, binary=True)
    return {TileId(level, tile): bytes(hashes) for level, tile, hashes in await found.fetchall()}
