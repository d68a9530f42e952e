"""What the events that are not in the tree yet make of it: pure, the same for whoever works it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from countersign.recorder.log.errors import LogStopped
from countersign.tlog import HASH_BYTES, TILE_WIDTH, BadTile, Grown, TileId, grow, split_hashes


@dataclass(frozen=True, slots=True)
class Batch:
    """Hashes of the leaves of events that follow each other; ``first`` and ``last`` are indices."""

    first: int
    last: int
    hashes: bytes


def first_leaf(size: int) -> int:
    """Return the first leaf to look at when a tree of ``size`` leaves grows: the last tile's are looked at again."""
    return size - size % TILE_WIDTH


def grown(size: int, edge: Mapping[TileId, bytes], batches: Sequence[Batch]) -> Grown:
    """Return what ``batches``, in order from ``first_leaf(size)`` on, make of a tree of ``size`` leaves.

    ``edge`` are its partial tiles. Raises ``LogStopped`` when an event is missing, or not the one that is in the tree.
    """
    begin = at = first_leaf(size)
    hashes: list[bytes] = []
    for batch in batches:
        if batch.first != at or len(batch.hashes) != (batch.last + 1 - at) * HASH_BYTES:
            raise LogStopped(f"event {at}, or one soon after it, is missing from the record: restore the database")
        hashes += split_hashes(batch.hashes)
        at = batch.last + 1
    if at < size:
        raise LogStopped(f"event {at} is missing from the record: restore the database")
    known = b"".join(hashes[: size - begin])
    differs = first_difference(known, edge.get(TileId(0, begin // TILE_WIDTH), b"") if known else b"")
    if differs is not None:
        raise changed(begin + differs)
    try:
        return grow(size, edge, hashes[size - begin :])
    except BadTile as error:
        raise LogStopped(f"the tree is damaged ({error}): restore the database") from None


def first_difference(found: bytes, kept: bytes) -> int | None:
    """Return the place of the first hash in which two rows of hashes differ; ``None`` when they are the same."""
    if found == kept:
        return None
    for at in range(0, max(len(found), len(kept)), HASH_BYTES):
        if found[at : at + HASH_BYTES] != kept[at : at + HASH_BYTES]:
            return at // HASH_BYTES
    return None


def changed(index: int) -> LogStopped:
    """What is wrong when an event is not the one that is in the tree."""
    return LogStopped(
        f"event {index} is not the one that is in the log: somebody changed the database. Restore it, or, if it "
        "cannot be restored, begin a log of another name in another database"
    )
