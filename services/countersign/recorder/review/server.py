"""``ReviewService``: use is summed up for auditors, and what they say of it is recorded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from types import MappingProxyType
from typing import NoReturn
from uuid import UUID

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from countersign.api.recorder.v1 import event_pb2, review_pb2, review_pb2_grpc
from countersign.recorder import door
from countersign.recorder.asked import BadQuestion, microseconds
from countersign.recorder.audit import NotAudited
from countersign.recorder.door import Context, Door
from countersign.recorder.leaf import to_event
from countersign.recorder.ports import StoredEvent
from countersign.recorder.review.events import Signed, reviewed
from countersign.recorder.review.ports import ReviewStore
from countersign.recorder.review.summing import Of, SessionSum, Summing, TooMuch, UseSum
from countersign.runtime.postgres import DatabaseUnavailable

MOST_SUMMARIES = 2
MOST_NOTE_CHARACTERS = 1_000
# How far one statement walks.
WALK_EVENTS = 5_000
PAGE_VERDICTS = 200

_REVIEW_ID = re.compile(r"[0-9a-f]{64}")
_LINE_ID = re.compile(r"[0-9a-f]{16,64}")
_VERDICTS = MappingProxyType({review_pb2.VERDICT_CERTIFIED: "certified", review_pb2.VERDICT_FLAGGED: "flagged"})
_ERRORS = (BadQuestion, NotAudited, DatabaseUnavailable, TooMuch)


class ReviewServer(review_pb2_grpc.ReviewServiceServicer):
    """Every method: who asks, may they, is it well formed, record it, do it."""

    def __init__(self, store: ReviewStore, door: Door, *, clock_us: Callable[[], int]) -> None:
        self._store = store
        self._door = door
        self._clock_us = clock_us
        self._summaries = 0
        self._draining = False

    def drain(self) -> None:
        """End what is summed up; it is to be asked for again, elsewhere."""
        self._draining = True

    async def SummarizeUse(
        self, request: review_pb2.SummarizeUseRequest, context: Context
    ) -> AsyncIterator[review_pb2.SummarizeUseResponse]:
        """See review.proto."""
        principal = await self._door.admit(request, request.target, context)
        if self._summaries >= MOST_SUMMARIES:
            what = f"{MOST_SUMMARIES} reviews are summed up already: try again in a minute"
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, what)
        self._summaries += 1
        try:
            since_us, until_us = _times(request)
            await self._door.audited(principal, request, request.target, context)
            summing = Summing()
            async for share in self._summed(summing, since_us, until_us, request.target):
                if self._draining:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "this recorder ends: try again")
                if not self._door.still(principal):
                    await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no longer an auditor")
                yield review_pb2.SummarizeUseResponse(progress=share)
            for number, (of, use) in enumerate(summing.uses()):
                await _breathe(number)
                yield review_pb2.SummarizeUseResponse(use=_use(of, use))
            for number, (session_id, session) in enumerate(summing.sessions()):
                await _breathe(number)
                yield review_pb2.SummarizeUseResponse(session=_session(session_id, session))
        except _ERRORS as error:
            await _abort(context, error)
        finally:
            self._summaries -= 1

    async def SignReview(
        self, request: review_pb2.SignReviewRequest, context: Context
    ) -> review_pb2.SignReviewResponse:
        """See review.proto. Durable when it is answered."""
        principal = await self._door.admit(request, request.review_id, context)
        try:
            trace = [value for key, value in context.invocation_metadata() or () if key == "traceparent"]
            event = reviewed(
                _signed(request),
                principal,
                time_us=self._clock_us(),
                traceparent=str(trace[0])[:55] if len(trace) == 1 else "",
            )
            await self._door.trail.append(event)
        except NotAudited:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "this cannot be recorded now, so it was not done")
        except BadQuestion as error:
            await _abort(context, error)
        return review_pb2.SignReviewResponse(event_id=event.event_id)

    async def ListVerdicts(
        self, request: review_pb2.ListVerdictsRequest, context: Context
    ) -> AsyncIterator[review_pb2.ListVerdictsResponse]:
        """See review.proto: in the order in which they were recorded."""
        principal = await self._door.admit(request, request.review_id, context)
        try:
            review_id = _id(request.review_id, "review_id", _REVIEW_ID)
            await self._door.audited(principal, request, review_id, context)
            start = 0
            while page := await self._store.verdicts(review_id, start=start, limit=PAGE_VERDICTS):
                start = page[-1].index + 1
                for stored in page:
                    yield review_pb2.ListVerdictsResponse(event=_recorded(stored))
        except _ERRORS as error:
            await _abort(context, error)

    async def _summed(self, summing: Summing, since_us: int, until_us: int, target: str) -> AsyncIterator[float]:
        """Sum up, and say now and then how far that has come, from 0 to 1."""
        within = await self._store.indices(since_us, until_us)
        yield 0.0
        for start in range(within.start, within.stop, WALK_EVENTS):
            stop = min(start + WALK_EVENTS, within.stop)
            summing.add(await self._store.pieces(since_us, until_us, target, start=start, stop=stop))
            yield (stop - within.start) / len(within)


async def _breathe(number: int) -> None:
    """The recorder records meanwhile."""
    if number % 200 == 199:
        await asyncio.sleep(0)


def _times(request: review_pb2.SummarizeUseRequest) -> tuple[int, int]:
    if not (request.HasField("since") and request.HasField("until")):
        raise BadQuestion("since: both since and until are needed")
    since_us, until_us = microseconds(request.since, "since"), microseconds(request.until, "until")
    if until_us <= since_us:
        raise BadQuestion("until: not after since")
    return since_us, until_us


def _signed(request: review_pb2.SignReviewRequest) -> Signed:
    verdict = _VERDICTS.get(request.verdict)
    if verdict is None:
        raise BadQuestion("verdict: say CERTIFIED or FLAGGED")
    note = request.note.strip()
    if verdict == "flagged" and not note:
        raise BadQuestion("note: needed to flag, so that somebody can act on it")
    if len(note) > MOST_NOTE_CHARACTERS:
        raise BadQuestion(f"note: at most {MOST_NOTE_CHARACTERS} characters")
    review_id = _id(request.review_id, "review_id", _REVIEW_ID)
    return Signed(review_id, _id(request.line_id, "line_id", _LINE_ID), verdict, note)


def _id(text: str, field: str, shape: re.Pattern[str]) -> str:
    if shape.fullmatch(text) is None:
        raise BadQuestion(f"{field}: not one of a review: hex digits, in small letters")
    return text


def _use(of: Of, use: UseSum) -> review_pb2.Use:
    return review_pb2.Use(
        issuer=of.issuer,
        subject=of.subject,
        kind=use.kind,
        groups=sorted(use.groups),
        target=of.target,
        method=of.method,
        name=of.name,
        rules=sorted(use.rules),
        allowed_count=use.allowed,
        denied_count=use.denied,
        asked_count=use.asked,
        approved_count=use.approved,
        masked_count=use.masked,
        row_count=use.rows,
        size_bytes=use.size_bytes,
        first_at=_stamp(use.first_us),
        last_at=_stamp(use.last_us),
        calls_by_hour=use.by_hour,
    )


def _session(session_id: UUID, session: SessionSum) -> review_pb2.SessionUse:
    return review_pb2.SessionUse(
        session_id=str(session_id),
        issuer=session.issuer,
        subject=session.subject,
        target=session.target,
        started_at=_stamp(session.started_us),
        names=sorted(session.names),
        call_count=session.calls,
        row_count=session.rows,
        size_bytes=session.size_bytes,
        calls_by_hour=session.by_hour,
    )


def _recorded(stored: StoredEvent) -> event_pb2.RecordedEvent:
    recorded_at = Timestamp()
    recorded_at.FromDatetime(stored.recorded_at)
    return event_pb2.RecordedEvent(
        index=stored.index,
        sequence=stored.sequence,
        recorded_at=recorded_at,
        event=to_event(stored.record, stored.body),
        body_erased=stored.body is None,
    )


def _stamp(time_us: int) -> Timestamp:
    return Timestamp(seconds=time_us // 1_000_000, nanos=time_us % 1_000_000 * 1_000)


async def _abort(context: Context, error: Exception) -> NoReturn:
    if isinstance(error, TooMuch):
        what = "more was used than can be summed up at once: ask for a shorter time, or for one target"
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, what)
    await door.abort(context, error)
