"""How much of the table one target, one principal, and one principal at one target may fill. Pure.

Who floods is refused alone: without shares a single target could fill the table for all others, for as long as it says
that its tasks last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

MOST_OF_TARGET = 500_000
MOST_OF_PRINCIPAL = 100_000
MOST_OF_BOTH = 20_000
"""Of one principal at one target: well below either share, so that neither of them can use up the other's."""


@dataclass(frozen=True, slots=True)
class Share:
    """Whose a share is: a target's, a principal's, or a principal's at one target. ``b""`` stands for any."""

    target: bytes
    principal: bytes


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many handles each kind of share holds at most."""

    target: int = MOST_OF_TARGET
    principal: int = MOST_OF_PRINCIPAL
    both: int = MOST_OF_BOTH

    def of(self, share: Share) -> int:
        """How many handles a share holds at most."""
        if share.target and share.principal:
            return self.both
        return self.target if share.target else self.principal

    def half(self) -> Bounds:
        """From how many on a share is counted: of those that hold less nobody needs to know how much."""
        return Bounds(max(1, self.target // 2), max(1, self.principal // 2), max(1, self.both // 2))


@dataclass(slots=True)
class Shares:
    """Knows which shares are full: by what was counted now and then, and by what was kept here since."""

    bounds: Bounds = field(default_factory=Bounds)
    _counted: Mapping[Share, int] = field(default_factory=dict)
    _since: Counter[Share] = field(default_factory=Counter)
    _meanwhile: Counter[Share] = field(default_factory=Counter)

    def counting(self) -> None:
        """Say that a count begins: what is kept from now on it may not have seen."""
        self._meanwhile = Counter()

    def counted(self, held: Mapping[Share, int]) -> None:
        """Take what each share holds that holds at least ``bounds.half()``; any other is taken to hold that much."""
        self._counted, self._since = held, self._meanwhile
        self.counting()

    def take(self, target: bytes, principal: bytes, count: int) -> bool:
        """Count ``count`` more handles of a principal at a target; whether they fit into all three shares."""
        shares = (Share(target, b""), Share(b"", principal), Share(target, principal))
        half = self.bounds.half()
        if any(
            self._counted.get(share, half.of(share)) + self._since[share] + count > self.bounds.of(share)
            for share in shares
        ):
            return False
        for kept in (self._since, self._meanwhile):
            kept.update(dict.fromkeys(shares, count))
        return True
