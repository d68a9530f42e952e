"""The services of the record, scripted: what a test put in comes out, connections break where it says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc

from countersign.api.recorder.v1 import (
    event_pb2,
    log_pb2,
    log_pb2_grpc,
    search_pb2,
    search_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
)
from countersign.model.event import Event
from countersign.runtime.recording import to_message

TOKEN = "".join(["to", "ken"])


def recorded(*events: Event | event_pb2.Event) -> list[event_pb2.RecordedEvent]:
    """The events as the recorder gives them back."""
    made = [event if isinstance(event, event_pb2.Event) else to_message(event) for event in events]
    return [event_pb2.RecordedEvent(index=100 + number, sequence=number, event=one) for number, one in enumerate(made)]


def seal(session_id: str) -> event_pb2.Event:
    """The last event of a session."""
    return event_pb2.Event(
        event_id="00000000-0000-4000-8000-00000000000e",
        session_id=session_id,
        kind=event_pb2.EVENT_KIND_SEAL,
        time_us=1_790_000_009_000_000,
        method="idle",
        seal=event_pb2.Seal(event_count=3, root=bytes(32), unanswered_count=1),
    )


@dataclass
class Script:
    """What the services know. ``breaks`` is after how many messages each stream breaks off, in turn."""

    session: session_pb2.Session | None = None
    events: list[event_pb2.RecordedEvent] = field(default_factory=list)
    pages: list[search_pb2.SearchEventsResponse] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)
    status: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    replayed: list[session_pb2.ReplaySessionRequest] = field(default_factory=list)
    searched: list[search_pb2.SearchEventsRequest] = field(default_factory=list)
    followed: list[search_pb2.FollowEventsRequest] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)

    def begin(self, context: grpc.ServicerContext) -> int:
        """Note who asks; return after how many messages the stream breaks."""
        self.credentials += [str(value) for key, value in context.invocation_metadata() if key == "authorization"]
        return self.breaks.pop(0) if self.breaks else 10**9


def _nothing(context: grpc.ServicerContext) -> None:
    context.abort(grpc.StatusCode.NOT_FOUND, "nothing")


class _Sessions(session_pb2_grpc.SessionServiceServicer):
    def __init__(self, script: Script) -> None:
        self._script = script

    def ListSessions(
        self, request: session_pb2.ListSessionsRequest, context: grpc.ServicerContext
    ) -> session_pb2.ListSessionsResponse:
        raise NotImplementedError

    def GetSession(
        self, request: session_pb2.GetSessionRequest, context: grpc.ServicerContext
    ) -> session_pb2.GetSessionResponse:
        self._script.begin(context)
        if self._script.session is None or self._script.session.session_id != request.session_id:
            _nothing(context)
        return session_pb2.GetSessionResponse(session=self._script.session)

    def ReplaySession(
        self, request: session_pb2.ReplaySessionRequest, context: grpc.ServicerContext
    ) -> Iterator[session_pb2.ReplaySessionResponse]:
        copy = session_pb2.ReplaySessionRequest()
        copy.CopyFrom(request)
        self._script.replayed.append(copy)
        breaks = self._script.begin(context)
        # What only tells that the stream is alive.
        yield session_pb2.ReplaySessionResponse()
        for number, one in enumerate(self._script.events[request.from_sequence :]):
            if number >= breaks:
                context.abort(self._script.status, "broken off")
            yield session_pb2.ReplaySessionResponse(event=one)

    def StreamCalls(
        self, request: session_pb2.StreamCallsRequest, context: grpc.ServicerContext
    ) -> Iterator[session_pb2.StreamCallsResponse]:
        for one in self._script.events:
            if one.event.event_id == request.filter.event_id and one.event.kind == event_pb2.EVENT_KIND_REQUEST:
                yield session_pb2.StreamCallsResponse(facts=[session_pb2.CallFact(call=one)])
                return
        _nothing(context)


class _Search(search_pb2_grpc.SearchServiceServicer):
    def __init__(self, script: Script) -> None:
        self._script = script

    def SearchEvents(
        self, request: search_pb2.SearchEventsRequest, context: grpc.ServicerContext
    ) -> search_pb2.SearchEventsResponse:
        self._script.begin(context)
        copy = search_pb2.SearchEventsRequest()
        copy.CopyFrom(request)
        self._script.searched.append(copy)
        if self._script.pages:
            return self._script.pages[int(request.page_token or 0)]
        found = [one for one in self._script.events if one.event.call_id == request.filter.call_id]
        return search_pb2.SearchEventsResponse(events=found[::-1], complete=True)

    def FollowEvents(
        self, request: search_pb2.FollowEventsRequest, context: grpc.ServicerContext
    ) -> Iterator[search_pb2.FollowEventsResponse]:
        copy = search_pb2.FollowEventsRequest()
        copy.CopyFrom(request)
        self._script.followed.append(copy)
        breaks = self._script.begin(context)
        yield search_pb2.FollowEventsResponse(next_index=max(request.from_index, 100))
        for number, one in enumerate(each for each in self._script.events if each.index >= request.from_index):
            if number >= breaks:
                context.abort(self._script.status, "broken off")
            yield search_pb2.FollowEventsResponse(events=[one], next_index=one.index + 1)
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "that was all")


class _Log(log_pb2_grpc.LogServiceServicer):
    def __init__(self, script: Script) -> None:
        self._script = script

    def GetInclusionProof(
        self, request: log_pb2.GetInclusionProofRequest, context: grpc.ServicerContext
    ) -> log_pb2.GetInclusionProofResponse:
        for one in self._script.events:
            if one.event.event_id == request.event_id:
                leaf = {"event_id": one.event.event_id, "session_id": one.event.session_id}
                return log_pb2.GetInclusionProofResponse(index=one.index, leaf=json.dumps(leaf))
        _nothing(context)
        raise AssertionError

    def GetLogStatus(
        self, request: log_pb2.GetLogStatusRequest, context: grpc.ServicerContext
    ) -> log_pb2.GetLogStatusResponse:
        raise NotImplementedError

    def GetCheckpoint(
        self, request: log_pb2.GetCheckpointRequest, context: grpc.ServicerContext
    ) -> log_pb2.GetCheckpointResponse:
        raise NotImplementedError

    def GetConsistencyProof(
        self, request: log_pb2.GetConsistencyProofRequest, context: grpc.ServicerContext
    ) -> log_pb2.GetConsistencyProofResponse:
        raise NotImplementedError

    def ExportSession(
        self, request: log_pb2.ExportSessionRequest, context: grpc.ServicerContext
    ) -> Iterator[log_pb2.ExportSessionResponse]:
        raise NotImplementedError

    def DumpLog(
        self, request: log_pb2.DumpLogRequest, context: grpc.ServicerContext
    ) -> Iterator[log_pb2.DumpLogResponse]:
        raise NotImplementedError


@contextmanager
def serving(script: Script) -> Iterator[str]:
    """The address of services that do as the script says."""
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        session_pb2_grpc.add_SessionServiceServicer_to_server(_Sessions(script), server)
        search_pb2_grpc.add_SearchServiceServicer_to_server(_Search(script), server)
        log_pb2_grpc.add_LogServiceServicer_to_server(_Log(script), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"http://127.0.0.1:{port}"
        server.stop(None).wait()


def page(
    events: Sequence[event_pb2.RecordedEvent], token: str = "", *, complete: bool = True
) -> search_pb2.SearchEventsResponse:
    """One page of a search."""
    return search_pb2.SearchEventsResponse(events=events, next_page_token=token, complete=complete)
