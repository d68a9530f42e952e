"""``KeepingService``: what operators hold back from erasure, and what auditors see of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NoReturn

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from countersign.api.recorder.v1 import keeping_pb2, keeping_pb2_grpc
from countersign.model.principal import Principal
from countersign.recorder import door
from countersign.recorder.asked import BadQuestion
from countersign.recorder.audit import NotAudited
from countersign.recorder.door import Context, Door
from countersign.recorder.entry import searchable
from countersign.recorder.keeping.events import HoldEvents
from countersign.recorder.keeping.ports import (
    MOST_HOLDS,
    ON_HOLD,
    Clock,
    Hold,
    KeepingStore,
    NotThere,
    Retention,
    Shelf,
    TooManyHolds,
)
from countersign.runtime.postgres import DatabaseUnavailable

MOST_REASON_CHARACTERS = 200
MOST_NAME_CHARACTERS = 500

_ERRORS = (BadQuestion, NotAudited, NotThere, TooManyHolds, DatabaseUnavailable)


class KeepingServer(keeping_pb2_grpc.KeepingServiceServicer):
    """Every method: who asks, may they, is it well formed, record it, do it. ``released`` is called after a release."""

    def __init__(
        self,
        store: KeepingStore,
        door: Door,
        retention: Callable[[], Retention],
        *,
        clock_us: Clock,
        released: Callable[[], None],
        new_id: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self._store = store
        self._door = door
        self._retention = retention
        self._clock_us = clock_us
        self._released = released
        self._new_id = new_id
        self._events = HoldEvents(clock_us)

    async def PlaceHold(self, request: keeping_pb2.PlaceHoldRequest, context: Context) -> keeping_pb2.PlaceHoldResponse:
        """See keeping.proto. In force when it is durable in the record that it is."""
        principal = await self._door.admit(request, _subject_of(request), context, "operator")
        try:
            hold = self._hold(request, principal)
            async with self._store.placing(hold):
                await self._door.trail.append(self._events.placed(hold, principal, _trace(context)))
        except _ERRORS as error:
            await self._refuse(principal, request, _subject_of(request), context, error)
        return keeping_pb2.PlaceHoldResponse(hold=_told(hold))

    async def ReleaseHold(
        self, request: keeping_pb2.ReleaseHoldRequest, context: Context
    ) -> keeping_pb2.ReleaseHoldResponse:
        """See keeping.proto. What nothing else holds, and is due, goes within the next minutes."""
        principal = await self._door.admit(request, request.hold_id, context, "operator")
        try:
            reason, hold_id = _reason(request.reason), _uuid(request.hold_id, "hold_id")
            async with self._store.releasing(hold_id, self._now()) as hold:
                await self._door.trail.append(self._events.released(hold, reason, principal, _trace(context)))
        except _ERRORS as error:
            await self._refuse(principal, request, request.hold_id, context, error)
        self._released()
        return keeping_pb2.ReleaseHoldResponse()

    async def ListHolds(self, request: keeping_pb2.ListHoldsRequest, context: Context) -> keeping_pb2.ListHoldsResponse:
        """See keeping.proto: those in force, the oldest first."""
        principal = await self._door.admit(request, "", context)
        try:
            await self._door.audited(principal, request, "", context)
            holds = await self._store.holds()
        except (NotAudited, DatabaseUnavailable) as error:
            await door.abort(context, error)
        return keeping_pb2.ListHoldsResponse(holds=map(_told, holds))

    async def ListShelves(
        self, request: keeping_pb2.ListShelvesRequest, context: Context
    ) -> keeping_pb2.ListShelvesResponse:
        """See keeping.proto: the newest month first, and last what is on hold beyond its month."""
        principal = await self._door.admit(request, "", context)
        try:
            await self._door.audited(principal, request, "", context)
            shelves = await self._store.shelves()
        except (NotAudited, DatabaseUnavailable) as error:
            await door.abort(context, error)
        retention = self._retention()
        return keeping_pb2.ListShelvesResponse(shelves=[_shelf(shelf, retention) for shelf in shelves])

    def _hold(self, request: keeping_pb2.PlaceHoldRequest, principal: Principal) -> Hold:
        session_id, issuer, subject = None, "", ""
        match request.WhichOneof("of"):
            case "session_id":
                session_id = _uuid(request.session_id, "session_id")
            case "principal":
                issuer, subject = request.principal.issuer, request.principal.subject
                if not issuer or not subject or max(len(issuer), len(subject)) > MOST_NAME_CHARACTERS:
                    raise BadQuestion(
                        f"principal: issuer and subject are needed, each of at most {MOST_NAME_CHARACTERS} characters"
                    )
            case _:
                raise BadQuestion("say what to hold: session_id or principal")
        return Hold(
            hold_id=self._new_id(),
            session_id=session_id,
            issuer=searchable(issuer),
            subject=searchable(subject),
            reason=_reason(request.reason),
            placed_by=searchable(principal.subject),
            placed_at=self._now(),
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock_us() / 1_000_000, UTC)

    async def _refuse(
        self,
        principal: Principal,
        request: keeping_pb2.PlaceHoldRequest | keeping_pb2.ReleaseHoldRequest,
        name: str,
        context: Context,
        error: Exception,
    ) -> NoReturn:
        match error:
            case NotThere():
                await self._tell_refusal(principal, request, name, context, str(error))
                await context.abort(grpc.StatusCode.NOT_FOUND, str(error))
            case TooManyHolds():
                what = f"{MOST_HOLDS} holds are in force: release some, or hold principals in place of sessions"
                await self._tell_refusal(principal, request, name, context, what)
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, what)
            case NotAudited():
                await context.abort(grpc.StatusCode.UNAVAILABLE, "this cannot be recorded now, so it was not done")
            case _:
                await door.abort(context, error)

    async def _tell_refusal(
        self,
        principal: Principal,
        request: keeping_pb2.PlaceHoldRequest | keeping_pb2.ReleaseHoldRequest,
        name: str,
        context: Context,
        what: str,
    ) -> None:
        try:
            await self._door.audited(principal, request, name, context, refused=what)
        except NotAudited as error:
            await door.abort(context, error)


def _told(hold: Hold) -> keeping_pb2.Hold:
    told = keeping_pb2.Hold(hold_id=str(hold.hold_id), reason=hold.reason, placed_by=hold.placed_by)
    told.placed_at.FromDatetime(hold.placed_at)
    if hold.session_id is not None:
        told.session_id = str(hold.session_id)
    else:
        told.principal.issuer, told.principal.subject = hold.issuer, hold.subject
    return told


def _shelf(shelf: Shelf, retention: Retention) -> keeping_pb2.Shelf:
    month = "" if shelf.shelf == ON_HOLD else f"{shelf.month:%Y-%m}"
    due_at = shelf.due_at(retention) if shelf.erased_at is None else None
    return keeping_pb2.Shelf(
        target=shelf.target,
        month=month,
        due_at=_timestamp(due_at),
        erased_at=_timestamp(shelf.erased_at),
        size_bytes=shelf.size_bytes,
    )


def _timestamp(at: datetime | None) -> Timestamp | None:
    if at is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp


def _reason(text: str) -> str:
    if not text.strip():
        raise BadQuestion("reason: needed, such as a case's number")
    if len(text) > MOST_REASON_CHARACTERS:
        raise BadQuestion(f"reason: at most {MOST_REASON_CHARACTERS} characters")
    return searchable(text)


def _uuid(text: str, field: str) -> uuid.UUID:
    try:
        value = uuid.UUID(text)
    except ValueError:
        value = None
    if value is None or str(value) != text:
        raise BadQuestion(f"{field}: not a UUID in small letters, with hyphens")
    return value


def _subject_of(request: keeping_pb2.PlaceHoldRequest) -> str:
    return request.session_id or request.principal.subject


def _trace(context: Context) -> str:
    trace = [value for key, value in context.invocation_metadata() or () if key == "traceparent"]
    return str(trace[0])[:55] if len(trace) == 1 else ""
