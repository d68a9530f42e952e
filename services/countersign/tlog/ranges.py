"""A tree that only grows, held by the roots of its perfect subtrees: at most 63 hashes, whatever its size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce

from countersign.tlog.hashing import EMPTY_ROOT, node_hash


class Frontier:
    """The right edge of a tree: leaves are appended, the root can be had at any size.

    ``hashes`` are the roots of the perfect subtrees that the leaves fall into, from the left (largest) to the right:
    one a bit of ``size`` that is set.
    """

    __slots__ = ("_hashes", "_size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        """Take up a tree of ``size`` leaves where it was left. Raises ``ValueError`` if the hashes are not as many."""
        self._size = size
        self._hashes = list(hashes)
        if size < 0 or len(self._hashes) != size.bit_count():
            raise ValueError("a frontier has one hash for each bit of its size that is set")

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The roots of the perfect subtrees, from the left."""
        return tuple(self._hashes)

    def append(self, leaf: bytes) -> None:
        """Append the hash of a leaf."""
        hashes, size = self._hashes, self._size
        while size & 1:
            leaf = node_hash(hashes.pop(), leaf)
            size >>= 1
        hashes.append(leaf)
        self._size += 1

    def root(self) -> bytes:
        """Return the root over all leaves so far."""
        return fold(self._hashes)


def fold(hashes: Iterable[bytes]) -> bytes:
    """Return the root over perfect subtrees that follow each other, from the largest to the smallest."""
    row = list(hashes)
    if not row:
        return EMPTY_ROOT
    return reduce(lambda right, left: node_hash(left, right), reversed(row))


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the RFC 6962 tree head over the hashes of leaves, in order."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def perfect_subtrees(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the perfect subtrees (level, index) that leaves ``begin`` to ``end`` fall into, from the left.

    ``begin`` is a multiple of the largest power of two below the length, as it is for all subtrees of RFC 6962.
    """
    while begin < end:
        level = (end - begin).bit_length() - 1
        yield level, begin >> level
        begin += 1 << level
