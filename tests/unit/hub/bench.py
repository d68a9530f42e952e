"""The one door before targets that are down, and a record that the test controls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import httpx

from countersign.config import GatewayConfig, Limits, Target
from countersign.hub.cursors import Cursors
from countersign.hub.dismissals import Dismissals
from countersign.hub.door import Door
from countersign.hub.inside import Away, Caller, Inner, Inside
from countersign.hub.listing import Listing
from countersign.hub.outgoing import Head
from countersign.hub.peers import Owner, Owners, Peers
from countersign.hub.relay import Relay
from countersign.hub.sessions import Sessions
from countersign.hub.streams import Streams
from countersign.mcp import HttpRequest
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.aside import Aside
from countersign.runtime.live import Live
from countersign.runtime.moments import new_id
from countersign.runtime.sealing import Sealer
from tests.support.revoking import FakeRevocations

KEY = bytes(32)
CALLER = Caller(Principal("https://idp.test", "alice", (), PrincipalKind.PERSON, "token"), "Bearer x", "192.0.2.1")
TARGET = Target("t", "https://t.test/mcp", None, "https://gateway.test/t/mcp")
CONFIG = cast(GatewayConfig, SimpleNamespace(limits=Limits(), targets={"t": TARGET}, url="https://gateway.test"))
MODERN_VERSION = "2026-07-28"
CAPABILITIES: dict[str, object] = {"elicitation": {}}


class Body(httpx.AsyncByteStream):
    """A body."""

    def __init__(self, said: bytes) -> None:
        self._said = said

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._said


@dataclass
class NoTarget:
    """Envoy's inner listener, where no target answers. ``status`` is what comes of what is brought for the record."""

    status: int = 202
    brought: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    held: asyncio.Event | None = None
    over: int = 0
    asked: int = 0

    def ask(
        self, caller: Caller, target: str, verb: str, headers: Mapping[str, str], body: bytes
    ) -> AbstractAsyncContextManager[Inner]:
        self.asked += 1
        raise Away("the gateway does not answer inside")

    @asynccontextmanager
    async def note(self, caller: Caller, verb: str, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Inner]:
        assert caller is CALLER
        self.brought.append((verb, dict(headers), body))
        if self.held is not None:
            await self.held.wait()
            self.over += 1
        error = {"jsonrpc": "2.0", "id": None, "error": {"code": 5030, "message": "not recorded"}}
        said = b"" if self.status == 202 else json.dumps(error).encode()
        yield Inner(
            httpx.Response(self.status, headers={"content-type": "application/json"}, stream=Body(said)), Limits()
        )


class Hub:
    """The one door, before a record that the test controls."""

    def __init__(self, usable: tuple[Target, ...] = (TARGET,)) -> None:
        self.inner = NoTarget()
        inside, aside = cast(Inside, self.inner), Aside(from_bytes=1 << 20, at_once=1)
        live = Live(FakeRevocations(), lambda: 1)
        peers = Peers(inside, lambda: CONFIG, aside, lambda: 0.0)
        dismissals = Dismissals(inside, peers)
        relay = Relay(inside, peers, dismissals, lambda: CONFIG, aside, live)
        self.owners = Owners()
        self.sessions = Sessions(Sealer(KEY), self.owners, new_id)
        self._door = Door(
            lambda: CONFIG,
            lambda caller: list(usable),
            peers,
            self.sessions,
            Listing(peers, Cursors(KEY), lambda: CONFIG, aside),
            relay,
            Streams(inside, peers, relay, live),
            dismissals,
            aside,
        )

    async def say(self, message: object, verb: str = "POST", **headers: str) -> tuple[int, Any]:
        """What a legacy caller hears: the status, and what the body says."""
        sent = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}
        if verb == "POST":
            sent["content-type"] = "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        body = json.dumps(message).encode() if verb == "POST" else b""
        status, found = 0, b""
        answer = self._door.answer(CALLER, HttpRequest(verb, sent, body))
        async for each in answer:
            if isinstance(each, Head):
                status = each.status
                if each.streams:
                    await answer.aclose()
                    return status, "stream"
            else:
                found += each
        return status, json.loads(found) if found else None

    async def ask(
        self, method: str, params: object = None, *, notified: bool = False, **headers: str
    ) -> tuple[int, Any]:
        """The same of a modern caller."""
        meta = {f"io.modelcontextprotocol/{key}": value for key, value in MODERN.items()}
        message = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": method,
            "params": {**cast(dict[str, Any], params or {}), "_meta": meta},
        }
        if notified:
            del message["id"]
        return await self.say(message, mcp_protocol_version=MODERN_VERSION, mcp_method=method, **headers)

    async def session(self) -> str:
        params = {"protocolVersion": "2025-11-25", "capabilities": CAPABILITIES, "clientInfo": {"name": "n"}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
        sent = {"content-type": "application/json", "accept": "application/json"}
        async for each in self._door.answer(CALLER, HttpRequest("POST", sent, json.dumps(body).encode())):
            if isinstance(each, Head):
                return dict(each.headers)["mcp-session-id"]
        raise AssertionError

    def owner(self, session: str) -> Owner:
        return self.sessions.find(CALLER.principal, session)


MODERN = {"protocolVersion": MODERN_VERSION, "clientCapabilities": {}}


def rpc(method: str, params: object = None, **members: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "method": method, "params": params or {}, **members}
