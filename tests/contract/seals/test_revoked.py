"""Sessions of the revoked are sealed soon, with the reason; and no others."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest

from countersign.config.types import Recording
from countersign.model.continuation import next_session
from countersign.model.event import Event
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.revocation import Revocation, RevocationKind
from countersign.recorder.entry import accept
from countersign.recorder.revocations.ports import Proposal, Revoked, Untold
from countersign.recorder.revocations.store import PostgresRevocationStore
from countersign.recorder.seals.sealer import GIVEN_UP_AFTER_S, REVOKED_GRACE_S, SessionSealer
from countersign.recorder.seals.store import PostgresSealStore
from countersign.recorder.store import PostgresAppendStore
from countersign.runtime.recording import to_message
from tests.support.events import ALICE, new_id, request, response

ISSUER = "https://other.test"
MALLORY = replace(ALICE, subject="mallory")
FOREIGN = replace(ALICE, issuer=ISSUER)
SIGNED_IN = replace(ALICE, signed_in="sid-1", token_id="token-3")
OTHER_SIGN_IN = replace(ALICE, signed_in="sid-2", token_subject="sid-1", token_id="token-4")
ACTING = replace(ALICE, kind=PrincipalKind.AGENT, actors=("bot",))
MACHINE = replace(ALICE, kind=PrincipalKind.MACHINE, subject="payments-ci", token_subject="repo:acme/payments")
OTHER_TOKEN = replace(ALICE, token_id="token-2")
LONG = replace(ALICE, subject="x" * 512)
Of = Callable[[str], tuple[RevocationKind, str, str]]


async def begin(record: PostgresAppendStore, principal: Principal) -> str:
    """Record a call of a principal; return its session."""
    session = new_id()
    now_us = time.time_ns() // 1_000
    event: Event = request(session, principal=principal, time_us=now_us)
    answer = response(session, call_id=event.call_id, time_us=now_us)
    await record.append([accept(to_message(event)), accept(to_message(answer))])
    return session


async def revoke(
    dsn: str, kind: RevocationKind, issuer: str, value: str, issued_before_s: int | None = None, until_us: int = 0
) -> str:
    what = Revocation(
        *(str(uuid.uuid4()), kind, issuer, value, "case 17", time.time_ns() // 1_000, issued_before_s, until_us)
    )
    store = PostgresRevocationStore(dsn)
    untold = Untold(uuid.uuid4(), what.revocation_id, False, b"event")
    await store.put([Proposal(Revoked(what, ISSUER, "olga"), untold)], what.revoked_us)
    await store.close()
    return what.revocation_id


async def seal(sessions: PostgresSealStore, record: PostgresAppendStore, *, later_s: float = 3.0) -> bool:
    """Seal until nothing more is due; return whether it was asked to go on at first."""
    sealer = SessionSealer(sessions, record.append, Recording, lambda: time.time() + later_s)
    _, first = await sealer.round()
    more = first
    async with asyncio.timeout(10):
        while more:
            _, more = await sealer.round()
    return first


async def sealed(dsn: str) -> dict[str, str]:
    """The sealed sessions, and why."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        found = await connection.execute(
            "SELECT session_id::text, seal_reason FROM countersign.sessions WHERE seal_index IS NOT NULL"
        )
        return dict(await found.fetchall())


@pytest.mark.parametrize(
    ("principal", "others", "of"),
    [
        (MALLORY, (ALICE, replace(MALLORY, issuer=ISSUER)), lambda _: (RevocationKind.PRINCIPAL, "", "mallory")),
        (LONG, (ALICE,), lambda _: (RevocationKind.PRINCIPAL, "", "x" * 512)),
        (OTHER_TOKEN, (ALICE,), lambda _: (RevocationKind.TOKEN, "", "token-2")),
        (SIGNED_IN, (ALICE, OTHER_SIGN_IN), lambda _: (RevocationKind.SIGN_IN, "", "sid-1")),
        (ACTING, (ALICE,), lambda _: (RevocationKind.PRINCIPAL, "", "bot")),
        (MACHINE, (ALICE,), lambda _: (RevocationKind.PRINCIPAL, "", "repo:acme/payments")),
        (ALICE, (ALICE,), lambda session: (RevocationKind.SESSION, "-", session)),
        (FOREIGN, (ALICE,), lambda _: (RevocationKind.ISSUER, ISSUER, "")),
    ],
    ids=["principal", "long subject", "token", "sign-in", "actor", "machine", "session", "issuer"],
)
async def test_open_sessions_of_the_revoked_are_sealed_and_no_others(
    dsn: str,
    record: PostgresAppendStore,
    sessions: PostgresSealStore,
    principal: Principal,
    others: tuple[Principal, ...],
    of: Of,
) -> None:
    struck = await begin(record, principal)
    for other in others:
        await begin(record, other)
    kind, issuer, value = of(struck)
    await revoke(dsn, kind, {"": principal.issuer, "-": ""}.get(issuer, issuer), value)
    assert await seal(sessions, record)
    assert await sealed(dsn) == {struck: "revoked"}
    # And then nothing of it is looked for again.
    assert not await seal(sessions, record)


async def test_where_a_named_session_goes_on_is_sealed(
    dsn: str, record: PostgresAppendStore, sessions: PostgresSealStore
) -> None:
    session = await begin(record, MALLORY)
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("UPDATE countersign.sessions SET ended = true, touched_at = now() - interval '1 hour'")
    await seal(sessions, record)
    onwards = str(next_session(uuid.UUID(session)))
    await record.append([accept(to_message(request(onwards, principal=MALLORY, continues=session)))])
    await revoke(dsn, RevocationKind.SESSION, "", session)
    await seal(sessions, record)
    assert await sealed(dsn) == {session: "ended", onwards: "revoked"}


async def test_what_is_cut_is_recorded_before_the_seal(
    dsn: str, record: PostgresAppendStore, sessions: PostgresSealStore
) -> None:
    struck = await begin(record, MALLORY)
    await revoke(dsn, RevocationKind.PRINCIPAL, MALLORY.issuer, "mallory")
    await seal(sessions, record, later_s=REVOKED_GRACE_S - 1)
    assert await sealed(dsn) == {}
    await seal(sessions, record)
    assert await sealed(dsn) == {struck: "revoked"}


async def test_a_time_of_issue_spares_sessions_that_began_later(
    dsn: str, record: PostgresAppendStore, sessions: PostgresSealStore
) -> None:
    session = await begin(record, MALLORY)
    began_s = int(time.time())
    await revoke(dsn, RevocationKind.PRINCIPAL, MALLORY.issuer, "mallory", began_s - 60)
    await seal(sessions, record)
    assert await sealed(dsn) == {}
    await revoke(dsn, RevocationKind.PRINCIPAL, MALLORY.issuer, "mallory", began_s + 60)
    await seal(sessions, record)
    assert await sealed(dsn) == {session: "revoked"}


async def test_what_was_lifted_seals_nothing(
    dsn: str, record: PostgresAppendStore, sessions: PostgresSealStore
) -> None:
    await begin(record, MALLORY)
    made = await revoke(dsn, RevocationKind.PRINCIPAL, MALLORY.issuer, "mallory")
    store = PostgresRevocationStore(dsn)
    await store.told(await store.lifting(Untold(uuid.uuid4(), made, True, b""), time.time_ns() // 1_000))
    await store.close()
    await seal(sessions, record)
    assert await sealed(dsn) == {}


async def test_a_session_that_cannot_be_sealed_keeps_no_others_from_it_for_ever(
    dsn: str, record: PostgresAppendStore, sessions: PostgresSealStore
) -> None:
    broken, whole = await begin(record, MALLORY), await begin(record, MALLORY)
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("UPDATE countersign.sessions SET event_count = 99 WHERE session_id = %s", (broken,))
    await revoke(dsn, RevocationKind.PRINCIPAL, MALLORY.issuer, "mallory")
    sealer = SessionSealer(sessions, record.append, Recording, lambda: time.time() + 3)
    assert await sealer.round() == (1, True)
    assert await sealed(dsn) == {whole: "revoked"}
    late = SessionSealer(sessions, record.append, Recording, lambda: time.time() + GIVEN_UP_AFTER_S + 3)
    await late.round()
    assert await late.round() == (0, False)
