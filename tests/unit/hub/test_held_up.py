"""What is large at the one door, to be read or to be put into its words, holds up nobody else."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from countersign.config import GatewayConfig, Limits, Target
from countersign.hub import door, listing, peers, relay, wording
from countersign.hub.asked import About, Asked
from countersign.hub.cursors import Cursors, Standing
from countersign.hub.dismissals import Dismissals
from countersign.hub.door import Door
from countersign.hub.inside import Caller, Inner, Inside
from countersign.hub.listing import Listing
from countersign.hub.outgoing import Head
from countersign.hub.peers import Owner, Owners, Peers
from countersign.hub.relay import Relay
from countersign.hub.sessions import Sessions
from countersign.hub.streams import Streams
from countersign.hub.wording import at_door
from countersign.jsontext import Document, parse
from countersign.mcp import Era, HttpRequest
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.aside import Aside
from countersign.runtime.live import Live
from countersign.runtime.sealing import Sealer
from tests.support.recorders import until

LARGE = 100_000
GIVEN_UP_S = 30.0
CALLER = Caller(Principal("https://idp.test", "alice", (), PrincipalKind.PERSON, "token"), "Bearer x", "192.0.2.1")
CONFIG = cast(GatewayConfig, SimpleNamespace(limits=Limits(), targets={}))
TARGET = Target("t", "https://t.test/mcp", None, "https://gateway.test/t/mcp")
NOBODY = cast(Dismissals, None)
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Stream(httpx.AsyncByteStream):
    """A body."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


@dataclass
class Answering:
    """The gateway inside, where a target's answer is as long as the request says."""

    kind: str

    @asynccontextmanager
    async def ask(
        self, caller: Caller, target: str, verb: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[Inner]:
        asked = json.loads(body)
        arguments = asked["params"].get("arguments", {"size": int(asked["params"].get("cursor", "0"))})
        content = [{"type": "text", "text": "x" * arguments["size"]}]
        tools = [{"name": "x" * 50, "description": "y" * arguments["size"]}]
        result = {"content": content, "tools": tools, "supportedVersions": ["2026-07-28"]}
        said = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}).encode()
        if self.kind == "text/event-stream":
            said = b"data: " + said + b"\n\n"
        yield Inner(httpx.Response(200, headers={"content-type": self.kind}, stream=Stream(said)), Limits())


@dataclass
class Held:
    """Work on much that goes on until somebody else was answered. ``events`` is what happened, in order."""

    events: list[str] = field(default_factory=list)
    others: threading.Event = field(default_factory=threading.Event)

    def hold(self, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> None:
        real = getattr(module, name)

        def held(*args: Any, **kwargs: Any) -> Any:
            sizes = [len(arg.text) if isinstance(arg, Document) else len(arg) for arg in args if _has_size(arg)]
            if max([0, *sizes, *(len(arg.body) for arg in args if isinstance(arg, HttpRequest))]) >= LARGE:
                if not self.others.is_set():
                    self.events.append("much is begun")
                # On the loop, nobody could be answered, and this would end in vain.
                assert self.others.wait(GIVEN_UP_S), "nobody else was answered meanwhile"
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, held)

    async def assert_others_are_answered(self, ask: Callable[[int], Awaitable[None]]) -> None:
        much = asyncio.ensure_future(ask(LARGE))
        await until(lambda: bool(self.events) or much.done())
        await ask(10)
        self.events.append("little is answered")
        self.others.set()
        await much
        assert self.events == ["much is begun", "little is answered"]


def _has_size(arg: object) -> bool:
    return isinstance(arg, str | bytes | Document)


def aside() -> Aside:
    return Aside(from_bytes=LARGE // 2, at_once=1)


@pytest.mark.parametrize("name", ["read", "told"])
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_others_are_answered_while_a_large_answer_is_read(
    monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    held = Held()
    held.hold(monkeypatch, relay, name)
    made = Relay(cast(Inside, Answering(kind)), cast(Peers, None), NOBODY, lambda: CONFIG, aside(), cast(Live, None))

    async def ask(size: int) -> None:
        params: dict[str, Any] = {"name": "t__x", "arguments": {"size": size}, "_meta": META}
        document = parse(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}))
        asked = Asked(document, "tools/call", params, "1", Era.MODERN, {})
        found = b""
        async for each in made.relay(CALLER, Owner("k"), asked, TARGET, About("t", "x", ("name",)), admitted=False):
            found += b"" if isinstance(each, Head) else each
        assert b"x" * size in found

    await held.assert_others_are_answered(ask)


@pytest.mark.parametrize(("module", "name"), [(peers, "read"), (listing, "listed")])
async def test_others_have_their_lists_while_a_long_one_is_read(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str
) -> None:
    held = Held()
    held.hold(monkeypatch, module, name)
    away = aside()
    known = Peers(cast(Inside, Answering("application/json")), lambda: CONFIG, away, lambda: 0.0)
    way = await known.way(CALLER, Owner("k"), TARGET, Era.MODERN)
    assert way.era is Era.MODERN
    made = Listing(known, Cursors(bytes(32)), lambda: CONFIG, away)
    monkeypatch.setattr(made, "_merged", lambda *args: json.dumps(args[-1]["t"].entries))

    async def ask(size: int) -> None:
        monkeypatch.setattr(made, "_cursors", SimpleNamespace(open=lambda *_: {"t": Standing(str(size))}))
        text = await made.page(CALLER, Owner("k"), Era.MODERN, "tools/list", "cursor", [TARGET])
        assert "y" * size in text

    await held.assert_others_are_answered(ask)


@pytest.mark.parametrize("name", ["read_request", "parse"])
async def test_others_are_answered_while_a_large_request_is_read(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    held = Held()
    held.hold(monkeypatch, door, name)
    made = Door(
        lambda: CONFIG,
        lambda caller: [],
        cast(Peers, None),
        Sessions(Sealer(bytes(32)), Owners(), lambda: "id"),
        cast(Listing, None),
        cast(Relay, None),
        cast(Streams, None),
        NOBODY,
        aside(),
    )

    async def ask(size: int) -> None:
        params = {"_meta": META, "x": "x" * size}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": params}).encode()
        headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "server/discover",
        }
        found = [each async for each in made.answer(CALLER, HttpRequest("POST", headers, body))]
        assert isinstance(found[0], Head)
        assert found[0].status == 200, found

    await held.assert_others_are_answered(ask)


def test_however_much_a_target_names_its_answer_is_gone_through_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each place looked up from the beginning of the answer would take the square of its length."""
    looked_through = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def counting(document: Document, path: Any) -> Any:
            nonlocal looked_through
            looked_through += len(document.text)
            return real(document, path)

        return counting

    for name in ("value_span", "element_spans", "member_spans"):
        monkeypatch.setattr(wording, name, counted(getattr(wording, name)))
    link = {"type": "resource_link", "uri": "a:/b", "name": "n"}
    nested = {"type": "tool_result", "content": [link] * 500}
    results: list[dict[str, Any]] = [
        {"content": [link] * 1_000},
        {"contents": [{"uri": "a:/b", "text": ""}] * 1_000},
        {"messages": [{"role": "user", "content": link}] * 1_000},
        {"messages": [{"role": "user", "content": [nested] * 2}] * 2},
    ]
    for result in results:
        document = parse(json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}))
        looked_through = 0
        assert len(at_door("t", document)) in (1_000, 2_000)
        assert looked_through < 10 * len(document.text)
