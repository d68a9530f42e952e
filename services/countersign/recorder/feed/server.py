"""``FeedService``: what `countersign export run` reads, and how far it is."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import NoReturn
from uuid import UUID

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from countersign.api.recorder.v1 import event_pb2, feed_pb2, feed_pb2_grpc
from countersign.model.decision import Decision, Outcome
from countersign.model.event import Event, EventKind
from countersign.model.principal import Principal, PrincipalKind
from countersign.recorder.audit import TARGET, AuditTrail, NotAudited
from countersign.recorder.door import Context
from countersign.recorder.entry import APPROVAL, to_event
from countersign.recorder.feed.ports import EventMissing, FedEvent, FeedStore, NotLent, PublishedSize, SinkTaken
from countersign.runtime.moments import now_us
from countersign.runtime.postgres import DatabaseError

MAX_FEEDS = 64
LOOK_EVERY_S = 0.3
HEARTBEAT_S = 5.0
_NAME_CHARACTERS = 100
_DESCRIPTION_CHARACTERS = 500
_MAX_INDEX = 2**63 - 1


class FeedServer(feed_pb2_grpc.FeedServiceServicer):
    """Sends what is published and nothing above, to runs that have a sink. Who may call is for ``ServiceGuard``.

    ``clock_us`` gives microseconds since the epoch, ``new_id`` fresh UUIDs.
    """

    def __init__(
        self,
        store: FeedStore,
        trail: AuditTrail,
        published_size: PublishedSize,
        *,
        clock_us: Callable[[], int] = now_us,
        new_id: Callable[[], UUID] = uuid.uuid4,
    ) -> None:
        self._store = store
        self._trail = trail
        self._published_size = published_size
        self._clock_us = clock_us
        self._new_id = new_id
        self._feeds = 0
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """End all streams with status OK; runs go on elsewhere."""
        self._draining.set()

    async def OpenSink(self, request: feed_pb2.OpenSinkRequest, context: Context) -> feed_pb2.OpenSinkResponse:
        """See feed.proto. Only who gets the sink is recorded: one that waits for it would fill the record."""
        if not 0 < len(request.sink) <= _NAME_CHARACTERS or len(request.description) > _DESCRIPTION_CHARACTERS:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "sink or description: missing, or too long")
        run = self._new_id()
        try:
            next_index = await self._store.lend(request.sink, request.description, run)
            await self._record(request, run, next_index)
        except SinkTaken:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "another run feeds this sink")
        except (NotAudited, DatabaseError) as error:
            with suppress(NotLent, DatabaseError):
                await self._store.move(request.sink, run, 0, release=True)
            await _abort(context, error)
        return feed_pb2.OpenSinkResponse(next_index=next_index, session_id=str(run))

    async def StreamPublished(
        self, request: feed_pb2.StreamPublishedRequest, context: Context
    ) -> AsyncIterator[feed_pb2.StreamPublishedResponse]:
        """See feed.proto. A page at a time: nothing is kept for a run that does not read."""
        run = await _run(request.session_id, context)
        if self._feeds >= MAX_FEEDS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MAX_FEEDS} sinks are fed already")
        self._feeds += 1
        try:
            async for answer in self._fed(run, request.from_index, request.bodies):
                yield answer
        except (NotLent, EventMissing, DatabaseError) as error:
            await _abort(context, error)
        finally:
            self._feeds -= 1

    async def MoveCursor(self, request: feed_pb2.MoveCursorRequest, context: Context) -> feed_pb2.MoveCursorResponse:
        """See feed.proto."""
        run = await _run(request.session_id, context)
        try:
            published = await self._published_size()
            if request.next_index > published:
                # It cannot have been sent: what it would skip would never leave.
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "next_index: above what is published")
            moved = await self._store.move(request.sink, run, request.next_index, release=request.release)
        except (NotLent, DatabaseError) as error:
            await _abort(context, error)
        return feed_pb2.MoveCursorResponse(next_index=moved)

    async def ListSinks(self, request: feed_pb2.ListSinksRequest, context: Context) -> feed_pb2.ListSinksResponse:
        """See feed.proto."""
        try:
            rows = await self._store.sinks()
            published = await self._published_size()
        except DatabaseError as error:
            await _abort(context, error)
        answer = feed_pb2.ListSinksResponse(published_size=published)
        for row in rows:
            one = answer.sinks.add(
                sink=row.name, description=row.description, next_index=row.next_index, running=row.running
            )
            one.moved_at.FromDatetime(row.moved_at)
        return answer

    async def _fed(self, run: UUID, start: int, bodies: bool) -> AsyncIterator[feed_pb2.StreamPublishedResponse]:
        told_s = -HEARTBEAT_S
        while not self._draining.is_set():
            if not await self._store.is_lent(run):
                raise NotLent
            # Never from the events themselves: what is durable is not yet proved.
            published = await self._published_size()
            if start < published:
                page = await self._store.events(start, published, bodies=bodies)
                start += len(page)
                yield feed_pb2.StreamPublishedResponse(
                    events=map(_message, page), next_index=start, published_size=published
                )
                told_s = time.monotonic()
                continue
            if time.monotonic() - told_s >= HEARTBEAT_S:
                yield feed_pb2.StreamPublishedResponse(next_index=start, published_size=published)
                told_s = time.monotonic()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._draining.wait()

    async def _record(self, request: feed_pb2.OpenSinkRequest, run: UUID, next_index: int) -> None:
        """Return when it is durable that the run begins. Raises ``NotAudited``."""
        asked = {"description": request.description, "next_index": next_index, "sink": request.sink}
        event = Event(
            event_id=str(self._new_id()),
            session_id=str(run),
            call_id=str(self._new_id()),
            kind=EventKind.AUDIT_READ,
            time_us=self._clock_us(),
            target=TARGET,
            method="OpenSink",
            name=request.sink,
            # No caller stands behind it: the gateway itself reads, as gateway.yaml says.
            principal=Principal(
                issuer=TARGET, subject="export", groups=(), kind=PrincipalKind.MACHINE, token_id=str(run)
            ),
            decision=Decision(Outcome.ALLOW, rules=(), masks=(), reason="", message="", policy_version=""),
            body=json.dumps(asked, sort_keys=True).encode(),
            body_type="application/json",
        )
        await self._trail.append(event)


async def _run(text: str, context: Context) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "session_id: not a run's")


async def _abort(context: Context, error: Exception) -> NoReturn:
    match error:
        case NotLent():
            await context.abort(grpc.StatusCode.ABORTED, "this run has no sink: open it again")
        case EventMissing():
            await context.abort(grpc.StatusCode.DATA_LOSS, f"event {error.args[0]} of the record is missing")
        case NotAudited():
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the run cannot be recorded now: try again")
        case _:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the record cannot be read now: try again")


def _message(fed: FedEvent) -> feed_pb2.PublishedEvent:
    stored = fed.stored
    event = to_event(stored.record, stored.body)
    recorded_at = Timestamp()
    recorded_at.FromDatetime(stored.recorded_at)
    return feed_pb2.PublishedEvent(
        event=event_pb2.RecordedEvent(
            index=stored.index,
            sequence=stored.sequence,
            recorded_at=recorded_at,
            event=event,
            body_erased=stored.body is None,
        ),
        principal=_principal(fed, event),
    )


def _principal(fed: FedEvent, event: event_pb2.Event) -> event_pb2.Principal | None:
    # Who decides about a call is not whose session it is.
    if event.HasField("principal") and event.kind != APPROVAL:
        return event.principal
    who = fed.who
    if not who.subject:
        return None
    return event_pb2.Principal(
        issuer=who.issuer, subject=who.subject, groups=who.groups, kind=who.kind, token_id=who.token_id
    )
