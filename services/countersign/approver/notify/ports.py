"""What is told to whom, what became of it, and where that is kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class DeliveryState(StrEnum):
    """What became of a notification; see ``DeliveryState`` in approvals.proto."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class News:
    """One change of an approval, as its transaction wrote it down for us.

    ``what`` is ``Transition.what``; ``version`` is the approval's right after the change.
    """

    event_id: str
    approval_id: str
    version: int
    what: str
    at_us: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One change, told by one channel. ``id`` is the same over all attempts, and goes along as the webhook's id.

    ``problem`` is what went wrong last; it never quotes what the other side said, nor any credential. ``memory`` is
    what the channel noted when it told of this (Slack: the message's ``ts``). Times are microseconds since the epoch.
    """

    id: str
    news: News
    channel: str
    state: DeliveryState
    attempts: int
    problem: str
    created_us: int
    next_try_us: int
    memory: str = ""


class DeliveryStore(Protocol):
    """Every method is one transaction. Raises ``countersign.runtime.postgres.DatabaseUnavailable``."""

    async def news(self, limit: int) -> Sequence[News]:
        """Return changes that are not addressed yet, the oldest first."""

    async def address(self, news: News, channels: Collection[str], now_us: int) -> None:
        """Make a delivery for each of ``channels``, once whoever else does the same, and forget the news.

        When it ends an approval, what still waits to be told of the approval's asking is due at once, to be given up.
        """

    async def claim(
        self, *, at_most: int, each: int, busy: Collection[str], lease_until_us: int, now_us: int
    ) -> Sequence[Delivery]:
        """Take deliveries that are due, at most ``each`` of one channel and none of ``busy`` channels.

        Nobody else gets them before ``lease_until_us``, nor a later one of the same approval and channel before these
        are settled. ``attempts`` counts this one.
        """

    async def delivered(self, delivery: Delivery, memory: str, now_us: int) -> None:
        """Write down that it was told, and what the channel must remember of it."""

    async def failed(self, delivery: Delivery, problem: str, next_try_us: int, now_us: int) -> None:
        """Write down that it was not told, and when to try again; nothing if another attempt has begun meanwhile."""

    async def dead(self, delivery: Delivery, problem: str, now_us: int) -> bool:
        """Give it up; whether that was news."""

    async def forget(self, delivery: Delivery) -> None:
        """Drop one that nobody needs any more."""

    async def memory(self, approval_id: str, channel: str) -> str:
        """Return what the channel noted last when it told of this approval; empty when nothing."""

    async def page(
        self, *, approval_id: str = "", dead: bool = False, after: tuple[int, str] | None = None, limit: int
    ) -> Sequence[Delivery]:
        """Return deliveries (of one approval unless empty; ``dead`` ones only), newest (``created_us``, ``id``) first,
        older than ``after``."""

    async def close(self) -> None:
        """Let go of the database."""
