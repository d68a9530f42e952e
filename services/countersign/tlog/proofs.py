"""Proofs that a leaf is in a tree, and that a tree is the beginning of another (RFC 6962, 2.1.1 and 2.1.2; RFC 9162).

Making a proof takes two steps, so that a store can fetch what is needed in one statement: a plan says which tiles it
needs, and makes the proof of them.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from countersign.tlog.encoding import HASH_BYTES, MAX_SIZE
from countersign.tlog.errors import BadProof, BadTile
from countersign.tlog.hashing import EMPTY_ROOT, node_hash, perfect_root, split_hashes
from countersign.tlog.ranges import fold, perfect_subtrees
from countersign.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, TileId

MAX_HASHES: Final = 64
"""No proof about a tree of at most ``MAX_SIZE`` leaves has more hashes."""

_Subtree = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to make a proof: for each of its hashes, the perfect subtrees (level, index) it is folded of."""

    parts: tuple[tuple[_Subtree, ...], ...]

    @property
    def tiles(self) -> frozenset[TileId]:
        """The tiles that the proof is made of. A tile of a larger tree serves as well: it only holds more hashes."""
        return frozenset([_place(subtree)[0] for subtree in chain.from_iterable(self.parts)])

    def make(
        self, tiles: Mapping[TileId, bytes], known: MutableMapping[_Subtree, bytes] | None = None
    ) -> tuple[bytes, ...]:
        """Return the hashes of the proof. Raises ``BadTile`` where a tile is missing or too short.

        At most about 255 hashes are computed for each tile. Who makes many proofs about one tree hands the same
        ``known`` to each: what was computed is kept there, by (level, index).
        """
        known = {} if known is None else known
        return tuple([fold([_known_root(subtree, tiles, known) for subtree in part]) for part in self.parts])


def plan_inclusion(index: int, size: int) -> Plan:
    """Plan the proof that leaf ``index`` is in the tree of ``size`` leaves (PATH of RFC 6962). Raises ``BadProof``."""
    if not 0 <= index < size <= MAX_SIZE:
        raise BadProof(f"a tree of {size} leaves has no leaf {index}")
    parts: list[tuple[_Subtree, ...]] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            parts.append(tuple(perfect_subtrees(middle, end)))
            end = middle
        else:
            parts.append(tuple(perfect_subtrees(begin, middle)))
            begin = middle
    return Plan(tuple(reversed(parts)))


def plan_consistency(old: int, new: int) -> Plan:
    """Plan the proof that a tree of ``old`` leaves begins the one of ``new`` (PROOF of RFC 6962). Raises ``BadProof``.

    It is empty where ``old`` is 0 or ``new``.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise BadProof(f"a tree of {old} leaves does not begin one of {new}")
    if old in (0, new):
        return Plan(())
    parts: list[tuple[_Subtree, ...]] = []
    begin, end = 0, new
    while end != old:
        middle = begin + _split(end - begin)
        if old <= middle:
            parts.append(tuple(perfect_subtrees(middle, end)))
            end = middle
        else:
            parts.append(tuple(perfect_subtrees(begin, middle)))
            begin = middle
    if begin:
        parts.append(tuple(perfect_subtrees(begin, end)))
    return Plan(tuple(reversed(parts)))


def plan_root(size: int) -> Plan:
    """Plan the root of a tree of ``size`` leaves: a "proof" of that one hash."""
    return Plan((tuple(perfect_subtrees(0, size)),))


def root_from_inclusion(leaf: bytes, index: int, size: int, hashes: Sequence[bytes]) -> bytes:
    """Return the root that an inclusion proof leads to (RFC 9162, 2.1.3.2). Raises ``BadProof`` if it leads nowhere."""
    _check_hashes([leaf, *hashes])
    if not 0 <= index < size <= MAX_SIZE:
        raise BadProof(f"a tree of {size} leaves has no leaf {index}")
    at, last, root = index, size - 1, leaf
    for one in hashes:
        if last == 0:
            raise BadProof("the inclusion proof has too many hashes")
        if at & 1 or at == last:
            root = node_hash(one, root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            root = node_hash(root, one)
        at, last = at >> 1, last >> 1
    if last:
        raise BadProof("the inclusion proof has too few hashes")
    return root


def verify_inclusion(leaf: bytes, index: int, size: int, hashes: Sequence[bytes], root: bytes) -> None:
    """Check that a leaf (by its hash) is at ``index`` in the tree of ``size`` leaves. Raises ``BadProof``."""
    if root_from_inclusion(leaf, index, size, hashes) != root:
        raise BadProof(f"the inclusion proof of leaf {index} does not lead to the root of the tree of {size} leaves")


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, hashes: Sequence[bytes]) -> None:
    """Check that the tree of ``old`` leaves begins the tree of ``new`` (RFC 9162, 2.1.4.2). Raises ``BadProof``.

    The proof is empty where ``old`` is 0 (its root is then that of the empty tree) or ``new``.
    """
    _check_hashes([old_root, new_root, *hashes])
    if not 0 <= old <= new <= MAX_SIZE:
        raise BadProof(f"a tree of {old} leaves does not begin one of {new}")
    if old in (0, new):
        if hashes or old_root != (EMPTY_ROOT if old == 0 else new_root) or (new == 0 and new_root != EMPTY_ROOT):
            raise BadProof(f"the trees of {old} and {new} leaves are not consistent")
        return
    if _lead(old, new, old_root, hashes) != (old_root, new_root):
        raise BadProof(f"the tree of {old} leaves is not the beginning of the tree of {new} leaves")


def _lead(old: int, new: int, old_root: bytes, hashes: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the two roots that a consistency proof leads to, for 0 < ``old`` < ``new``."""
    # A tree that is perfect is a node of the larger one: the proof leaves its root out.
    path = [old_root, *hashes] if old & (old - 1) == 0 else list(hashes)
    if not path:
        raise BadProof("the consistency proof has too few hashes")
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = path[0]
    for one in path[1:]:
        if last == 0:
            raise BadProof("the consistency proof has too many hashes")
        if at & 1 or at == last:
            first, second = node_hash(one, first), node_hash(one, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node_hash(second, one)
        at, last = at >> 1, last >> 1
    if last:
        raise BadProof("the consistency proof has too few hashes")
    return first, second


def _split(length: int) -> int:
    """Return the largest power of two that is smaller than ``length``."""
    return 1 << ((length - 1).bit_length() - 1)


def _place(subtree: _Subtree) -> tuple[TileId, int, int]:
    """Return the tile that holds a subtree's hashes, where they begin in it, and how many they are."""
    level, index = subtree
    tile_level, height = divmod(level, TILE_HEIGHT)
    tile, at = divmod(index << height, TILE_WIDTH)
    return TileId(tile_level, tile), at, 1 << height


def _known_root(subtree: _Subtree, tiles: Mapping[TileId, bytes], known: MutableMapping[_Subtree, bytes]) -> bytes:
    root = known.get(subtree)
    if root is None:
        known[subtree] = root = _subtree_root(subtree, tiles)
    return root


def _subtree_root(subtree: _Subtree, tiles: Mapping[TileId, bytes]) -> bytes:
    tile_id, at, count = _place(subtree)
    content = tiles.get(tile_id, b"")[at * HASH_BYTES : (at + count) * HASH_BYTES]
    if len(content) != count * HASH_BYTES:
        raise BadTile(f"tile {tile_id.tile} of level {tile_id.level} is missing or too short")
    return perfect_root(split_hashes(content))


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if len(hashes) > MAX_HASHES + 2 or any(len(one) != HASH_BYTES for one in hashes):
        raise BadProof("a proof has too many hashes, or one that is no SHA-256 hash")
