"""What the log needs of others, and the shapes that it hands to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from countersign.tlog import TileId

Prove = Callable[[int], Awaitable[Sequence[bytes]]]
"""From an earlier size to the hashes of the consistency proof (RFC 6962, 2.1.2) up to the checkpoint's size.

Empty for 0 and for the checkpoint's own size. Raises ``ValueError`` for a larger one, ``DatabaseUnavailable``.
"""


@dataclass(frozen=True, slots=True)
class WitnessView:
    """What is known of a witness: the size that it cosigned last, why it did not cosign the latest checkpoint."""

    name: str
    cosigned_size: int
    problem: str


class Cosigner(Protocol):
    """Asks witnesses to cosign checkpoints (c2sp.org/tlog-witness)."""

    async def cosign(self, note: str, size: int, prove: Prove) -> Sequence[str]:
        """Return the cosignatures that were to be had for ``note``, a signed checkpoint of ``size``.

        Each is a whole signature line, from its dash to its newline, of a witness that gateway.yaml names, verified;
        at most one a witness. Ends within seconds, and raises nothing for what witnesses do.
        """

    def views(self) -> Sequence[WitnessView]:
        """What is known of each witness, in the order of gateway.yaml."""

    async def close(self) -> None:
        """Let go of all connections."""


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that may be shown: a signed note with as many cosignatures as were asked for.

    ``published_us`` is when, in microseconds since the epoch, by the database's clock.
    """

    origin: str
    size: int
    note: str
    published_us: int


@dataclass(frozen=True, slots=True)
class LogView:
    """How the log stands. Sizes count events: durable, in the tree, shown by the latest checkpoint.

    ``lag_s`` is for how many seconds none was published though there are events that none shows. ``stopped`` says why
    nothing is signed and nothing recorded, and what to do; ``problem`` what keeps it from being signed or published now
    and may pass by itself. Both are empty when all is well. ``is_behind`` is whether appends wait for a checkpoint.
    """

    origin: str
    recorded_size: int
    integrated_size: int
    published_size: int
    published_us: int
    lag_s: int
    stopped: str
    problem: str
    is_behind: bool
    keys: tuple[str, ...]

    def told(self) -> str:
        """Say it in a line, for people."""
        told = f"{self.origin}: {self.integrated_size} events, {self.published_size} of them published"
        if self.lag_s:
            told += f", nothing for {self.lag_s} s"
        if self.stopped:
            return f"{told}; STOPPED: {self.stopped}"
        told += "; calls wait until more is published" if self.is_behind else ""
        return f"{told}; {self.problem}" if self.problem else told


class TreeReader(Protocol):
    """What is read of the tree. Every method raises ``DatabaseUnavailable``."""

    async def tiles(self, wanted: Collection[TileId]) -> Mapping[TileId, bytes]:
        """Return the hashes of tiles, 32 bytes each, in order; those that are not there are left out.

        A tile that was partial for a smaller tree may hold more by now: what a tree of some size has of it is its
        beginning.
        """

    async def published(self, origin: str) -> Published | None:
        """Return the latest checkpoint of an origin, if there is one."""
