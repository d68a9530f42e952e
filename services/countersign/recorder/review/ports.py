"""What summing up use, and keeping verdicts, needs of a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from countersign.recorder.ports import StoredEvent


@dataclass(frozen=True, slots=True)
class Piece:
    """Events of a session that are alike: requests (``is_call``) or answers; times in microseconds since the epoch.

    ``outcome`` is a request's (see event.proto), ``approved`` says that it ran by an approval, ``hour`` is that of its
    day (UTC). ``rules`` and ``groups`` are what the record says of a request, as JSON, each with something behind it.
    ``rows`` and ``size_bytes`` are those of answers, ``found`` the findings of both.
    """

    session_id: UUID
    issuer: str
    subject: str
    principal_kind: str
    target: str
    method: str
    name: str
    is_call: bool
    outcome: int
    approved: bool
    hour: int
    rules: str
    groups: str
    events: int
    rows: int
    size_bytes: int
    found: int
    first_us: int
    last_us: int


class ReviewStore(Protocol):
    """Every method raises ``DatabaseUnavailable``."""

    async def indices(self, since_us: int, until_us: int) -> range:
        """See ``ReadStore.indices``."""

    async def pieces(self, since_us: int, until_us: int, target: str, *, start: int, stop: int) -> Sequence[Piece]:
        """Return what was seen between the times among the events with ``start <= index < stop``: some thousand.

        Only of ``target``, where it is not empty; only of sessions whose principal is known.
        """

    async def verdicts(self, review_id: str, *, start: int, limit: int) -> list[StoredEvent]:
        """Return events of verdicts on a review with ``index >= start``, in order, at most ``limit``."""

    async def close(self) -> None:
        """Let go of all connections."""
