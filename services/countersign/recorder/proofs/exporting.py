"""The export of a session: its events with their proofs, as `countersign verify` reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from countersign.audit.writing import ExportWriter
from countersign.recorder.ports import SessionRow, StoredEvent
from countersign.recorder.proofs.errors import Incomplete, NotPublished, NotYetPublished
from countersign.recorder.proofs.ports import SessionStore
from countersign.recorder.proofs.proving import Prover

PIECE_BYTES: Final = 512 * 1024


class SessionExport:
    """One session as the checkpoint of ``prover`` shows it. Raises ``NotPublished`` when it cannot be exported yet.

    ``unsealed``: whether it may go without its seal. ``seal_after_s`` is what gateway.yaml says, for telling when.
    """

    def __init__(self, row: SessionRow, prover: Prover, *, unsealed: bool, seal_after_s: float) -> None:
        self._row = row
        self._prover = prover
        size = prover.published.size
        self._sealed = row.seal is not None and row.seal.index < size
        if not self._sealed and not unsealed:
            raise _unsealed(row, seal_after_s)
        if row.first_index >= size:
            raise NotYetPublished("no checkpoint shows the session yet: the next one follows in a second or so")

    async def pieces(self, store: SessionStore, *, bodies: bool) -> AsyncIterator[bytes]:
        """Yield the file, at most 512 KiB at a time. Raises ``Incomplete``, ``DatabaseUnavailable``."""
        pending = bytearray()
        async for line in self._lines(store, bodies=bodies):
            pending += line
            while len(pending) >= PIECE_BYTES:
                yield bytes(pending[:PIECE_BYTES])
                del pending[:PIECE_BYTES]
        yield bytes(pending)

    async def _lines(self, store: SessionStore, *, bodies: bool) -> AsyncIterator[bytes]:
        published, writer = self._prover.published, ExportWriter()
        yield writer.begin(origin=published.origin, session_id=str(self._row.session_id), unsealed=not self._sealed)
        async for page in self._pages(store):
            proofs = await self._prover.inclusion([event.index for event in page])
            for event, hashes in zip(page, proofs, strict=True):
                shown = bodies and bool(event.body)
                yield writer.event(
                    index=event.index,
                    leaf=event.record,
                    hashes=hashes,
                    salt=(event.salt or None) if shown else None,
                    body=event.body if shown else None,
                )
        yield writer.end(published.note)

    async def _pages(self, store: SessionStore) -> AsyncIterator[Sequence[StoredEvent]]:
        """Yield the events that the checkpoint shows, in order."""
        start, stop, size = 0, self._row.event_count, self._prover.published.size
        while start < stop:
            page = await store.events(self._row.session_id, start=start, stop=stop)
            if not page or [event.sequence for event in page] != list(range(start, start + len(page))):
                raise Incomplete(f"event {start} of the session, or one soon after it, is missing")
            shown = [event for event in page if event.index < size]
            if shown:
                yield shown
            if len(shown) < len(page):
                return
            start += len(page)


def _unsealed(row: SessionRow, seal_after_s: float) -> NotPublished:
    if row.seal is not None:
        return NotYetPublished(
            "the session is sealed, and no checkpoint shows the seal yet: the next one follows in a second or so"
        )
    return NotPublished(
        f"the session is open: it is sealed {seal_after_s:g} s after its last event, or soon after its client ends it; "
        "until then it can be exported unsealed"
    )
