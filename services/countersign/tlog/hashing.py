"""Merkle tree hashes over SHA-256 (RFC 6962, section 2.1; RFC 9162, section 2.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from countersign.tlog.encoding import HASH_BYTES
from countersign.tlog.errors import BadTile

EMPTY_ROOT: Final = sha256().digest()
"""The root of a tree without leaves."""


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf: SHA-256(0x00 || leaf)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node: SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """Return the root over hashes of equal height, whose count is a power of two."""
    row = list(hashes)
    while len(row) > 1:
        row = [sha256(b"\x01" + row[at] + row[at + 1]).digest() for at in range(0, len(row), 2)]
    return row[0]


def split_hashes(content: bytes) -> list[bytes]:
    """Take concatenated hashes apart. Raises ``BadTile`` where the last one is cut."""
    if len(content) % HASH_BYTES:
        raise BadTile(f"{len(content)} bytes are no whole number of hashes of {HASH_BYTES} bytes")
    return [content[at : at + HASH_BYTES] for at in range(0, len(content), HASH_BYTES)]
