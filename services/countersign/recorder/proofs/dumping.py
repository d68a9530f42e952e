"""The whole log as files (c2sp.org/tlog-tiles), as a checkpoint shows it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import islice
from typing import Final

from countersign.recorder.log.ports import Published, TreeReader
from countersign.recorder.proofs.errors import Incomplete
from countersign.recorder.proofs.ports import LeafStore
from countersign.tlog import (
    HASH_BYTES,
    MAX_ENTRY_BYTES,
    TILE_WIDTH,
    TileId,
    all_bundles,
    all_tiles,
    encode_entries,
    entries_path,
    tile_path,
)

CHECKPOINT: Final = "checkpoint"
_TILES_AT_ONCE: Final = 64


async def files(
    published: Published, tree: TreeReader, store: LeafStore, *, from_size: int = 0
) -> AsyncIterator[tuple[str, bytes]]:
    """Yield path and content of each file: entries, tiles, and the checkpoint as the last.

    Bundles of entries below ``from_size``, a multiple of 256, are left out. Holds a bundle of 256 entries at a time (at
    most 16 MiB). Raises ``Incomplete``, ``DatabaseUnavailable``.
    """
    for bundle in islice(all_bundles(published.size), from_size // TILE_WIDTH, None):
        first = bundle.tile * TILE_WIDTH
        entries = [record.encode() for record in await store.leaves(first, first + bundle.width)]
        if len(entries) != bundle.width:
            raise Incomplete(f"events from {first} on are missing")
        if any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
            # Only events that were recorded before they became leaves can be as long.
            raise Incomplete(f"an event from {first} on is longer than an entry can be: this log cannot be dumped")
        yield entries_path(bundle.tile, bundle.width), encode_entries(entries)
    wanted = all_tiles(published.size)
    while some := list(islice(wanted, _TILES_AT_ONCE)):
        tiles = await tree.tiles([TileId(one.level or 0, one.tile) for one in some])
        for one in some:
            tile = TileId(one.level or 0, one.tile)
            # What was partial then may hold more by now.
            content = tiles.get(tile, b"")[: one.width * HASH_BYTES]
            if len(content) != one.width * HASH_BYTES:
                raise Incomplete(f"tile {tile.tile} of level {tile.level} is missing or too short")
            yield tile_path(tile, one.width), content
    yield CHECKPOINT, published.note.encode()


async def total_bytes(published: Published, store: LeafStore) -> int:
    """Return how many bytes all files have together, about."""
    size = published.size
    hashes = size * TILE_WIDTH // (TILE_WIDTH - 1)
    return int(size * (await store.mean_bytes(size) + 2) + hashes * HASH_BYTES) + len(published.note)
