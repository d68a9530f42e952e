"""Streams that are quiet: the gateway keeps them alive, and ends those whose target should have said something."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from countersign.config import Limits
from countersign.model.handoff import Handoff

KEEPALIVE = b":\n\n"
"""A comment (WHATWG HTML, section 9.2.6): no client makes anything of it. It stands between events, never within."""

# What waits for news: the server's own stream of either era.
_WAITS = frozenset({"GET", "subscriptions/listen"})

_T = TypeVar("_T")


class Quiet:
    """How long one stream of events may be quiet. ``silence_s``: its target, at most; ``None`` is for ever."""

    def __init__(self, keepalive_s: float, silence_s: float | None) -> None:
        self._keepalive_s = keepalive_s
        self._silence_s = silence_s

    @classmethod
    def of(cls, handoff: Handoff, limits: Limits) -> Quiet:
        """Return how long the answer to this request may be quiet: to wait for news is what some requests are for."""
        waits_for_news = any(call.method in _WAITS for call in handoff.calls)
        # Envoy ends what is quiet for as long as a target may be silent, whoever is.
        keepalive_s = min(limits.keepalive_s, limits.upstream_timeout_s / 2)
        return cls(keepalive_s, None if waits_for_news else limits.upstream_timeout_s)

    async def until(self, read: Awaitable[_T], keep_alive: Callable[[], Awaitable[object]]) -> _T:
        """Return what ``read`` does; call ``keep_alive`` whenever nothing came for as long as a stream may be quiet.

        Raises ``TooSilent`` when the target was silent for too long. ``read`` is then cancelled, as it is by whoever
        cancels this.
        """
        loop = asyncio.get_running_loop()
        reading = asyncio.ensure_future(read)
        ends = None if self._silence_s is None else loop.time() + self._silence_s
        try:
            while True:
                wait_s = self._keepalive_s if ends is None else min(self._keepalive_s, ends - loop.time())
                done, _ = await asyncio.wait((reading,), timeout=max(wait_s, 0.0))
                if done:
                    return reading.result()
                if ends is not None and loop.time() >= ends:
                    raise TooSilent("the target was silent for too long")
                await keep_alive()
        finally:
            reading.cancel()


class TooSilent(Exception):
    """The target said nothing for longer than it may."""
