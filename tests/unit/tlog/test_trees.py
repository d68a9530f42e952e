"""Roots, proofs and tiles, against RFC 6962's own definitions, published vectors and somebody else's code."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tamperlog import merkle as others

from countersign.tlog import (
    EMPTY_ROOT,
    BadProof,
    BadTile,
    Frontier,
    TileId,
    edge_tiles,
    grow,
    leaf_hash,
    node_hash,
    plan_consistency,
    plan_inclusion,
    plan_root,
    root_from_inclusion,
    root_of,
    split_hashes,
    tile_width,
    verify_consistency,
    verify_inclusion,
)
from tests.support.cost import cpu_s
from tests.unit.tlog.trees import CT_LEAVES, CT_ROOTS, head, leaves, path, proof

SIZE = 1030
ROW = leaves(SIZE)
TILES = grow(0, {}, ROW).tiles
SIZES = st.one_of(st.integers(1, SIZE), st.sampled_from([255, 256, 257, 511, 512, 513, 768, 1023, 1024, 1025]))


@pytest.mark.parametrize("count", range(9))
def test_the_published_roots_of_certificate_transparency_are_ours(count: int) -> None:
    assert root_of([leaf_hash(leaf) for leaf in CT_LEAVES[:count]]).hex() == CT_ROOTS[count]


def test_published_hashes_of_leaves_and_nodes_are_ours() -> None:
    # transparency-dev/merkle, rfc6962_test.go.
    assert leaf_hash(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    assert node_hash(b"N123", b"N456").hex() == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"
    assert EMPTY_ROOT.hex() == CT_ROOTS[0]


def test_every_proof_of_every_small_tree_is_that_of_the_rfc() -> None:
    for size in range(1, 20):
        row = ROW[:size]
        assert plan_root(size).make(TILES) == (head(row),)
        for index in range(size):
            assert list(plan_inclusion(index, size).make(TILES)) == path(index, row)
        for old in range(1, size + 1):
            assert list(plan_consistency(old, size).make(TILES)) == proof(old, row)


@settings(max_examples=40)
@given(SIZES, st.data())
def test_proofs_are_those_of_the_rfc_and_others_believe_them(size: int, data: st.DataObject) -> None:
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    row, root = ROW[:size], head(ROW[:size])
    included = plan_inclusion(index, size).make(TILES)
    consistent = plan_consistency(old, size).make(TILES)
    assert list(included) == path(index, row) == others.inclusion_proof(index, row)
    assert list(consistent) == proof(old, row) == others.consistency_proof(old, row)
    others.verify_inclusion(index, size, row[index], list(included), root)
    others.verify_consistency(old, head(row[:old]), size, root, list(consistent))
    verify_inclusion(row[index], index, size, included, root)
    verify_consistency(old, head(row[:old]), size, root, consistent)


@settings(max_examples=60)
@given(SIZES, st.data())
def test_a_proof_proves_nothing_else(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    hashes = list(plan_inclusion(index, size).make(TILES))
    root = root_of(ROW[:size])
    bad: list[tuple[bytes, int, int, list[bytes]]] = [
        (ROW[(index + 1) % SIZE], index, size, hashes),
        (ROW[index], index, size, [*hashes, ROW[0]]),
        (ROW[index], size, size, hashes),
        (ROW[index], -1, size, hashes),
    ]
    if hashes:
        at = data.draw(st.integers(0, len(hashes) - 1))
        changed = [*hashes[:at], ROW[0] if hashes[at] != ROW[0] else ROW[1], *hashes[at + 1 :]]
        bad += [(ROW[index], index, size, hashes[:-1]), (ROW[index], index, size, changed)]
        # Beside an equal sibling a leaf could be either; ours all differ.
        bad += [(ROW[index], (index + 1) % size, size, hashes)]
    for leaf, place, of, shown in bad:
        with pytest.raises(BadProof):
            verify_inclusion(leaf, place, of, shown, root)


@settings(max_examples=60)
@given(SIZES, st.data())
def test_a_tree_that_is_not_the_beginning_of_another_has_no_proof(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size))
    hashes, first, second = plan_consistency(old, size).make(TILES), root_of(ROW[:old]), root_of(ROW[:size])
    forked = root_of([*ROW[: old - 1], ROW[-1] if old < SIZE else ROW[0]])
    tries = [
        (old, forked, size, second, hashes),
        (old, first, size, root_of(ROW[: size - 1]), hashes),
        (old, first, size, second, [*hashes, ROW[0]]),
        (size + 1, first, size, second, hashes),
        (0, EMPTY_ROOT, size, second, [ROW[0]]),
        (0, first, size, second, []),
    ]
    if hashes:
        tries += [
            (old, first, size, second, hashes[:-1]),
            (old, first, size, second, hashes[1:]),
            (old, first, size, second, []),
            (old, first, size, second, (*hashes[:-1], EMPTY_ROOT)),
        ]
    for each in tries:
        with pytest.raises(BadProof):
            verify_consistency(*each)


def test_trees_of_one_size_are_consistent_only_if_they_are_one_and_every_tree_goes_on_from_none() -> None:
    verify_consistency(7, ROW[0], 7, ROW[0], [])
    verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    verify_consistency(0, EMPTY_ROOT, 3, root_of(ROW[:3]), [])
    assert plan_consistency(0, 9).parts == plan_consistency(9, 9).parts == ()
    for other in ((7, ROW[0], 7, ROW[1]), (0, ROW[0], 0, ROW[0])):
        with pytest.raises(BadProof):
            verify_consistency(*other, [])


@pytest.mark.parametrize(
    ("index", "size"), [(0, 0), (5, 5), (-1, 5), (0, 2**63)], ids=["empty", "behind", "before", "huge"]
)
def test_what_is_not_in_a_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(BadProof):
        plan_inclusion(index, size)
    with pytest.raises(BadProof):
        root_from_inclusion(ROW[0], index, size, [])


def test_a_proof_that_ends_early_leads_nowhere() -> None:
    hashes = plan_inclusion(3, 300).make(TILES)
    for shown in (hashes[:-1], (), (*hashes, ROW[0])):
        with pytest.raises(BadProof):
            root_from_inclusion(ROW[3], 3, 300, shown)


def test_hashes_of_other_lengths_and_endless_proofs_are_refused() -> None:
    with pytest.raises(BadProof):
        root_from_inclusion(ROW[0], 0, 2, [ROW[1][:-1]])
    with pytest.raises(BadProof):
        root_from_inclusion(ROW[0], 0, 2**62, ROW[:1000])
    with pytest.raises(BadProof):
        verify_consistency(1, b"", 2, ROW[0], [ROW[1]])


@settings(max_examples=25)
@given(st.lists(st.integers(0, 300), min_size=1, max_size=8))
def test_tiles_are_the_same_however_the_tree_grew(steps: list[int]) -> None:
    size, tiles = 0, dict[TileId, bytes]()
    for step in steps:
        step = min(step, SIZE - size)
        grown = grow(size, {tile: tiles[tile] for tile in edge_tiles(size)}, ROW[size : size + step])
        assert grown.size == size + step
        size, tiles = grown.size, tiles | grown.tiles
    assert tiles == grow(0, {}, ROW[:size]).tiles
    assert all(len(content) == 32 * tile_width(tile, size) for tile, content in tiles.items())
    assert plan_root(size).make(tiles) == (root_of(ROW[:size]),)


def test_a_tree_does_not_grow_on_an_edge_that_is_not_its_own() -> None:
    (edge,) = edge_tiles(5)
    for content in (b"", b"".join(ROW[:4]), b"".join(ROW[:6]), b"".join(ROW[:5])[:-1]):
        with pytest.raises(BadTile):
            grow(5, {edge: content}, ROW[5:6])
    with pytest.raises(BadTile):
        grow(5, {}, ROW[5:6])


def test_a_proof_is_not_made_of_tiles_that_are_missing_or_cut() -> None:
    plan = plan_inclusion(3, 300)
    for tile in plan.tiles:
        short = dict(TILES) | {tile: TILES[tile][:32]}
        for tiles in (short, {key: value for key, value in TILES.items() if key != tile}):
            with pytest.raises(BadTile):
                plan.make(tiles)


def test_a_frontier_goes_on_where_it_was_left() -> None:
    frontier = Frontier()
    for at, leaf in enumerate(ROW[:100]):
        again = Frontier(frontier.size, frontier.hashes)
        assert again.root() == head(ROW[:at])
        frontier.append(leaf)
        again.append(leaf)
        assert again.root() == frontier.root()
    with pytest.raises(ValueError, match="one hash for each bit"):
        Frontier(3, [ROW[0]])


def test_hashes_are_whole() -> None:
    assert split_hashes(b"".join(ROW[:3])) == ROW[:3]
    with pytest.raises(BadTile):
        split_hashes(ROW[0][:-1])


def test_a_proof_in_a_tree_of_a_million_needs_few_tiles_and_little_time() -> None:
    wanted = plan_inclusion(777_777, 1_000_000)
    assert len(wanted.tiles) <= 6
    # What they hold does not matter for what it costs.
    tiles = dict.fromkeys(wanted.tiles, bytes(8192))
    assert cpu_s(lambda: plan_inclusion(777_777, 1_000_000).make(tiles)) < 0.005
