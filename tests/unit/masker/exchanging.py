"""An exchange between Envoy, which the test plays, and a sink that it controls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from countersign.masker.budget import Budget
from countersign.masker.exchange import Exchange
from countersign.model.handoff import HandedCall, Handoff
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.telltale import HEADER, telltales_of
from countersign.runtime.aside import Aside
from countersign.runtime.moments import new_id
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import Sealer
from tests.support.handles import MemoryHandles
from tests.support.pins import FakePins
from tests.support.revoking import nobody_is
from tests.support.sinks import Sink

MAIL = "canary@" + "example.org"
SEALER = Sealer(bytes(range(32)))
ALICE = Principal("https://idp.test", "alice", ("analysts",), PrincipalKind.PERSON, "t1")
GATEWAY = """
version: 1
gateway: {url: "https://gateway.test"}
identity: {oidc: [{issuer: "https://idp.test"}]}
targets: {orders: {mcp: "http://127.0.0.1:9000/mcp", binary: pass}}
rules:
  - {name: read, allow: {groups: [analysts], targets: [orders], tools: [query]}, mask: [pii]}
  - {name: risky, approve: {groups: [analysts], targets: [orders], tools: [wipe]}, by: {groups: [owners]}}
masks: {pii: {detect: [email, credit_card]}, told: {fields: [statusMessage]}}
"""
JSON, EVENTS, TEXT = "application/json", "text/event-stream", "text/plain"


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory: pytest.TempPathFactory, rules_cache: Path) -> Rulebook:
    path = tmp_path_factory.mktemp("exchange") / "gateway.yaml"
    path.write_text(GATEWAY)
    return Rulebook(path, {}, rules_cache, reads=())


class Bench:
    """An exchange between Envoy, which the test plays, and a sink that it controls."""

    def __init__(
        self, rulebook: Rulebook, pins: FakePins | None = None, *, handles: MemoryHandles | None = None
    ) -> None:
        self.rulebook = rulebook
        self.session_id = new_id()
        self.sink = Sink()
        self.version = rulebook.current.config.version
        self.budget = Budget(1_000_000)
        aside = Aside(from_bytes=100_000, at_once=1)
        now_us = 1_790_000_000_000_000
        self.pins = pins or FakePins()
        self.handles = handles or MemoryHandles()
        self.exchange = Exchange(
            *(rulebook, self.sink, SEALER, self.pins, aside, self.budget, lambda: now_us, new_id, nobody_is),
            handles=self.handles,
        )

    async def feed(self, message: pb.ProcessingRequest) -> list[pb.ProcessingResponse]:
        return list(await self.exchange.step(message))

    async def head(
        self,
        content_type: str = JSON,
        status: int = 200,
        *,
        method: str = "tools/call",
        handed: bool = True,
        id_json: str = "1",
        era: str = "legacy",
        shown: bytes = b"",
        said: str = "",
    ) -> list[pb.ProcessingResponse]:
        calls = (HandedCall(id_json, method, "query"),)
        handoff = Handoff(self.session_id, new_id(), 0, "orders", era, ALICE, calls, ("pii",), self.version)
        handoff = replace(handoff, shown=telltales_of([shown], SEALER.mark_shown))
        message = pb.ProcessingRequest()
        for name, value in ((":status", str(status)), ("content-type", content_type), ("x-leak", MAIL), (HEADER, said)):
            if value:
                message.response_headers.headers.headers.add(key=name, raw_value=value.encode())
        message.attributes["envoy.filters.http.ext_proc"].fields["response.code_details"].string_value = "via_upstream"
        if handed:
            metadata = message.metadata_context.filter_metadata["envoy.filters.http.ext_authz"]
            metadata.fields["handoff"].string_value = handoff.to_json()
        return await self.feed(message)

    async def body(self, data: bytes, *, ends: bool = False) -> list[pb.ProcessingResponse]:
        message = pb.ProcessingRequest()
        message.response_body.body = data
        message.response_body.end_of_stream = ends
        return await self.feed(message)


@pytest.fixture
def bench(rulebook: Rulebook) -> Bench:
    return Bench(rulebook)


def released(replies: Sequence[pb.ProcessingResponse]) -> bytes:
    return b"".join(reply.response_body.response.body_mutation.streamed_response.body for reply in replies)


def refused(replies: Sequence[pb.ProcessingResponse]) -> int:
    """The status that the caller gets in place of the answer."""
    (reply,) = replies
    assert MAIL.encode() not in reply.SerializeToString()
    return int(reply.immediate_response.status.code)


def answer(content: object = MAIL) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"said": content}}).encode()


def listing() -> bytes:
    return json.dumps(
        {"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "query"}, {"name": "export"}]}}
    ).encode()


def note(text: str) -> bytes:
    message = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": text}}
    return f"data: {json.dumps(message)}\n\n".encode()


CREDENTIAL = b"shown-" + b"to/the/target"
