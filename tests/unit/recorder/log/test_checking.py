"""Whoever changes a hash anywhere above an event breaks the way from that event to the root."""

from __future__ import annotations

import pytest

from countersign.recorder.log.checking import check, check_lineage, lineage, read_signed, root_at
from countersign.recorder.log.errors import LogStopped
from countersign.tlog import TILE_WIDTH, Checkpoint, TileId, grow, sign_checkpoint
from tests.support.log_keys import log_key

SIZE = TILE_WIDTH * TILE_WIDTH + 300
TILES = grow(0, {}, [bytes([index % 251]) * 32 for index in range(SIZE)]).tiles


def test_the_way_up_ends_at_the_first_partial_tile() -> None:
    assert lineage(255, SIZE) == [TileId(0, 255), TileId(1, 0), TileId(2, 0)]
    assert lineage(256, SIZE) == [TileId(0, 256), TileId(1, 1)]
    for tile in (0, 255, 256):
        check_lineage(lineage(tile, SIZE), TILES)


@pytest.mark.parametrize("changed", lineage(255, SIZE), ids=lambda tile: f"level {tile[0]}")
@pytest.mark.parametrize("how", ["changed", "short", "gone"])
def test_each_tile_on_the_way_is_what_the_next_was_made_of(changed: TileId, how: str) -> None:
    tiles = dict(TILES)
    at = 255 * 32 if changed.level == 1 else 0
    before = tiles.pop(changed)
    if how != "gone":
        tiles[changed] = before[:at] + (bytes([before[at] ^ 1]) + before[at + 1 :] if how == "changed" else b"")
    with pytest.raises(LogStopped, match="was changed"):
        check_lineage(lineage(255, SIZE), tiles)


async def test_of_several_that_were_signed_each_must_be_gone_on_from() -> None:
    async def tiles(_: object) -> dict[TileId, bytes]:
        return TILES

    whole = [Checkpoint("log.test", size, await _root(size)) for size in (5, 300)]
    await check(whole, SIZE, tiles)
    await check([], 0, tiles)
    for wrong in (Checkpoint("log.test", 4, bytes(32)), Checkpoint("log.test", 299, bytes(32))):
        with pytest.raises(LogStopped, match="another history"):
            await check([*whole, wrong], SIZE, tiles)
    with pytest.raises(LogStopped, match="older"):
        await check(whole, 299, tiles)


async def _root(size: int) -> bytes:
    async def tiles(_: object) -> dict[TileId, bytes]:
        return TILES

    return await root_at(size, tiles)


def test_a_checkpoint_of_nobody_we_know_is_not_gone_on_from() -> None:
    note = str(sign_checkpoint(Checkpoint("log.test", 5, bytes(32)), [log_key(number=1)]))
    assert read_signed(note, [log_key(number=1).verifier]).size == 5
    with pytest.raises(LogStopped, match="none of the keys"):
        read_signed(note, [log_key(number=2).verifier])
    with pytest.raises(LogStopped, match="damaged"):
        read_signed(note[:-5], [log_key(number=1).verifier])
