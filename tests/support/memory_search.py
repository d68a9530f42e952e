"""A store of events that are found, in memory, for tests of what stands before it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from countersign.recorder.entry import Entry
from countersign.recorder.search.ports import Bodies, Candidates, Extent, Found, Span, Wanted
from countersign.runtime.postgres import DatabaseUnavailable
from tests.support.memory_store import MemoryStore


class MemorySearchStore:
    """Finds events of ``record`` by their target alone, none of it indexed. See ``SearchStore``.

    ``page_bytes`` bounds bodies in sum; ``cut_to`` makes the record as short as an older copy of it.
    """

    def __init__(self, record: MemoryStore) -> None:
        self._record = record
        self.page_bytes = 4 * 1024 * 1024
        self.cut_to: int | None = None
        self.looks = 0

    @property
    def _rows(self) -> list[tuple[int, int, Entry]]:
        if self._record.away:
            raise DatabaseUnavailable("away")
        return self._record.rows[: self.cut_to]

    async def extent(self) -> Extent:
        """See ``SearchStore.extent``."""
        self.looks += 1
        return Extent(0, len(self._rows))

    async def span(self, wanted: Wanted) -> range:
        """See ``SearchStore.span``."""
        return range(2**62)

    async def candidates(self, wanted: Wanted, *, low: int, high: int, at_most: int) -> Candidates:
        """See ``SearchStore.candidates``."""
        raise AssertionError("nothing is indexed")

    async def events(self, wanted: Wanted, within: Sequence[Span], *, newest_first: bool, at_most: int) -> list[Found]:
        """See ``SearchStore.events``."""
        found = [
            Found(index, sequence, datetime.now(UTC), entry.record, 1 if entry.body else None, False)
            for index, sequence, entry in self._rows
            if any(one.start <= index < one.stop for one in within) and wanted.target in ("", entry.target)
        ]
        return (found[::-1] if newest_first else found)[:at_most]

    async def bodies(self, events: Sequence[Found], *, first_bytes: int | None = None) -> Bodies:
        """See ``SearchStore.bodies``."""
        bodies: dict[int, bytes] = {}
        for one in events:
            body = self._record.rows[one.index][2].body
            if first_bytes is None and bodies and sum(map(len, bodies.values())) + len(body) > self.page_bytes:
                return Bodies(bodies, one.index)
            bodies[one.index] = body[:first_bytes]
        return Bodies(bodies)

    async def close(self) -> None:
        """See ``SearchStore.close``."""
