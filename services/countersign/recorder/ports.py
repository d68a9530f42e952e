"""What the recorder needs of a store, and the shapes that it reads from one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from countersign.recorder.entry import Entry, Settled
from countersign.recorder.who import Who


class AppendStore(Protocol):
    """Where entries become durable. One caller at a time."""

    async def open(self) -> None:
        """Connect, and bring the tables up to date. Raises ``DatabaseError``."""

    async def ping(self) -> None:
        """Return when the store answers, else raise ``DatabaseUnavailable``."""

    async def append(self, entries: Sequence[Entry]) -> list[Settled]:
        """Make all new entries durable in one commit and return what became of each, in order.

        An entry that is recorded already is recorded once. When this raises ``DatabaseUnavailable`` nobody knows
        whether the commit happened: call again with the same entries. Raises ``Unstorable`` when the store refuses the
        content of an entry; then nothing was committed.
        """

    async def close(self) -> None:
        """Let go of the connection."""


class Unstorable(Exception):
    """The store refuses the content of at least one of the entries, and always will. The message is safe to show."""


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Which sessions to list; all that are set must hold. Times in microseconds since the epoch."""

    subject: str = ""
    target: str = ""
    name: str = ""
    outcome: int = 0
    since_us: int | None = None
    until_us: int | None = None
    issuer: str = ""
    group: str = ""
    principal_kind: str = ""
    # From here on: sessions with an event that has this.
    method: str = ""
    rule: str = ""
    approval_id: str = ""
    label: str = ""
    relation: str = ""


@dataclass(frozen=True, slots=True)
class SealRow:
    """What a session's seal says: ``root`` is the RFC 6962 head over its leaves without the seal's own."""

    index: int
    root: bytes
    unanswered_count: int
    sealed_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class SessionRow:
    """What is told of a session. ``first_index`` orders sessions and never changes.

    ``continues`` is the sealed session that it goes on from; ``seal`` is ``None`` while it is open. The seal is itself
    one of ``event_count`` events.
    """

    session_id: UUID
    first_index: int
    who: Who
    target: str
    first_time_us: int
    last_time_us: int
    event_count: int
    allowed_count: int
    denied_count: int
    refused_count: int
    finding_count: int
    continues: UUID | None = None
    seal: SealRow | None = None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it is kept: ``record`` is its leaf.

    ``body`` is ``None`` once it was erased, and where it was not asked for; ``salt`` is that of the leaf's commitment,
    empty without a body.
    """

    index: int
    sequence: int
    recorded_at: datetime
    record: str
    body: bytes | None
    salt: bytes = b""


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls, and answers to calls, to read: those seen at ``since_us`` or later and before ``until_us``.

    ``subject`` and ``target`` must hold when they are set. Calls before ``bodies_since_us`` come without their bodies.
    """

    since_us: int
    until_us: int
    bodies_since_us: int = 0
    subject: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class StoredFact:
    """A call (a REQUEST) with its body, or an answer without; ``issuer`` and ``subject`` are its session's."""

    event: StoredEvent
    is_call: bool
    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class FactPage:
    """What was found, in order of the index. All that matches below ``next_index`` was found by now."""

    facts: Sequence[StoredFact]
    next_index: int


class ReadStore(Protocol):
    """What auditors read. Every method raises ``DatabaseUnavailable``."""

    async def sessions(self, wanted: SessionFilter, *, before: int | None, limit: int) -> list[SessionRow]:
        """Return the newest sessions whose ``first_index`` is below ``before``, at most ``limit``, newest first."""

    async def session(self, session_id: UUID) -> SessionRow | None:
        """Return one session, if there is one."""

    async def events(self, session_id: UUID, *, start: int, stop: int) -> list[StoredEvent]:
        """Return events with ``start <= sequence < stop`` in order: a page, at least one while there are any."""

    async def indices(self, since_us: int, until_us: int) -> range:
        """Return indices outside of which no event was seen between the times, and none that is not recorded yet.

        It holds as long as the clocks of those who saw events and of the recorders are less than a day apart.
        """

    async def facts(self, wanted: CallFilter, *, start: int, stop: int) -> FactPage:
        """Return a page of what is wanted with ``start <= index < stop``; the next begins at its ``next_index``."""

    async def call(self, event_id: UUID) -> StoredEvent | None:
        """Return one event of kind REQUEST, if there is one."""

    async def close(self) -> None:
        """Let go of all connections."""
