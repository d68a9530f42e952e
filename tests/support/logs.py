"""A log as witnesses see it: leaves, a key, checkpoints and consistency proofs; it may lie."""

from __future__ import annotations

from collections.abc import Sequence

from countersign.tlog import (
    Checkpoint,
    KeyKind,
    SignerKey,
    TileId,
    grow,
    leaf_hash,
    plan_consistency,
    plan_root,
    sign_checkpoint,
)


def signer(name: str, kind: KeyKind = KeyKind.NOTE, seed: int = 1) -> SignerKey:
    """A key that is the same each time."""
    return SignerKey(name, kind, bytes([seed]) * 32)


class SomeLog:
    """A log of ``size`` leaves; those that differ by ``salt`` are others from the leaf ``forked_at`` on."""

    def __init__(self, size: int, *, name: str = "log.example", salt: str = "", forked_at: int = 0) -> None:
        self.key = signer(name)
        self.leaves = [leaf_hash(f"{index}{salt if index >= forked_at else ''}".encode()) for index in range(size)]
        self.tiles: dict[TileId, bytes] = grow(0, {}, self.leaves).tiles

    def checkpoint(self, size: int, *keys: SignerKey) -> str:
        """The signed checkpoint of the first ``size`` leaves."""
        (root,) = plan_root(size).make(self.tiles)
        return str(sign_checkpoint(Checkpoint(self.key.name, size, root), keys or [self.key]))

    def proof(self, old: int, new: int) -> Sequence[bytes]:
        """The consistency proof between two sizes."""
        return plan_consistency(old, new).make(self.tiles)
