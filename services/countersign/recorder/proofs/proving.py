"""Proofs about the tree of the latest checkpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from countersign.recorder.log.ports import Published, TreeReader
from countersign.recorder.proofs.errors import Incomplete
from countersign.tlog import BadTile, Plan, plan_consistency, plan_inclusion

_MOST_KNOWN: Final = 50_000
"""Hashes that are kept while many proofs are made: 10 MB or so."""


class Prover:
    """Proves of one checkpoint. Every method raises ``Incomplete`` and ``DatabaseUnavailable``."""

    def __init__(self, tree: TreeReader, published: Published) -> None:
        self.published = published
        self._tree = tree
        self._known: dict[tuple[int, int], bytes] = {}

    async def inclusion(self, indices: Sequence[int]) -> Sequence[Sequence[bytes]]:
        """Return the proof of each leaf; all are below the checkpoint's size. One look into the database."""
        return await self._made([plan_inclusion(index, self.published.size) for index in indices])

    async def consistency(self, old: int, new: int) -> Sequence[bytes]:
        """Return the proof that the tree of ``old`` leaves begins that of ``new``, at most the checkpoint's size."""
        (proof,) = await self._made([plan_consistency(old, new)])
        return proof

    async def _made(self, plans: Sequence[Plan]) -> Sequence[Sequence[bytes]]:
        tiles = await self._tree.tiles({tile for plan in plans for tile in plan.tiles})
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        made = []
        for plan in plans:
            try:
                made.append(plan.make(tiles, self._known))
            except BadTile as error:
                raise Incomplete(str(error)) from None
            # About half a millisecond each: events are to be recorded meanwhile.
            await asyncio.sleep(0)
        return made
