"""What a run needs of where the record goes, and of the recorder."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from countersign.exports.facts import Fact


class NotTaken(Exception):
    """What was handed over may not have arrived: hand it over again, all of it.

    The message says why, for an operator, and quotes nothing of an event or of an answer. ``wait_s`` is how long the
    other side asked to be left alone; ``smaller`` whether it may take the same in smaller pieces.
    """

    def __init__(self, why: str, *, wait_s: float = 0.0, smaller: bool = False) -> None:
        super().__init__(why)
        self.wait_s = wait_s
        self.smaller = smaller


class FeedAway(Exception):
    """The recorder does not answer, or cannot now; the message is safe to show."""


class SinkHeld(Exception):
    """Another run has the sink."""


class RunLost(Exception):
    """The sink is not this run's any more."""


class Destination(Protocol):
    """Where events of one sink go. One caller at a time."""

    async def take(self, facts: Sequence[Fact]) -> None:
        """Return when all of ``facts`` are safe there, as far as its protocol can tell. Raises ``NotTaken``."""

    async def close(self) -> None:
        """Let go of files and connections; ``take`` opens them again."""


@dataclass(frozen=True, slots=True)
class Run:
    """A sink that is lent to us: what it has not taken begins at ``next_index``."""

    session_id: str
    next_index: int


@dataclass(frozen=True, slots=True)
class Page:
    """Published events in order; all below ``next_index`` was sent, ``published_size`` are published."""

    facts: Sequence[Fact]
    next_index: int
    published_size: int


class Feed(Protocol):
    """The recorder, as runs read it. Every method raises ``FeedAway``."""

    async def open(self, sink: str, description: str) -> Run:
        """Have a sink lent to us; that we read is recorded. Raises ``SinkHeld``."""

    def pages(self, run: Run, from_index: int, *, bodies: bool) -> AsyncGenerator[Page, None]:
        """Follow what is published. Raises ``RunLost``."""

    async def move(self, sink: str, run: Run, next_index: int, *, release: bool = False) -> None:
        """Return when it is durable that the sink has all below ``next_index``, and that it is ours a while longer.

        With 0 the cursor stays; ``release`` ends the run. Raises ``RunLost``.
        """
