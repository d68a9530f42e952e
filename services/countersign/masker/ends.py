"""Who tells the record how a call ended: whoever is first, what masks its answer or what hears that its caller left."""

from __future__ import annotations

from typing import Final

HUNG_UP: Final = "the caller hung up before the target answered"
MOST_OVER: Final = 10_000
"""Calls that are over and still known: Envoy tells of a caller that left within a second."""


class Ends:
    """The calls that somebody here sees to the end, by their ids; each is ended on the record by one alone."""

    def __init__(self, most_over: int = MOST_OVER) -> None:
        self._most_over = most_over
        self._seen_to: set[str] = set()
        self._over: dict[str, None] = {}

    def mine(self, call_id: str) -> bool:
        """Take a call over; ``False`` when somebody has it, or had it a moment ago."""
        if call_id in self._seen_to or call_id in self._over:
            return False
        self._seen_to.add(call_id)
        return True

    def over(self, call_id: str) -> None:
        """Say that a call which was taken over needs nobody any more."""
        self._seen_to.discard(call_id)
        self._over[call_id] = None
        if len(self._over) > self._most_over:
            del self._over[next(iter(self._over))]
