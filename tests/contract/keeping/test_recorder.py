"""Keeping in a whole recorder: who may hold, what readers see of what was erased, and that its proofs hold."""

from __future__ import annotations

import asyncio
import io
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import grpc
import psycopg
import pytest

from countersign.api.recorder.v1 import event_pb2, keeping_pb2, log_pb2, search_pb2, session_pb2
from countersign.api.recorder.v1.keeping_pb2_grpc import KeepingServiceStub
from countersign.api.recorder.v1.log_pb2_grpc import LogServiceStub
from countersign.api.recorder.v1.search_pb2_grpc import SearchServiceStub
from countersign.api.recorder.v1.session_pb2_grpc import SessionServiceStub
from countersign.audit.exports import SessionReport, verify_export
from countersign.config.types import Recording
from countersign.model.principal import Principal
from countersign.recorder.door import PRINCIPAL_METADATA
from countersign.runtime.body_keys import write_key
from countersign.runtime.recording import NotRecorded, Recorder
from countersign.tlog import parse_policy
from tests.support.events import ALICE, new_id, request
from tests.support.log_keys import log_key
from tests.support.postgres import Postgres
from tests.support.recorders import SEALER, running_recorder, running_sender

OLGA = replace(ALICE, subject="olga", groups=("operators",), token_id="token-o")
CAROL = replace(ALICE, subject="carol", groups=("auditors",), token_id="token-c")
POLICY = f"log {log_key().verifier}\nquorum none\n"
CANARY = b'{"name":"canary of what is erased"}'


def of_session(session: str) -> keeping_pb2.PlaceHoldRequest:
    return keeping_pb2.PlaceHoldRequest(session_id=session, reason="case 17")


def of_principal(issuer: str, subject: str) -> keeping_pb2.PlaceHoldRequest:
    held = keeping_pb2.HeldPrincipal(issuer=issuer, subject=subject)
    return keeping_pb2.PlaceHoldRequest(principal=held, reason="case 17")


@dataclass
class Running:
    """A recorder, a sender to it, and people who call it."""

    channel: grpc.aio.Channel
    sender: Recorder

    def metadata(self, who: Principal) -> tuple[tuple[str, str], ...]:
        return ((PRINCIPAL_METADATA, SEALER.seal_principal(who)),)

    async def hold(self, asked: keeping_pb2.PlaceHoldRequest, who: Principal = OLGA) -> keeping_pb2.Hold:
        stub = KeepingServiceStub(self.channel)
        return (await stub.PlaceHold(asked, metadata=self.metadata(who), timeout=10)).hold

    async def release(self, hold: keeping_pb2.Hold, who: Principal = OLGA) -> None:
        asked = keeping_pb2.ReleaseHoldRequest(hold_id=hold.hold_id, reason="closed")
        await KeepingServiceStub(self.channel).ReleaseHold(asked, metadata=self.metadata(who), timeout=10)

    async def shelves(self) -> list[keeping_pb2.Shelf]:
        stub, asked = KeepingServiceStub(self.channel), keeping_pb2.ListShelvesRequest()
        return list((await stub.ListShelves(asked, metadata=self.metadata(CAROL), timeout=10)).shelves)

    async def replay(self, session: str) -> list[event_pb2.RecordedEvent]:
        asked = session_pb2.ReplaySessionRequest(session_id=session)
        call = SessionServiceStub(self.channel).ReplaySession(asked, metadata=self.metadata(CAROL), timeout=10)
        return [answer.event async for answer in call]

    async def searched(self, session: str, text: str = "") -> list[event_pb2.RecordedEvent]:
        wanted = search_pb2.EventFilter(session_id=session, text=text)
        asked = search_pb2.SearchEventsRequest(filter=wanted, bodies=True)
        stub = SearchServiceStub(self.channel)
        return list((await stub.SearchEvents(asked, metadata=self.metadata(CAROL), timeout=10)).events)

    async def verified(self, session: str) -> SessionReport:
        """Export a session once a checkpoint shows it, and verify it as an auditor does."""
        stub = LogServiceStub(self.channel)
        asked = log_pb2.ExportSessionRequest(session_id=session, unsealed=True)
        deadline = time.monotonic() + 30
        while True:
            try:
                call = stub.ExportSession(asked, metadata=self.metadata(CAROL), timeout=10)
                content = b"".join([answer.content async for answer in call])
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.FAILED_PRECONDITION or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)
            else:
                return verify_export(io.BytesIO(content), parse_policy(POLICY), now_s=int(time.time()))


@asynccontextmanager
async def running(
    dsn: str, recording: Callable[[], Recording] = Recording, *, timeout_s: float = 5.0
) -> AsyncIterator[Running]:
    async with (
        running_recorder(dsn, recording=recording) as (_, address),
        running_sender(address, timeout_s=timeout_s) as sender,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield Running(channel, sender)


def age(dsn: str) -> None:
    """Have all that is on shelves be of January 2024."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("UPDATE countersign.shelves SET month = '2024-01-01' WHERE shelf > 0 AND erased_at IS NULL")


async def erasures_told(dsn: str, wanted: int) -> None:
    """Return once the record tells how so many erasures ended."""
    deadline = time.monotonic() + 30
    while count(dsn, "SELECT count(*) FROM countersign.erasures WHERE told") < wanted:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def count(dsn: str, query: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


async def test_what_is_erased_reads_as_erased_everywhere_and_its_proof_holds(postgres: Postgres) -> None:
    dsn = postgres.database()
    gone, held = new_id(), new_id()
    recording = Recording()
    async with running(dsn, lambda: recording) as first:
        await first.sender.record(request(gone, body=CANARY))
        await first.sender.record(request(held, body=CANARY))
        assert (await first.verified(gone)).bodies.proven == 1
        assert [event.event.body for event in await first.searched(gone, "canary")] == [CANARY]
        hold = await first.hold(of_session(held))
        age(dsn)
    recording = Recording(kept_days={"orders": 30})
    async with running(dsn, lambda: recording) as second:
        await erasures_told(dsn, 1)
        [event] = await second.replay(gone)
        assert (event.body_erased, event.event.body, event.event.name) == (True, b"", "query")
        [event] = await second.replay(held)
        assert (event.body_erased, event.event.body) == (False, CANARY)
        assert [event.body_erased for event in await second.searched(gone)] == [True]
        assert await second.searched(gone, "canary") == []
        report = await second.verified(gone)
        assert (report.events, report.bodies.proven, report.bodies.absent) == (1, 0, 1)
        assert (await second.verified(held)).bodies.proven == 1
        # The erasures themselves are in the log.
        assert count(dsn, "SELECT count(*) FROM countersign.events WHERE kind = 12") == 2
        # What is recorded next finds a shelf of its own.
        await second.sender.record(request(body=CANARY))
        shelves = {(one.target, one.month): one for one in await second.shelves()}
        assert shelves["orders", "2024-01"].HasField("erased_at")
        assert shelves["", ""].size_bytes > 0
        # Nothing holds it any more, and its month is erased.
        await second.release(hold)
        await erasures_told(dsn, 2)
        assert (await second.replay(held))[0].body_erased
        assert (await second.verified(held)).bodies.absent == 1


async def test_operators_hold_auditors_look_and_nobody_else_does_either(postgres: Postgres) -> None:
    dsn = postgres.database()
    session = new_id()
    async with running(dsn) as one:
        await one.sender.record(request(session))
        for who in (ALICE, CAROL):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await one.hold(of_session(session), who)
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        hold = await one.hold(of_session(session))
        assert (hold.session_id, hold.reason, hold.placed_by) == (session, "case 17", "olga")
        other = await one.hold(of_principal(ALICE.issuer, ALICE.subject))
        stub = KeepingServiceStub(one.channel)
        listed = await stub.ListHolds(keeping_pb2.ListHoldsRequest(), metadata=one.metadata(CAROL), timeout=10)
        assert list(listed.holds) == [hold, other]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await one.release(hold, CAROL)
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        await one.release(hold)
        for refused in (one.release(hold), one.hold(of_session(new_id()))):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await refused
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "SELECT method, name, record::json ->> 'reason', record::json -> 'principal' ->> 'subject'"
            " FROM countersign.events WHERE kind = 13 ORDER BY index"
        ).fetchall()
    assert found == [
        ("PlaceHold", hold.hold_id, "case 17", "olga"),
        ("PlaceHold", other.hold_id, "case 17", "olga"),
        ("ReleaseHold", hold.hold_id, "closed", "olga"),
    ]


BAD = (
    keeping_pb2.PlaceHoldRequest(reason="case 17"),
    of_session("alice"),
    of_session(str(uuid.UUID(int=2**127 - 1)).upper()),
    of_principal("", "alice"),
    of_principal("i", "a" * 501),
    *(keeping_pb2.PlaceHoldRequest(session_id=str(uuid.UUID(int=7)), reason=one) for one in ("", "  ", "x" * 201)),
)


async def test_what_cannot_be_held_is_refused_with_what_is_wrong(postgres: Postgres) -> None:
    async with running(postgres.database()) as one:
        for asked in BAD:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await one.hold(asked)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_encrypted_bodies_are_read_with_the_key_of_their_month_and_nothing_is_recorded_without(
    postgres: Postgres, tmp_path: Path
) -> None:
    dsn, session = postgres.database(), new_id()
    path = write_key(tmp_path, datetime.now(UTC).date().replace(day=1))
    recording = Recording(body_keys=str(tmp_path))
    async with running(dsn, lambda: recording) as one:
        await one.sender.record(request(session, body=CANARY))
        with psycopg.connect(dsn) as connection:
            kept = connection.execute("SELECT form, content FROM countersign.bodies").fetchall()
        assert all(form & 2 and CANARY not in content for form, content in kept)
        assert (await one.replay(session))[0].event.body == CANARY
        assert (await one.verified(session)).bodies.proven == 1
    elsewhere = path.rename(tmp_path / "elsewhere")
    async with running(dsn, lambda: recording, timeout_s=0.3) as two:
        with pytest.raises(NotRecorded):
            await two.sender.record(request(body=CANARY))
        # What waited is recorded once the key is there again.
        elsewhere.rename(path)
        assert (await two.replay(session))[0].event.body == CANARY
