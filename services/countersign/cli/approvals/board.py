"""The approvals that a watch shows, kept up to date by what the gateway tells. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from countersign.model.approval import Approval

_MOST_ENDED = 10


class Board:
    """Knows each approval in the newest version that it was told of."""

    def __init__(self) -> None:
        self._known: dict[str, Approval] = {}
        self._ended: list[str] = []
        # What was told since the connection began, until all is told that there is.
        self._told: set[str] | None = set()

    def begin(self) -> None:
        """Begin anew, as with a new connection: what is not told of again by then is over."""
        self._told = set()

    def take(self, approvals: Iterable[Approval], *, whole: bool) -> list[Approval]:
        """Take what was told; return what is news. ``whole`` says that all is told that there is."""
        news = []
        for one in approvals:
            if self._told is not None:
                self._told.add(one.id)
            known = self._known.get(one.id)
            if known is None or known.version < one.version:
                self._known[one.id] = one
                news.append(one)
                if not one.state.is_open and one.id not in self._ended:
                    self._ended.append(one.id)
        if whole and self._told is not None:
            for gone in self._known.keys() - self._told - set(self._ended):
                # It ended while nobody was told; how, its own page says.
                del self._known[gone]
            self._told = None
        while len(self._ended) > _MOST_ENDED:
            del self._known[self._ended.pop(0)]
        return news

    def rows(self) -> list[Approval]:
        """Return those that are open, the oldest first, which wait the longest; then the last few that ended."""
        waiting = sorted((one for one in self._known.values() if one.state.is_open), key=lambda one: one.asked_at_us)
        return waiting + [self._known[ended] for ended in reversed(self._ended)]
