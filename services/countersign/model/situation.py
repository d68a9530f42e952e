"""What a decision depends on beside the call and its principal: when, from where, and what was used before."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Usage:
    """What one principal had of one target in the sliding windows that end now, without the call that is judged.

    ``calls`` counts allowed calls that are no connection methods; ``rows`` and ``bytes`` are what answers held (bytes
    before masking). Counts may be a little too high (the oldest part of a window counts in full), never too low by more
    than what was answered in the last seconds at other replicas.
    """

    calls_1m: int = 0
    calls_1h: int = 0
    calls_24h: int = 0
    rows_1m: int = 0
    rows_1h: int = 0
    rows_24h: int = 0
    bytes_1m: int = 0
    bytes_1h: int = 0
    bytes_24h: int = 0

    def after(self, calls: int) -> Usage:
        """Return it as it is after so many more calls."""
        if not calls:
            return self
        return replace(
            self,
            calls_1m=self.calls_1m + calls,
            calls_1h=self.calls_1h + calls,
            calls_24h=self.calls_24h + calls,
        )


@dataclass(frozen=True, slots=True)
class Situation:
    """``time_us`` is in microseconds since the epoch; ``source_address`` the caller's IP address, empty if unknown."""

    time_us: int
    source_address: str = ""
    usage: Usage = Usage()
