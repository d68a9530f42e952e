"""A record in memory for commands that try a policy on it, and what is on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
import pytest
from typer.testing import CliRunner, Result

from countersign.api.recorder.v1 import session_pb2, session_pb2_grpc
from countersign.cli.main import app
from countersign.model.decision import Outcome
from countersign.model.event import Event
from countersign.recorder.asked import calls
from countersign.recorder.entry import accept
from countersign.recorder.sessions import to_fact
from countersign.runtime.recording import to_message
from tests.support.events import START_US, decision, request, response
from tests.support.memory_store import MemoryStore
from tests.unit.rehearsal.policies import READ, Rule

TOKEN = "".join(["to", "ken"])
BOUNDS = ["--since", "2026-09-21", "--until", "2026-09-22"]
LIMITED: Rule = {**READ, "args": {"limit": {"max": 100}}}
HEAVY: Rule = {"name": "enough", "deny": {"tools": ["query"]}, "when": "usage.rows_1h > 100"}


# 21 September 2026, UTC: when all of it happened.
SEEN_US = 1_790_000_000_000_000


@dataclass
class Scripted(session_pb2_grpc.SessionServiceServicer):
    """Answers from a store; ``breaks`` streams break off after their first answer, ``status`` refuses all."""

    store: MemoryStore = field(default_factory=MemoryStore)
    status: grpc.StatusCode | None = None
    breaks: int = 0
    asked: list[session_pb2.StreamCallsRequest] = field(default_factory=list)

    def record(self, *events: Event) -> None:
        seen = [replace(event, time_us=event.time_us - START_US + SEEN_US) for event in events]
        asyncio.run(self.store.append([accept(to_message(event), clock_us=lambda: SEEN_US) for event in seen]))

    def ListSessions(
        self, request: session_pb2.ListSessionsRequest, context: grpc.ServicerContext
    ) -> session_pb2.ListSessionsResponse:
        raise NotImplementedError

    def GetSession(
        self, request: session_pb2.GetSessionRequest, context: grpc.ServicerContext
    ) -> session_pb2.GetSessionResponse:
        raise NotImplementedError

    def StreamCalls(
        self, request: session_pb2.StreamCallsRequest, context: grpc.ServicerContext
    ) -> Iterator[session_pb2.StreamCallsResponse]:
        self.asked.append(request)
        if self.status is not None:
            context.abort(self.status, "no")
        if request.filter.event_id:
            yield from self._one(request.filter.event_id, context)
            return
        start, end = request.from_index, len(self.store.rows)
        while start < end:
            page = asyncio.run(self.store.facts(calls(request), start=start, stop=end))
            start = page.next_index
            yield session_pb2.StreamCallsResponse(facts=map(to_fact, page.facts), next_index=start, end_index=end)
            if self.breaks:
                self.breaks -= 1
                context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    def _one(self, event_id: str, context: grpc.ServicerContext) -> Iterator[session_pb2.StreamCallsResponse]:
        found = [fact for fact in self._facts() if fact.call.event.event_id == event_id]
        if not found:
            context.abort(grpc.StatusCode.NOT_FOUND, "filter.event_id: no such call")
        yield session_pb2.StreamCallsResponse(facts=found)

    def ReplaySession(
        self, request: session_pb2.ReplaySessionRequest, context: grpc.ServicerContext
    ) -> Iterator[session_pb2.ReplaySessionResponse]:
        for fact in self._facts():
            if fact.call.event.session_id == request.session_id:
                yield session_pb2.ReplaySessionResponse(event=fact.call)

    def _facts(self) -> list[session_pb2.CallFact]:
        everything = session_pb2.StreamCallsRequest()
        everything.since.FromSeconds(0)
        everything.until.FromSeconds(2**33)
        found: list[session_pb2.CallFact] = []
        start = 0
        while start < len(self.store.rows):
            page = asyncio.run(self.store.facts(calls(everything), start=start, stop=len(self.store.rows)))
            found += map(to_fact, page.facts)
            start = page.next_index
        return found


@pytest.fixture
def service() -> Scripted:
    return Scripted()


@pytest.fixture
def options(service: Scripted, tmp_path: Path) -> Iterator[list[str]]:
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        session_pb2_grpc.add_SessionServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        file = tmp_path / "token"
        file.write_text(TOKEN + "\n")
        yield ["--gateway", f"http://127.0.0.1:{port}", "--token-file", str(file)]
        server.stop(None).wait()


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["policy", *map(str, arguments)])


def traffic(service: Scripted, count: int = 5) -> list[Event]:
    """Reads that were allowed, each answered with 40 rows, and an export that was denied."""
    events = []
    for number in range(count):
        asked = request(
            time_us=START_US + number * 1_000_000,
            body=b'{"name": "query", "arguments": {"limit": 1000}}',
        )
        told = response(asked.session_id, call_id=asked.call_id, time_us=asked.time_us + 500_000, row_count=40)
        events += [asked, told]
    export = request(name="export_table", decision=decision(Outcome.DENY, "no exports"))
    service.record(*events, export)
    return [event for event in events if event.principal is not None]
