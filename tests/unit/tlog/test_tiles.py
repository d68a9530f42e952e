"""Where the files of a log are and what they hold (c2sp.org/tlog-tiles)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.tlog import (
    BadTile,
    TileId,
    TilePath,
    all_bundles,
    all_tiles,
    decode_entries,
    edge_tiles,
    encode_entries,
    entries_path,
    parse_path,
    tile_path,
)


def test_the_paths_are_those_of_the_specification() -> None:
    assert tile_path(TileId(0, 1234067), 256) == "tile/0/x001/x234/067"
    assert tile_path(TileId(2, 0), 1) == "tile/2/000.p/1"
    assert entries_path(67, 112) == "tile/entries/067.p/112"
    assert entries_path(1067, 256) == "tile/entries/x001/067"


def test_the_tiles_are_those_of_the_specifications_example() -> None:
    tiles = list(all_tiles(70_000))
    assert len([tile for tile in tiles if tile.level == 0]) == 274
    assert tiles[273:] == [TilePath(0, 273, 112), TilePath(1, 0, 256), TilePath(1, 1, 17), TilePath(2, 0, 1)]
    assert edge_tiles(70_000) == (TileId(0, 273), TileId(1, 1), TileId(2, 0))
    assert list(all_tiles(256)) == [TilePath(0, 0, 256), TilePath(1, 0, 1)]
    assert list(all_bundles(257)) == [TilePath(None, 0, 256), TilePath(None, 1, 1)]
    assert list(all_tiles(0)) == list(all_bundles(0)) == []


@given(st.one_of(st.none(), st.integers(0, 63)), st.integers(0, 2**63 - 1), st.integers(1, 256))
def test_a_path_says_what_it_was_made_of(level: int | None, tile: int, width: int) -> None:
    path = entries_path(tile, width) if level is None else tile_path(TileId(level, tile), width)
    assert parse_path(path) == TilePath(level, tile, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/0",
        "tile/0/1000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001/x002",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p",
        "tile/0/000.p/1/2",
        "tile/entries",
        "tile/data/000",
        "tile/0/\u0660\u0660\u0661",
        "tile/0/../000",
        "tile/0/x" + "9" * 4000,
        "tile/0/" + "x999/" * 7 + "999",
        "checkpoint",
    ],
    ids=lambda path: path[:20] or "empty",
)
def test_anything_else_is_no_path(path: str) -> None:
    with pytest.raises(BadTile):
        parse_path(path)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_bundle_holds_its_entries_and_nothing_else(entries: list[bytes]) -> None:
    bundle = encode_entries(entries)
    assert list(decode_entries(bundle, len(entries))) == entries
    bad = [(bundle + b"\0", len(entries)), (bundle, len(entries) + 1)]
    if entries:
        bad += [(bundle[:-1], len(entries)), (bundle, len(entries) - 1), (b"", len(entries))]
    for content, width in bad:
        with pytest.raises(BadTile):
            decode_entries(content, width)


def test_an_entry_is_as_long_as_its_length_can_say() -> None:
    longest = bytes(65_535)
    assert list(decode_entries(encode_entries([longest]), 1)) == [longest]
    with pytest.raises(BadTile):
        encode_entries([longest + b"\0"])
