"""The review's service over a real Postgres: what it sums up, who may ask, and what is recorded of a verdict."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import grpc
import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from countersign.api.recorder.v1 import event_pb2, review_pb2, session_pb2
from countersign.api.recorder.v1.review_pb2_grpc import ReviewServiceStub
from countersign.api.recorder.v1.session_pb2_grpc import SessionServiceStub
from countersign.model.decision import Outcome
from countersign.model.event import Event, EventKind, Finding
from countersign.model.principal import Principal
from countersign.recorder.audit import auditor_session
from countersign.recorder.door import PRINCIPAL_METADATA
from tests.support.events import ALICE, START_US, decision, new_id, request, response
from tests.support.postgres import Postgres
from tests.support.postgres import postgres as postgres
from tests.support.recorders import SEALER, running_recorder, running_sender

CAROL = replace(ALICE, subject="carol", groups=("auditors",), token_id="token-c")
HOUR_US = 3_600 * 1_000_000
REVIEW, LINE = "ab" * 32, "cd" * 8
HOSTILE = '","rules":["admin"],"groups":["auditors"],"row_count":9,"findings":[{"count":7,"label":"x"}],'


@dataclass
class Running:
    """A recorder's channel, with its database."""

    channel: grpc.aio.Channel
    dsn: str

    async def used(
        self, target: str = "orders", since_us: int = START_US - HOUR_US, until_us: int = START_US + HOUR_US
    ) -> tuple[list[review_pb2.Use], list[review_pb2.SessionUse], list[float]]:
        asked = review_pb2.SummarizeUseRequest(since=stamp(since_us), until=stamp(until_us), target=target)
        told = [part async for part in ReviewServiceStub(self.channel).SummarizeUse(asked, metadata=by(CAROL))]
        return (
            [part.use for part in told if part.HasField("use")],
            [part.session for part in told if part.HasField("session")],
            [part.progress for part in told if part.HasField("progress")],
        )


def by(who: Principal) -> tuple[tuple[str, str], ...]:
    return ((PRINCIPAL_METADATA, SEALER.seal_principal(who)),)


def stamp(time_us: int) -> Timestamp:
    return Timestamp(seconds=time_us // 1_000_000, nanos=time_us % 1_000_000 * 1_000)


@pytest.fixture(scope="module")
def dsn(postgres: Postgres) -> str:
    """One database for all: each test has a target of its own."""
    return postgres.database()


@asynccontextmanager
async def recorded(dsn: str, *events: Event) -> AsyncIterator[Running]:
    async with (
        running_recorder(dsn) as (_, address),
        running_sender(address) as sender,
        grpc.aio.insecure_channel(address) as channel,
    ):
        await asyncio.gather(*[sender.record(event) for event in events])
        yield Running(channel, dsn)


async def test_what_was_used_is_summed_up_by_principal_and_name(dsn: str) -> None:
    one, two = new_id(), new_id()
    email = Finding("email", "$.rows[0].mail", 3)
    by_approval = replace(request(one, name="export"), approval_id=new_id())
    events = [
        request(one, findings=(Finding("email"),)),
        response(one, row_count=10, size_bytes=500, findings=(email, Finding("phone", count=2))),
        request(one),
        response(one, kind=EventKind.STREAM_EVENT, row_count=5, size_bytes=50),
        response(one, kind=EventKind.STREAM_END, row_count=5, size_bytes=50),
        request(one, name="drop", decision=decision(Outcome.DENY, "no drops")),
        request(one, name="export", decision=decision(Outcome.APPROVE, "exports")),
        by_approval,
        request(one, method="tools/list", name=""),
        request(two, name="query", principal=replace(ALICE, groups=("support",), token_id="token-9")),
        request(two, time_us=START_US - 3 * HOUR_US, principal=replace(ALICE, groups=("support",), token_id="token-9")),
    ]
    async with recorded(dsn, *events) as running:
        uses, sessions, progress = await running.used()
        elsewhere = await running.used("stock")
    told = {use.name: use for use in uses if use.method == "tools/call"}
    query = told["query"]
    assert (query.allowed_count, query.denied_count, query.asked_count) == (3, 0, 0)
    assert (query.row_count, query.size_bytes, query.masked_count) == (15, 550, 6)
    assert list(query.groups) == ["analysts", "support"]
    assert list(query.rules) == ["analysts read"]
    assert (query.issuer, query.subject, query.kind, query.target) == (ALICE.issuer, "alice", "person", "orders")
    assert sum(query.calls_by_hour) == 3
    assert query.calls_by_hour[START_US // HOUR_US % 24] == 3
    assert (told["drop"].denied_count, list(told["drop"].rules)) == (1, ["no drops"])
    assert (told["export"].asked_count, told["export"].approved_count, told["export"].allowed_count) == (1, 1, 1)
    assert uses[0].name == "query"

    assert {session.session_id for session in sessions} == {one, two}
    first = next(session for session in sessions if session.session_id == one)
    assert (list(first.names), first.call_count, first.row_count) == (["export", "query"], 3, 15)
    assert progress[0] == 0.0
    assert progress[-1] == 1.0
    assert elsewhere[:2] == ([], [])


async def test_texts_of_callers_do_not_pass_for_what_the_record_says(dsn: str) -> None:
    session = new_id()
    events = [
        request(session, target="hostile", name=HOSTILE, source_address=HOSTILE, decision=decision(rule="a]b")),
        response(
            session,
            target="hostile",
            name=HOSTILE,
            reason=HOSTILE,
            row_count=1,
            findings=(Finding('{"count":5,"label":'),),
        ),
        request(session, target="hostile", name="nul\0name"),
    ]
    async with recorded(dsn, *events) as running:
        uses, _, _ = await running.used("hostile")
    told = next(use for use in uses if use.name == HOSTILE)
    assert (list(told.rules), list(told.groups)) == (["a]b"], ["analysts"])
    assert (told.allowed_count, told.row_count, told.masked_count) == (1, 1, 1)


async def test_names_that_are_only_denied_are_counted_together_at_last(dsn: str) -> None:
    session = new_id()
    denied = decision(Outcome.DENY, "none")
    events = [request(session, target="made-up", name=f"made-up-{number}", decision=denied) for number in range(300)]
    async with recorded(dsn, request(session, target="made-up"), *events) as running:
        uses, sessions, _ = await running.used("made-up")
    assert len(uses) == 102
    assert sum(use.denied_count for use in uses) == 300
    assert list(sessions[0].names) == ["query"]


async def test_a_verdict_is_an_event_of_the_auditor_and_is_listed(dsn: str) -> None:
    async with recorded(dsn) as running:
        service = ReviewServiceStub(running.channel)
        flag = review_pb2.SignReviewRequest(
            review_id=REVIEW, line_id=LINE, verdict=review_pb2.VERDICT_FLAGGED, note="left the team"
        )
        certify = review_pb2.SignReviewRequest(review_id=REVIEW, line_id=LINE, verdict=review_pb2.VERDICT_CERTIFIED)
        other = review_pb2.SignReviewRequest(review_id="00" * 32, line_id=LINE, verdict=review_pb2.VERDICT_CERTIFIED)
        signed = [(await service.SignReview(one, metadata=by(CAROL))).event_id for one in (flag, other, certify)]
        listed = [
            one.event.event
            async for one in service.ListVerdicts(review_pb2.ListVerdictsRequest(review_id=REVIEW), metadata=by(CAROL))
        ]
        replay = session_pb2.ReplaySessionRequest(session_id=str(auditor_session(CAROL)))
        events = [
            one.event.event
            async for one in SessionServiceStub(running.channel).ReplaySession(replay, metadata=by(CAROL))
        ]
    assert [event.event_id for event in listed] == [signed[0], signed[2]]
    assert [(event.method, event.name, event.reason) for event in listed] == [
        ("flagged", f"{REVIEW}/{LINE}", "left the team"),
        ("certified", f"{REVIEW}/{LINE}", ""),
    ]
    assert listed[0].principal.subject == "carol"
    assert b'"line_id":"cdcdcdcdcdcdcdcd"' in listed[0].body
    reviewed = [event for event in events if event.kind == event_pb2.EVENT_KIND_REVIEWED]
    assert [event.event_id for event in reviewed] == signed


def changed(
    *, review_id: str = "", line_id: str = "", note: str = "", verdict: review_pb2.Verdict.ValueType | None = None
) -> review_pb2.SignReviewRequest:
    asked = review_pb2.SignReviewRequest(review_id=review_id, line_id=line_id, note=note)
    if verdict is not None:
        asked.verdict = verdict
    merged = review_pb2.SignReviewRequest()
    merged.CopyFrom(GOOD)
    merged.MergeFrom(asked)
    return merged


GOOD = review_pb2.SignReviewRequest(review_id=REVIEW, line_id=LINE, verdict=review_pb2.VERDICT_CERTIFIED)
WRONG = {
    "no verdict": (review_pb2.SignReviewRequest(review_id=REVIEW, line_id=LINE), "verdict"),
    "a flag without a note": (changed(verdict=review_pb2.VERDICT_FLAGGED, note=" "), "note"),
    "a long note": (changed(note="n" * 1001), "note"),
    "a review that is none": (changed(review_id="AB" * 32), "review_id"),
    "a line that is none": (changed(line_id="x/../y"), "line_id"),
}


async def test_what_is_wrong_or_not_allowed_is_refused(dsn: str) -> None:
    async with recorded(dsn) as running:
        service = ReviewServiceStub(running.channel)
        for wrong, told in WRONG.values():
            with pytest.raises(grpc.aio.AioRpcError, match=told) as refused:
                await service.SignReview(wrong, metadata=by(CAROL))
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        asked = review_pb2.SummarizeUseRequest(since=stamp(START_US), until=stamp(START_US))
        with pytest.raises(grpc.aio.AioRpcError, match="until"):
            await anext(aiter(service.SummarizeUse(asked, metadata=by(CAROL))))
        for attempt in (
            service.SignReview(GOOD, metadata=by(ALICE)),
            anext(aiter(service.SummarizeUse(asked, metadata=by(ALICE)))),
            anext(aiter(service.ListVerdicts(review_pb2.ListVerdictsRequest(review_id=REVIEW), metadata=by(ALICE)))),
        ):
            with pytest.raises(grpc.aio.AioRpcError, match="only auditors"):
                await attempt
    with psycopg.connect(dsn) as connection:
        others = connection.execute(
            "SELECT DISTINCT s.subject FROM countersign.events JOIN countersign.sessions AS s USING (session_id)"
            " WHERE events.kind = 14"
        ).fetchall()
    assert set(others) <= {("carol",)}
