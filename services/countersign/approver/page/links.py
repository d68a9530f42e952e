"""Links in messages that lead to one approval, and through which one decision is made at most.

A link proves nothing: whoever comes by it signs in like everybody else. To look at it (as scanners of mail and previews
of chats do) never uses it up.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, cast

from countersign.model.approval import Approval, Person
from countersign.runtime.boxes import Box, Over
from countersign.runtime.sealing import Unsealable

AFTER_S = 24 * 3600
"""For so long after its approval's end a link still leads to what became of it."""
_S = 1_000_000


class WhyRefused(StrEnum):
    """Why a link is not taken."""

    FORGED = "the link is not one of this gateway's, or was altered"
    ELSEWHERE = "the link is for another approval"
    EXPIRED = "the link's time is over"
    USED = "the link was used already"


class LinkRefused(Exception):
    """A link is not taken; ``why``."""

    def __init__(self, why: WhyRefused) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True, slots=True)
class Link:
    """A link that was opened: ``id`` is its own, ``until_us`` when its time is over."""

    id: str
    approval_id: str
    until_us: int


class UsedLinks(Protocol):
    """Which links were used. Raises ``countersign.runtime.postgres.DatabaseUnavailable``."""

    async def use(self, link: Link, by: Person, now_us: int) -> bool:
        """Use a link up; whether it was not used before, whoever else tries at once."""

    async def is_used(self, link: Link) -> bool:
        """Whether it is used up."""


class Links:
    """Makes and opens links with a key derived from the deployment's ``key``. ``url`` returns the gateway's URL."""

    def __init__(self, key: bytes, url: Callable[[], str]) -> None:
        self._box = Box(key, "link")
        self._url = url

    def make(self, approval: Approval) -> str:
        """Return a fresh link to an approval, a URL: for one decision."""
        until_us = max(approval.expires_at_us, approval.grant_until_us) + AFTER_S * _S
        sealed = self._box.seal([uuid.uuid4().hex, approval.id, until_us], until_us)
        return f"{self._url()}/approvals/{approval.id}?link={sealed}"

    def open(self, sealed: str, approval_id: str, now_us: int) -> Link:
        """Open what ``make`` put into a link to this approval. Raises ``LinkRefused``."""
        try:
            link_id, sealed_for, until_us = self._box.open(sealed, now_us)
        except Over:
            raise LinkRefused(WhyRefused.EXPIRED) from None
        except Unsealable:
            raise LinkRefused(WhyRefused.FORGED) from None
        link = Link(cast(str, link_id), cast(str, sealed_for), cast(int, until_us))
        if link.approval_id != approval_id:
            raise LinkRefused(WhyRefused.ELSEWHERE)
        return link
