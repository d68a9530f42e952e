"""How one stored event is read with its body, for every statement that reads events."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from countersign.recorder.bodies import BodyKeeper, BodyUnreadable, Shelved
from countersign.recorder.ports import StoredEvent

# Of ``countersign.events AS e``. A body that was held back is on shelf 0. A LATERAL with LIMIT is looked up event by
# event, whatever the planner thinks of new tables.
BODY_OF_EVENT = b"""
    LEFT JOIN LATERAL (
        SELECT size, form, content FROM countersign.bodies WHERE shelf IN (e.shelf, 0) AND index = e.index LIMIT 1
    ) AS b ON true"""
STORED_EVENT = b"e.index, e.sequence, e.recorded_at, e.record, e.event_id, e.shelf, b.size, b.form, b.content"


def stored_event(
    keeper: BodyKeeper,
    index: int,
    sequence: int,
    recorded_at: datetime,
    record: str,
    event_id: UUID,
    shelf: int | None,
    size_bytes: int | None,
    form: int | None,
    content: bytes | None,
) -> StoredEvent:
    """Make an event of a row of ``STORED_EVENT``: without a shelf it has no body, without a size that was erased."""
    if shelf is None:
        return StoredEvent(index, sequence, recorded_at, record, b"")
    if size_bytes is None or form is None or content is None:
        return StoredEvent(index, sequence, recorded_at, record, None)
    try:
        opened = keeper.open(event_id, Shelved(size_bytes, form, content))
    except BodyUnreadable:
        return StoredEvent(index, sequence, recorded_at, record, None)
    return StoredEvent(index, sequence, recorded_at, record, opened.body, opened.salt)
