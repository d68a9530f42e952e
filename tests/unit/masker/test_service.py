"""The service itself, played by a test in Envoy's place: whatever breaks in it, no value is let out by any door."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from countersign.masker.server import MaskerService
from countersign.masking.detectors.email import Email
from countersign.model.event import Event
from countersign.model.handoff import HandedCall, Handoff
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime import telemetry
from countersign.runtime.moments import new_id
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import Sealer
from tests.support.pins import FakePins
from tests.support.revoking import FakeRevocations
from tests.support.sinks import Sink

MAIL = "canary@" + "example.org"
ALICE = Principal("https://idp.test", "alice", ("analysts",), PrincipalKind.PERSON, "t1")
GATEWAY = """
version: 1
gateway: {url: "https://gateway.test"}
identity: {oidc: [{issuer: "https://idp.test"}]}
targets: {orders: {mcp: "http://127.0.0.1:9000/mcp", mask_request: {mask: [pii]}}}
rules: [{name: read, allow: {groups: [analysts], targets: [orders], tools: [query]}, mask: [pii]}]
masks: {pii: {detect: [email]}}
"""


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory: pytest.TempPathFactory, rules_cache: Path) -> Rulebook:
    path = tmp_path_factory.mktemp("service") / "gateway.yaml"
    path.write_text(GATEWAY)
    return Rulebook(path, {}, rules_cache, reads=())


class Aborted(Exception):
    """What gRPC raises out of ``abort``."""


class Stream:
    """Envoy's side of one stream: says ``messages``, keeps what is written and why it was aborted."""

    def __init__(self, messages: Sequence[pb.ProcessingRequest]) -> None:
        self._messages = list(messages)
        self.written: list[pb.ProcessingResponse] = []
        self.aborted = ""

    def invocation_metadata(self) -> tuple[()]:
        return ()

    async def read(self) -> object:
        return self._messages.pop(0) if self._messages else grpc.aio.EOF

    async def write(self, message: pb.ProcessingResponse) -> None:
        self.written.append(message)

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        self.aborted = f"{code.name}: {details}"
        raise Aborted(details)


class Broken(Sink):
    """A recorder's client with a mistake in it that quotes what it was given."""

    async def record(self, event: Event) -> None:
        if not event.reason:
            raise RuntimeError(f"cannot take {event.body!r} of {MAIL}")
        await super().record(event)


def message(handoff: Handoff, **parts: Any) -> pb.ProcessingRequest:
    made = pb.ProcessingRequest(**parts)
    made.attributes["envoy.filters.http.ext_proc"].fields["response.code_details"].string_value = "via_upstream"
    metadata = made.metadata_context.filter_metadata["envoy.filters.http.ext_authz"]
    metadata.fields["handoff"].string_value = handoff.to_json()
    return made


def call(rulebook: Rulebook, kind: str) -> list[pb.ProcessingRequest]:
    """The messages of one call whose request and answer hold the value."""
    version = rulebook.current.config.version
    calls = (HandedCall("1", "tools/call", "query"),)
    head = pb.HttpHeaders()
    for name, value in ((":status", "200"), ("content-type", kind)):
        head.headers.headers.add(key=name, raw_value=value.encode())
    params = {"name": "query", "arguments": {"who": MAIL}}
    asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    mark = Sealer(bytes(range(32))).mark_request(asked.replace(MAIL.encode(), b"[EMAIL]"))
    handoff = Handoff(new_id(), new_id(), 0, "orders", "legacy", ALICE, calls, ("pii",), version, "", True, False, mark)
    told = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"said": MAIL}}).encode()
    told = told if kind == "application/json" else b"data: " + told + b"\n\n"
    return [
        message(handoff, request_headers=pb.HttpHeaders()),
        message(handoff, request_body=pb.HttpBody(body=asked, end_of_stream=True)),
        message(handoff, response_headers=head),
        message(handoff, response_body=pb.HttpBody(body=told, end_of_stream=True)),
    ]


class Spans:
    """What is traced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen = ""
        monkeypatch.setattr(telemetry, "span_of_past", self.note)

    def note(self, *said: object, **also: object) -> None:
        self.seen += f"{said} {also}"


async def played(stream: Stream, rulebook: Rulebook, sink: Sink) -> None:
    service = MaskerService(rulebook, sink, Sealer(bytes(range(32))), FakePins(), FakeRevocations())
    try:
        await service.Process(iter(()), stream)  # type: ignore[arg-type]  # as much of a context as it uses
    except Aborted:
        assert stream.aborted
    await service.settle()


def everything(stream: Stream, sink: Sink, spans: Spans, caplog: pytest.LogCaptureFixture) -> str:
    """All that left the service."""
    exceptions = "".join(str(record.exc_info) + str(record.__dict__) for record in caplog.records)
    written = "".join(map(repr, stream.written))
    return f"{written} {sink.durable!r} {stream.aborted} {spans.seen} {caplog.text} {exceptions}"


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_a_call_is_masked_both_ways(
    rulebook: Rulebook, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    stream, sink, spans = Stream(call(rulebook, kind)), Sink(), Spans(monkeypatch)
    await played(stream, rulebook, sink)
    shown = everything(stream, sink, spans, caplog)
    assert shown.count("[EMAIL]") >= 3
    assert MAIL not in shown
    assert stream.aborted == ""


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("what", ["the recorder's client", "a detector", "the answer's part", "the request's part"])
async def test_a_mistake_that_quotes_a_value_lets_it_out_nowhere(
    rulebook: Rulebook, kind: str, what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def fails(*given: object, **more: object) -> object:
        raise RuntimeError(f"cannot take {given} {more} of {MAIL}")

    if what == "a detector":
        monkeypatch.setattr(Email, "find", fails)
    elif what == "the answer's part":
        monkeypatch.setattr("countersign.masker.exchange.treatment", fails)
    elif what == "the request's part":
        monkeypatch.setattr("countersign.masker.request.masked_request", fails)
    sink = Broken() if what == "the recorder's client" else Sink()
    stream, spans = Stream(call(rulebook, kind)), Spans(monkeypatch)
    await played(stream, rulebook, sink)
    assert MAIL not in everything(stream, sink, spans, caplog)
    immediate = [reply for reply in stream.written if reply.HasField("immediate_response")]
    assert stream.aborted or immediate
