"""``SessionService``: what auditors read of the record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import NoReturn
from uuid import UUID

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from countersign.api.recorder.v1 import event_pb2, session_pb2, session_pb2_grpc
from countersign.model.principal import Principal
from countersign.recorder.asked import (
    BadQuestion,
    calls,
    event_id,
    listing,
    manner,
    next_page_token,
    session_id,
)
from countersign.recorder.audit import NotAudited
from countersign.recorder.door import Context, Door, abort
from countersign.recorder.leaf import to_event
from countersign.recorder.ports import ReadStore, SessionRow, StoredEvent, StoredFact
from countersign.recorder.replaying import Incomplete, Replay
from countersign.runtime.postgres import DatabaseUnavailable
from countersign.runtime.revocations import Ended

MAX_REPLAYS = 32
# So that those who only wait for what comes leave room for others.
MAX_FOLLOWS = 16


class SessionServer(session_pb2_grpc.SessionServiceServicer):
    """Every method: who asks, may they, is the question well formed, record the reading, read."""

    def __init__(
        self, store: ReadStore, door: Door, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._store = store
        self._door = door
        self._sleep = sleep
        self._replays = 0
        self._follows = 0
        self._draining = False

    def drain(self) -> None:
        """End the replays that only wait for what comes; whoever follows asks again."""
        self._draining = True

    async def ListSessions(
        self, request: session_pb2.ListSessionsRequest, context: Context
    ) -> session_pb2.ListSessionsResponse:
        """See session.proto."""
        principal = await self._door.admit(request, "", context)
        try:
            page = listing(request)
            await self._door.audited(principal, request, "", context)
            # One more than asked for tells whether there is a next page.
            rows = await self._store.sessions(page.wanted, before=page.before, limit=page.limit + 1)
        except (BadQuestion, NotAudited, DatabaseUnavailable) as error:
            await _abort(context, error)
        shown = rows[: page.limit]
        token = next_page_token(request, shown[-1].first_index) if len(rows) > page.limit else ""
        return session_pb2.ListSessionsResponse(sessions=map(to_session, shown), next_page_token=token)

    async def GetSession(
        self, request: session_pb2.GetSessionRequest, context: Context
    ) -> session_pb2.GetSessionResponse:
        """See session.proto."""
        principal = await self._door.admit(request, request.session_id, context)
        try:
            row = await self._session(principal, request, request.session_id, context)
        except (BadQuestion, NotAudited, DatabaseUnavailable, LookupError, Ended) as error:
            await _abort(context, error)
        return session_pb2.GetSessionResponse(session=to_session(row))

    async def ReplaySession(
        self, request: session_pb2.ReplaySessionRequest, context: Context
    ) -> AsyncIterator[session_pb2.ReplaySessionResponse]:
        """See session.proto. Without ``follow`` it ends with the event that was the last when the replay began."""
        principal = await self._door.admit(request, request.session_id, context)
        await self._refuse_too_many(context, follow=request.follow)
        self._replays += 1
        self._follows += request.follow
        try:
            wanted = manner(request)
            row = await self._session(principal, request, request.session_id, context)
            replay = Replay(self._store, wanted, is_over=lambda: self._draining, sleep=self._sleep)
            async for step in self._door.until_ended(principal, replay.steps(row)):
                await self._still(principal, context)
                event = None if step is None else _recorded(step.stored, step.event)
                if event is not None and step is not None:
                    event.body_erased = step.stored.body is None
                yield session_pb2.ReplaySessionResponse(event=event)
        except (BadQuestion, NotAudited, DatabaseUnavailable, LookupError, Ended) as error:
            await _abort(context, error)
        finally:
            self._replays -= 1
            self._follows -= request.follow

    async def StreamCalls(
        self, request: session_pb2.StreamCallsRequest, context: Context
    ) -> AsyncIterator[session_pb2.StreamCallsResponse]:
        """See session.proto."""
        principal = await self._door.admit(request, request.filter.event_id, context)
        await self._refuse_too_many(context)
        self._replays += 1
        try:
            async for answer in self._door.until_ended(principal, self._calls(principal, request, context)):
                await self._still(principal, context)
                yield answer
        except (BadQuestion, NotAudited, DatabaseUnavailable, LookupError, Ended) as error:
            await _abort(context, error)
        finally:
            self._replays -= 1

    async def _calls(
        self, principal: Principal, request: session_pb2.StreamCallsRequest, context: Context
    ) -> AsyncGenerator[session_pb2.StreamCallsResponse, None]:
        one = event_id(request)
        if one is not None:
            await self._door.audited(principal, request, str(one), context)
            stored = await self._store.call(one)
            if stored is None:
                raise _NoCall
            yield session_pb2.StreamCallsResponse(facts=[to_fact(StoredFact(stored, True, "", ""))])
            return
        wanted = calls(request)
        await self._door.audited(principal, request, "", context)
        within = await self._store.indices(wanted.since_us, wanted.until_us)
        start = max(within.start, request.from_index)
        while start < within.stop:
            page = await self._store.facts(wanted, start=start, stop=within.stop)
            start = page.next_index
            yield session_pb2.StreamCallsResponse(
                facts=map(to_fact, page.facts), next_index=start, end_index=within.stop
            )

    async def _still(self, principal: Principal, context: Context) -> None:
        # A stream may last for hours: at the pace of then, or because nobody reads it.
        if not self._door.still(principal):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no longer an auditor")

    async def _refuse_too_many(self, context: Context, *, follow: bool = False) -> None:
        if self._replays >= MAX_REPLAYS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MAX_REPLAYS} replays run already: try later")
        if follow and self._follows >= MAX_FOLLOWS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MAX_FOLLOWS} replays follow already: try later")

    async def _session(self, principal: Principal, request: Message, text: str, context: Context) -> SessionRow:
        wanted: UUID = session_id(text)
        await self._door.audited(principal, request, text, context)
        row = await self._store.session(wanted)
        if row is None:
            raise LookupError
        return row


class _NoCall(LookupError):
    """There is no such event, or it is no call."""


async def _abort(context: Context, error: Exception) -> NoReturn:
    match error:
        case Incomplete():
            await context.abort(grpc.StatusCode.DATA_LOSS, f"event {error.args[0]} of the session is missing")
        case _NoCall():
            await context.abort(grpc.StatusCode.NOT_FOUND, "filter.event_id: no such call")
        case LookupError():
            await context.abort(grpc.StatusCode.NOT_FOUND, "session_id: no such session")
        case _:
            await abort(context, error)


def to_session(row: SessionRow) -> session_pb2.Session:
    """Return the message of a session."""
    who, seal = row.who, row.seal
    session = session_pb2.Session(
        session_id=str(row.session_id),
        principal=event_pb2.Principal(
            issuer=who.issuer, subject=who.subject, groups=who.groups, kind=who.kind, token_id=who.token_id
        ),
        target=row.target,
        started_at=_timestamp(row.first_time_us),
        last_event_at=_timestamp(row.last_time_us),
        event_count=row.event_count,
        allowed_count=row.allowed_count,
        denied_count=row.denied_count,
        refused_count=row.refused_count,
        finding_count=row.finding_count,
        continues="" if row.continues is None else str(row.continues),
    )
    if seal is not None:
        session.seal.event_count = row.event_count - 1
        session.seal.root = seal.root
        session.seal.unanswered_count = seal.unanswered_count
        session.sealed_at.FromDatetime(seal.sealed_at)
        session.seal_reason = seal.reason
    return session


def to_fact(stored: StoredFact) -> session_pb2.CallFact:
    """Return the message of a call, or of what is told of an answer."""
    event = to_event(stored.event.record, stored.event.body)
    if stored.is_call:
        return session_pb2.CallFact(call=_recorded(stored.event, event))
    return session_pb2.CallFact(
        answer=session_pb2.CallAnswer(
            index=stored.event.index,
            kind=event.kind,
            time_us=event.time_us,
            session_id=event.session_id,
            call_id=event.call_id,
            issuer=stored.issuer,
            subject=stored.subject,
            target=event.target,
            size_bytes=event.size_bytes,
            row_count=event.row_count,
        )
    )


def _recorded(stored: StoredEvent, event: event_pb2.Event) -> event_pb2.RecordedEvent:
    recorded_at = Timestamp()
    recorded_at.FromDatetime(stored.recorded_at)
    return event_pb2.RecordedEvent(index=stored.index, sequence=stored.sequence, recorded_at=recorded_at, event=event)


def _timestamp(time_us: int) -> Timestamp:
    return Timestamp(seconds=time_us // 1_000_000, nanos=time_us % 1_000_000 * 1_000)
