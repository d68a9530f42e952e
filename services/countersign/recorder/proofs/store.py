"""Leaves in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from countersign.recorder.proofs.ports import Leaf
from countersign.runtime.postgres import Readers

_SAMPLE = 256

_BY_INDEX = b"SELECT index, record FROM countersign.events WHERE index = %s"
_BY_ID = b"SELECT index, record FROM countersign.events WHERE event_id = %s"
_LEAVES = b"SELECT record FROM countersign.events WHERE index >= %s AND index < %s ORDER BY index"
_MEAN = b"SELECT avg(octet_length(record))::float8 FROM countersign.events WHERE index = ANY(%s::bigint[])"


class PostgresLeafStore:
    """The leaves of the log; see ``LeafStore``. Its connections are read-only."""

    def __init__(self, dsn: str) -> None:
        self._readers = Readers(dsn, application_name="countersign-proofs")

    async def leaf(self, index: int) -> Leaf | None:
        """See ``LeafStore``."""
        return await self._one(_BY_INDEX, index)

    async def leaf_of(self, event_id: UUID) -> Leaf | None:
        """See ``LeafStore``."""
        return await self._one(_BY_ID, event_id)

    async def leaves(self, start: int, stop: int) -> Sequence[str]:
        """See ``LeafStore``."""
        async with self._readers.connection() as connection:
            found = await connection.execute(_LEAVES, (start, stop), binary=True)
            return [record for (record,) in await found.fetchall()]

    async def mean_bytes(self, size: int) -> float:
        """See ``LeafStore``."""
        indices = list(range(0, size, max(1, size // _SAMPLE)))
        async with self._readers.connection() as connection:
            row = await (await connection.execute(_MEAN, (indices,))).fetchone()
            return float(row[0]) if row is not None and row[0] is not None else 0.0

    async def close(self) -> None:
        """See ``LeafStore``."""
        await self._readers.close()

    async def _one(self, query: bytes, key: object) -> Leaf | None:
        async with self._readers.connection() as connection:
            row = await (await connection.execute(query, (key,))).fetchone()
            return None if row is None else Leaf(*row)
