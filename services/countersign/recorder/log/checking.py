"""Whether the tree that the database holds goes on from what was signed before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from countersign.recorder.log.errors import LogStopped
from countersign.recorder.log.ports import Published
from countersign.tlog import (
    HASH_BYTES,
    TILE_WIDTH,
    BadTile,
    Checkpoint,
    NotTrusted,
    TileId,
    TlogError,
    VerifierKey,
    open_checkpoint,
    perfect_root,
    plan_root,
    read_unverified,
    split_hashes,
    tile_width,
)

Tiles = Callable[[Collection[TileId]], Awaitable[Mapping[TileId, bytes]]]

_REMEDY = (
    "Bring the newest database back. If it is lost for good, begin a log of another name: countersign log new-key NAME "
    "(docs/record.md says more)"
)


async def root_at(size: int, tiles: Tiles) -> bytes:
    """Return the root of the tree when it had ``size`` leaves. Raises ``LogStopped`` when the tiles do not say it."""
    plan = plan_root(size)
    try:
        return plan.make(await tiles(plan.tiles))[0]
    except BadTile as error:
        raise LogStopped(f"the tree is damaged ({error}): restore the database") from None


async def check(signed: Sequence[Checkpoint], integrated_size: int, tiles: Tiles) -> None:
    """Return when the tree goes on from all of ``signed``. Raises ``LogStopped``, which says why it does not."""
    for checkpoint in sorted(set(signed), key=lambda one: one.size):
        if checkpoint.size > integrated_size:
            raise LogStopped(
                f"the database is older than the log: a checkpoint of {checkpoint.size} events was signed, and the "
                f"database has {integrated_size}. {_REMEDY}"
            )
        if await root_at(checkpoint.size, tiles) != checkpoint.root:
            raise LogStopped(
                f"the database holds another history: its first {checkpoint.size} events are not those of which a "
                f"checkpoint was signed. {_REMEDY}"
            )


def read_published(published: Published) -> Checkpoint:
    """Return the checkpoint that is shown. Raises ``LogStopped`` when it is none of that size.

    Whose it is, its readers look at; here it matters that it is of this tree, for more than it shows is never shown.
    """
    try:
        checkpoint = read_unverified(published.note)[0]
    except TlogError as error:
        raise LogStopped(f"the latest checkpoint is damaged ({error}): restore the database") from None
    if (checkpoint.origin, checkpoint.size) != (published.origin, published.size):
        raise LogStopped("the latest checkpoint is kept under another name or size: restore the database")
    return checkpoint


def lineage(tile: int, size: int) -> list[TileId]:
    """Return a full tile of level 0, those above it, and the first of them that is partial in a tree of ``size``."""
    tiles = [TileId(0, tile)]
    while tile_width(tiles[-1], size) == TILE_WIDTH:
        tiles.append(_above(tiles[-1]))
    return tiles


def check_lineage(tiles: Sequence[TileId], content: Mapping[TileId, bytes]) -> None:
    """Check that each of ``tiles`` but the last is what the next was made of. Raises ``LogStopped``."""
    for tile in tiles[:-1]:
        hashes = content.get(tile, b"")
        at = tile.tile % TILE_WIDTH * HASH_BYTES
        kept = content.get(_above(tile), b"")[at : at + HASH_BYTES]
        if len(hashes) != TILE_WIDTH * HASH_BYTES or perfect_root(split_hashes(hashes)) != kept:
            raise LogStopped(f"tile {tile.tile} of level {tile.level} was changed: restore the database")


def _above(tile: TileId) -> TileId:
    return TileId(tile.level + 1, tile.tile // TILE_WIDTH)


def read_signed(note: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Return the checkpoint in ``note``, the last that the database says was signed. Raises ``LogStopped``."""
    try:
        return open_checkpoint(note, keys).checkpoint
    except NotTrusted:
        raise LogStopped(
            "the log's last checkpoint was signed by none of the keys that sign now: bring back the key that signed it "
            "(keys are changed by adding the new one first), or begin a log of another name"
        ) from None
    except TlogError as error:
        raise LogStopped(f"the log's last checkpoint is damaged ({error}): restore the database") from None
