"""How one stored event is read with its body, for every statement that reads events."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from countersign.recorder.bodies import BodyKeeper, BodyUnreadable, Shelved
from countersign.recorder.ports import StoredEvent

# Of events ``e`` and their bodies ``b``.
STORED_EVENT = b"e.index, e.sequence, e.recorded_at, e.record, e.event_id, e.shelf, b.size, b.form, b.content"


def with_bodies(events: bytes, shelf: bytes = b"shelf") -> bytes:
    """Return how a statement begins that reads the bodies of some ``events`` (a SELECT with ``index`` and ``shelf``).

    What follows finds the events as ``e`` and, beside them, the bodies that there are as ``b``.
    """
    order = b" ORDER BY index) FROM e)"
    arrays = b"(SELECT array_agg(" + shelf + order + b", (SELECT array_agg(index" + order
    return (
        b"WITH e AS MATERIALIZED ("
        + events
        + b"), b AS MATERIALIZED (SELECT * FROM countersign.bodies_of("
        + arrays
        + b"))"
    )


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
