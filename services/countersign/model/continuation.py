"""Which session goes on from a sealed one: every sender and every recorder works out the same."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid5

_CONTINUATIONS = UUID("9d0f0b0e-5b0c-5c6e-8f0e-2b6f3a1f7d52")
# A session that is taken up again every hour for a year is continued as often.
LONGEST_CHAIN = 10_000


def next_session(session_id: UUID) -> UUID:
    """Return the session that goes on from ``session_id`` once that is sealed: always the same."""
    return uuid5(_CONTINUATIONS, session_id.bytes.hex())


def continuations(session_id: UUID) -> Iterator[UUID]:
    """Walk from a session to what goes on from it, without the session itself, ``LONGEST_CHAIN`` steps at most."""
    for _ in range(LONGEST_CHAIN):
        session_id = next_session(session_id)
        yield session_id


def session_before(continued: UUID, *, from_session: UUID) -> UUID | None:
    """Return the session that ``continued`` goes on from, if the walk from ``from_session`` leads there."""
    before = from_session
    for one in continuations(from_session):
        if one == continued:
            return before
        before = one
    return None
