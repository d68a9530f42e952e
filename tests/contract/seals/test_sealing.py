"""A session that is over is sealed once, with the count and the root of exactly what is in it, and nothing after it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from uuid import UUID

import psycopg
import pytest

from countersign.config.types import Recording
from countersign.model.continuation import next_session
from countersign.model.event import Event
from countersign.recorder.entry import Entry, Sealed, Settled, Verdict, accept
from countersign.recorder.leaf import to_event
from countersign.recorder.seals import sealer as bounds
from countersign.recorder.seals.sealer import SessionSealer
from countersign.recorder.seals.store import PostgresSealStore
from countersign.recorder.store import PostgresAppendStore
from countersign.runtime.postgres import DatabaseUnavailable
from countersign.runtime.recording import to_message
from countersign.tlog import leaf_hash, root_of
from tests.support.events import new_id, request, response

HOUR_S = 3_600.0
_MANY = """
    WITH made AS (
        INSERT INTO countersign.sessions (session_id, first_index, issuer, subject, groups, kind, token_id, target,
            first_time_us, last_time_us, event_count, allowed_count, denied_count, refused_count, finding_count)
        SELECT gen_random_uuid(), n, 'i', 's', '{}', 'person', 't', 'orders', 1, 1, 1, 1, 0, 0, 0
        FROM generate_series(0, %(count)s - 1) AS n RETURNING session_id, first_index
    )
    INSERT INTO countersign.events (index, sequence, time_us, recorded_at, event_id, session_id, call_id, kind, outcome,
        target, method, name, record)
    SELECT first_index, 0, 1, now(), gen_random_uuid(), session_id, gen_random_uuid(), 1, 1, 'orders', 'm', '', 'leaf'
    FROM made"""

LONG = 16_000
# Calls and their answers, but for the last call.
_LONG = """
    INSERT INTO countersign.events (index, sequence, time_us, recorded_at, event_id, session_id, call_id, kind, outcome,
        target, method, name, record)
    SELECT 3 + n, 3 + n, 1, now(), gen_random_uuid(), %(session)s, md5(((n + 1) / 2)::text)::uuid, 2 - n %% 2, n %% 2,
        'orders', 'm', '', 'leaf' FROM generate_series(0, %(count)s - 1) AS n"""


async def append(record: PostgresAppendStore, *events: Event) -> list[Settled]:
    return await record.append([accept(to_message(event)) for event in events])


def sealer(
    sessions: PostgresSealStore, record: PostgresAppendStore, *, later_s: float, seal_after_s: float = HOUR_S
) -> SessionSealer:
    """One that looks so much later."""
    return SessionSealer(
        sessions, record.append, lambda: Recording(seal_after_s=seal_after_s), lambda: time.time() + later_s
    )


async def events_of(dsn: str, session: str) -> list[tuple[int, str]]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        found = await connection.execute(
            "SELECT kind, record FROM countersign.events WHERE session_id = %s ORDER BY sequence", (session,)
        )
        return await found.fetchall()


async def assert_sealed(dsn: str, session: str, *, events: int, unanswered: int, reason: str) -> None:
    """The last event is the seal, and it says what the others are; the session's row says the same."""
    rows = await events_of(dsn, session)
    assert [kind == 11 for kind, _ in rows] == [False] * events + [True]
    seal = to_event(rows[-1][1], b"")
    root = root_of([leaf_hash(record.encode()) for _, record in rows[:-1]])
    assert (seal.seal.event_count, seal.seal.root, seal.seal.unanswered_count) == (events, root, unanswered)
    assert seal.method == reason
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        found = await connection.execute(
            "SELECT event_count, seal_root, seal_unanswered, seal_reason, sealed_at IS NOT NULL"
            " FROM countersign.sessions WHERE session_id = %s",
            (session,),
        )
        assert await found.fetchone() == (events + 1, root, unanswered, reason, True)


async def sealed_count(dsn: str) -> int:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        row = await (await connection.execute("SELECT count(*) FROM countersign.events WHERE kind = 11")).fetchone()
        assert row is not None
        return int(row[0])


async def test_an_idle_session_is_sealed_with_what_is_in_it(
    dsn: str, record: PostgresAppendStore, sessions: PostgresSealStore
) -> None:
    session, call = new_id(), new_id()
    await append(record, request(session, call_id=call), response(session, call_id=call))
    # The recorder died before the answer to this one, as far as the record tells.
    await append(record, request(session))
    assert await sealer(sessions, record, later_s=HOUR_S - 60).round() == (0, False)
    assert await sealer(sessions, record, later_s=HOUR_S + 60).round() == (1, False)
    await assert_sealed(dsn, session, events=3, unanswered=1, reason="idle")
    assert await sealer(sessions, record, later_s=9 * HOUR_S).round() == (0, False)


async def test_clocks_of_senders_seal_nothing_early(
    dsn: str, record: PostgresAppendStore, sessions: PostgresSealStore
) -> None:
    slow = request(time_us=int((time.time() - 20 * HOUR_S) * 1_000_000))
    await append(record, slow)
    assert await sealer(sessions, record, later_s=0).round() == (0, False)


async def test_a_session_that_its_client_ended_is_sealed_soon(
    dsn: str, record: PostgresAppendStore, sessions: PostgresSealStore
) -> None:
    ended, refused, call = new_id(), new_id(), new_id()
    await append(
        record,
        request(ended, call_id=call, method="DELETE", name=""),
        response(ended, call_id=call, method="DELETE", name="", status=204),
        request(refused, call_id=call, method="DELETE", name=""),
        response(refused, call_id=call, method="DELETE", name="", status=405),
    )
    assert await sealer(sessions, record, later_s=1).round() == (0, False)
    assert await sealer(sessions, record, later_s=15).round() == (1, False)
    await assert_sealed(dsn, ended, events=2, unanswered=0, reason="ended")
    assert len(await events_of(dsn, refused)) == 2


async def test_what_comes_after_the_seal_goes_on_elsewhere(
    dsn: str, record: PostgresAppendStore, sessions: PostgresSealStore
) -> None:
    session = new_id()
    await append(record, request(session))
    await sealer(sessions, record, later_s=2 * HOUR_S).round()
    following = next_session(UUID(session))
    late = request(session)
    assert await append(record, late) == [Sealed(following)]
    assert await append(record, request(str(following), continues=session)) == [Verdict.RECORDED]
    await sealer(sessions, record, later_s=2 * HOUR_S).round()
    await assert_sealed(dsn, session, events=1, unanswered=1, reason="idle")
    await assert_sealed(dsn, str(following), events=1, unanswered=1, reason="idle")


async def test_what_is_appended_while_it_is_sealed_is_counted_or_comes_later(
    dsn: str, record: PostgresAppendStore, sessions: PostgresSealStore
) -> None:
    session = new_id()
    await append(record, request(session))

    async def appended_first(entries: Sequence[Entry]) -> Sequence[Settled]:
        await append(record, response(session))
        return await record.append(entries)

    racing = SessionSealer(sessions, appended_first, Recording, lambda: time.time() + 2 * HOUR_S)
    assert await racing.round() == (0, False)
    assert [kind for kind, _ in await events_of(dsn, session)] == [1, 2]
    await sealer(sessions, record, later_s=2 * HOUR_S).round()
    await assert_sealed(dsn, session, events=2, unanswered=1, reason="idle")


async def test_several_that_seal_at_once_make_one_seal_and_no_quarrel(
    dsn: str, record: PostgresAppendStore, sessions: PostgresSealStore, caplog: pytest.LogCaptureFixture
) -> None:
    session = new_id()
    await append(record, request(session))
    others = [PostgresAppendStore(dsn), PostgresAppendStore(dsn)]
    try:
        sealed = await asyncio.gather(
            *[sealer(sessions, store, later_s=2 * HOUR_S).round() for store in (record, *others)]
        )
    finally:
        for store in others:
            await store.close()
    assert sum(count for count, _ in sealed) == 1
    await assert_sealed(dsn, session, events=1, unanswered=1, reason="idle")
    assert not [line for line in caplog.records if line.levelname in ("ERROR", "CRITICAL")]


async def test_long_sessions_are_read_page_by_page(
    dsn: str, record: PostgresAppendStore, sessions: PostgresSealStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "PAGE_LEAVES", 4)
    monkeypatch.setattr(bounds, "MOST_EVENTS", 6)
    lengths = {new_id(): length for length in (3, 9, 4, 1, 8)}
    for session, length in lengths.items():
        await append(record, *[request(session) for _ in range(length)])
    await sealer(sessions, record, later_s=2 * HOUR_S).round()
    for session, length in lengths.items():
        await assert_sealed(dsn, session, events=length, unanswered=length, reason="idle")


async def test_thousands_that_are_due_are_sealed_in_bounded_rounds_between_which_others_append(
    dsn: str, record: PostgresAppendStore, sessions: PostgresSealStore
) -> None:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute(_MANY, {"count": 900})
        await connection.execute("UPDATE countersign.head SET next_index = 900")
    sizes: list[int] = []

    async def counted(entries: Sequence[Entry]) -> Sequence[Settled]:
        sizes.append(len(entries))
        return await record.append(entries)

    one = SessionSealer(sessions, counted, Recording, lambda: time.time() + 2 * HOUR_S)
    more = True
    while more:
        sealed, more = await one.round()
        assert sealed <= bounds.MOST_SEALED
        assert await append(record, request()) == [Verdict.RECORDED]
    assert max(sizes) <= bounds.MOST_SEALED
    assert await sealed_count(dsn) >= 900


async def test_one_that_cannot_be_sealed_keeps_no_other_from_it(
    dsn: str, record: PostgresAppendStore, sessions: PostgresSealStore
) -> None:
    broken, whole = new_id(), new_id()
    await append(record, request(broken), request(whole))
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("UPDATE countersign.sessions SET event_count = 5 WHERE session_id = %s", (broken,))
    assert await sealer(sessions, record, later_s=2 * HOUR_S).round() == (1, False)
    await assert_sealed(dsn, whole, events=1, unanswered=1, reason="idle")
    assert [kind for kind, _ in await events_of(dsn, broken)] == [1]


async def test_a_long_session_of_which_the_database_has_no_figures_is_sealed_in_time(
    dsn: str, record: PostgresAppendStore, sessions: PostgresSealStore
) -> None:
    session, call = new_id(), new_id()
    await append(record, request(session), request(session, call_id=call), response(session, call_id=call))
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute(_LONG, {"session": session, "count": LONG})
        await connection.execute("UPDATE countersign.sessions SET event_count = event_count + %s", (LONG,))
        await connection.execute("UPDATE countersign.head SET next_index = next_index + %s", (LONG,))
    async with asyncio.timeout(8):
        assert await sealer(sessions, record, later_s=2 * HOUR_S).round() == (1, False)
    await assert_sealed(dsn, session, events=LONG + 3, unanswered=2, reason="idle")


async def test_the_longest_is_tried_last(
    dsn: str, record: PostgresAppendStore, sessions: PostgresSealStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MOST_EVENTS", 2)
    too_long, others = new_id(), [new_id() for _ in range(3)]
    await append(record, *[request(too_long) for _ in range(3)], *[request(session) for session in others])
    honest = sessions.unanswered

    async def overburdened(due: Sequence[UUID]) -> Mapping[UUID, int]:
        if UUID(too_long) in due:
            raise DatabaseUnavailable("took too long")
        return await honest(due)

    monkeypatch.setattr(sessions, "unanswered", overburdened)
    with pytest.raises(DatabaseUnavailable):
        await sealer(sessions, record, later_s=2 * HOUR_S).round()
    for session in others:
        await assert_sealed(dsn, session, events=1, unanswered=1, reason="idle")
