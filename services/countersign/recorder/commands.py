"""What a commit says to Postgres, and what it hears: commands with values as the server itself keeps them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from psycopg.pq.abc import PGresult

from countersign.recorder.bodies import Shelved
from countersign.recorder.entry import Entry
from countersign.recorder.plan import Row, SessionChange, SessionState
from countersign.recorder.rows import (
    BODY_COLUMNS,
    EVENT_COLUMNS,
    body_values,
    event_values,
    ids,
    number,
    numbers,
    texts,
    timestamp,
)
from countersign.runtime.pipelined import Command

_BEGIN = b"BEGIN ISOLATION LEVEL READ COMMITTED"
_LOCK_HEAD = b"SELECT next_index FROM countersign.head FOR UPDATE"
_ANY_KNOWN = b"SELECT event_id FROM countersign.events WHERE event_id = ANY($1::uuid[])"
_SESSIONS = b"""
    SELECT session_id, event_count, issuer, subject, target, seal_index IS NOT NULL FROM countersign.sessions
    WHERE session_id = ANY($1::uuid[])"""
_INSERT_EVENT = (
    b"INSERT INTO countersign.events " + EVENT_COLUMNS + b" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,"
    b" $13, $14)"
)
_INSERT_BODY = b"INSERT INTO countersign.bodies " + BODY_COLUMNS + b" VALUES ($1, $2, $3, $4, $5)"
_NEW_SESSION = b"""
    INSERT INTO countersign.sessions (issuer, subject, groups, kind, token_id, known_as, target, first_index,
        first_time_us, last_time_us, event_count, allowed_count, denied_count, refused_count, finding_count,
        ended, continues, touched_at, session_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)"""
_MORE_OF_SESSIONS = b"""
    UPDATE countersign.sessions AS s SET
        first_time_us = least(s.first_time_us, more.first_us), last_time_us = greatest(s.last_time_us, more.last_us),
        event_count = s.event_count + more.events, allowed_count = s.allowed_count + more.allowed,
        denied_count = s.denied_count + more.denied, refused_count = s.refused_count + more.refused,
        finding_count = s.finding_count + more.findings, touched_at = $1
    FROM unnest($2::uuid[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[], $9::int8[])
        AS more (session_id, first_us, last_us, events, allowed, denied, refused, findings)
    WHERE s.session_id = more.session_id"""
_NAME_SESSION = b"""
    UPDATE countersign.sessions SET issuer = $1, subject = $2, groups = $3, kind = $4, token_id = $5, known_as = $6
    WHERE session_id = $7"""
# What goes on from a session is its principal's, also when it begins with an answer: usage, lists and holds ask whose.
_INHERIT_WHO = b"""
    UPDATE countersign.sessions AS s
    SET issuer = b.issuer, subject = b.subject, groups = b.groups, kind = b.kind, token_id = b.token_id,
        known_as = b.known_as
    FROM countersign.sessions AS b WHERE s.session_id = $1 AND b.session_id = s.continues"""
_END_SESSION = b"UPDATE countersign.sessions SET ended = true WHERE session_id = $1"
_SEAL_SESSION = b"""
    UPDATE countersign.sessions SET seal_index = $1, seal_root = $2, seal_unanswered = $3, seal_reason = $4,
        sealed_at = $5 WHERE session_id = $6"""
_MOVE_HEAD = b"UPDATE countersign.head SET next_index = $1"

COMMIT, ROLLBACK = Command(b"COMMIT"), Command(b"ROLLBACK")

Placed = tuple[int, Shelved]
"""The shelf of a body, and what is put there."""

_INT8 = struct.Struct(">q")


def looks(entries: Sequence[Entry]) -> tuple[Command, ...]:
    """Begin, lock the head, and look which of the entries and of their sessions are known."""
    sessions = {key for one in entries for key in (one.session_key, one.continues_key) if key}
    return (
        Command(_BEGIN),
        Command(_LOCK_HEAD),
        Command(_ANY_KNOWN, (ids([entry.event_key for entry in entries]),)),
        Command(_SESSIONS, (ids(list(sessions)),)),
    )


def next_index(head: PGresult) -> int | None:
    """Read the head: ``None`` when there is none."""
    return None if head.ntuples == 0 else _int(head, 0, 0)


def event_keys(found: PGresult) -> list[bytes]:
    """Read which events are known."""
    return [_bytes(found, row, 0) for row in range(found.ntuples)]


def session_states(found: PGresult) -> dict[bytes, SessionState]:
    """Read what there is of sessions, by their keys."""
    return {
        _bytes(found, row, 0): SessionState(
            event_count=_int(found, row, 1),
            issuer=_bytes(found, row, 2).decode(),
            subject=_bytes(found, row, 3).decode(),
            target=_bytes(found, row, 4).decode(),
            sealed=_bytes(found, row, 5) != b"\0",
        )
        for row in range(found.ntuples)
    }


def inserts(rows: Sequence[Row], placed: Sequence[Placed | None], now_us: int) -> Iterator[Command]:
    """Write events and their bodies, one by one."""
    for row, place in zip(rows, placed, strict=True):
        yield Command(_INSERT_EVENT, event_values(row, None if place is None else place[0], now_us))
    for row, place in zip(rows, placed, strict=True):
        if place is not None:
            yield Command(_INSERT_BODY, body_values(row.index, *place))


def changes_of(sessions: Sequence[SessionChange], last_index: int, now_us: int) -> Iterator[Command]:
    """Write what the events add to their sessions, and move the head behind the last of them."""
    now = timestamp(now_us)
    for change in sessions:
        if change.is_new:
            yield Command(_NEW_SESSION, (*_new_session(change), now, change.session_key))
            if change.continues_key and not change.who.subject:
                yield Command(_INHERIT_WHO, (change.session_key,))
    if more := [change for change in sessions if not change.is_new]:
        columns = (
            numbers([one.first_time_us for one in more]),
            numbers([one.last_time_us for one in more]),
            *[numbers(column) for column in zip(*[_counts(one) for one in more], strict=True)],
        )
        yield Command(_MORE_OF_SESSIONS, (now, ids([one.session_key for one in more]), *columns))
    for change in more:
        if change.named:
            yield Command(_NAME_SESSION, (*_who(change), change.session_key))
        if change.ended:
            yield Command(_END_SESSION, (change.session_key,))
    for change in sessions:
        if change.seal is not None:
            index, seal = change.seal
            unanswered, reason = str(seal.unanswered_count), seal.method.encode()
            yield Command(_SEAL_SESSION, (number(index), seal.seal_root, unanswered, reason, now, change.session_key))
    yield Command(_MOVE_HEAD, (number(last_index + 1),))


def _new_session(change: SessionChange) -> tuple[bytes | str | None, ...]:
    times = (change.first_index, change.first_time_us, change.last_time_us)
    return (
        *(*_who(change), change.target.encode(), *map(number, times), *map(number, _counts(change))),
        *(b"\1" if change.ended else b"\0", change.continues_key or None),
    )


def _who(change: SessionChange) -> tuple[bytes | str, ...]:
    who = change.who
    return (
        *(who.issuer.encode(), who.subject.encode(), texts(who.groups)),
        *(who.kind.encode(), who.token_id.encode(), texts(who.known_as)),
    )


def _counts(change: SessionChange) -> tuple[int, int, int, int, int]:
    return (
        change.event_count,
        change.allowed_count,
        change.denied_count,
        change.refused_count,
        change.finding_count,
    )


def _bytes(result: PGresult, row: int, column: int) -> bytes:
    value = result.get_value(row, column)
    if value is None:
        raise ValueError("the database left out what it always has")
    return value


def _int(result: PGresult, row: int, column: int) -> int:
    found: int = _INT8.unpack(_bytes(result, row, column))[0]
    return found
