"""A target whose tools change as a test says, in both eras; and gateways with many targets that lead to it."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import grpc

from countersign.api.access.v1 import tools_pb2, tools_pb2_grpc
from countersign.demo.people import ALICE
from tests.support.clients import LEGACY, MODERN, Rpc, call, messages, post
from tests.support.gateway import Gateway, Setup, Upstream, free_port, running_gateway
from tests.support.issuer import RunningIssuer, running_issuer
from tests.support.targets import JSON_TYPE, SSE_TYPE, Exchange, answers, event, result, scripted_target, tool_text

RULES: tuple[Mapping[str, object], ...] = (
    {
        "name": "analysts use all tools",
        "allow": {"groups": list(ALICE.groups), "targets": ["*"], "tools": ["*"]},
        "mask": ["secrets", "pii"],
    },
)
OPERATORS: Mapping[str, object] = {"operators": {"groups": ["operators"]}}
_CACHEABLE = {"resultType": "complete", "ttlMs": 0, "cacheScope": "public"}


@dataclass
class Shop:
    """Enough of an MCP server. ``tools`` are what it lists, ``page_size`` of them at a time, in a stream if ``sse``."""

    tools: Sequence[Mapping[str, object]] = ()
    page_size: int = 100_000
    sse: bool = False
    called: list[str] = field(default_factory=list)

    async def __call__(self, exchange: Exchange) -> None:
        """Be the script."""
        request = exchange.request
        params = request.message().get("params")
        asked = params if isinstance(params, dict) else {}
        if request.verb != "POST":
            await exchange.head(405, length=0)
        elif request.method == "tools/list":
            await self._list(exchange, int(asked.get("cursor") or 0))
        elif request.method == "tools/call":
            self.called.append(str(asked.get("name")))
            await answers(tool_text("done"))(exchange)
        elif request.method in _KNOWN:
            await answers(_KNOWN[request.method])(exchange)
        else:
            await exchange.head(202, length=0)

    async def _list(self, exchange: Exchange, start: int) -> None:
        stop = start + self.page_size
        content: dict[str, object] = {"tools": list(self.tools[start:stop]), **_CACHEABLE}
        if stop < len(self.tools):
            content["nextCursor"] = str(stop)
        body = result(exchange, content)
        if self.sse:
            body = event(json.loads(body))
        await exchange.head(content_type=SSE_TYPE if self.sse else JSON_TYPE)
        await exchange.body(body)
        await exchange.end()


_KNOWN: dict[object, object] = {
    "initialize": {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "shop", "version": "1"},
    },
    "server/discover": {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, **_CACHEABLE},
    "ping": {},
}


@dataclass(frozen=True)
class Mall:
    """A gateway with many targets that all lead to one port; each test takes a target that nobody listed before."""

    gateway: Gateway
    issuer: RunningIssuer
    port: int
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def take(self, kind: str = "deny") -> str:
        """The name of a fresh target whose ``new_tools`` is ``kind``."""
        return f"{kind}{next(self._numbers)}"

    def token(self, target: str, person: str = "alice") -> str:
        """A fresh good token for a target."""
        return self.issuer.token(person, self.gateway.endpoint(target))

    def operator_token(self, *groups: str) -> str:
        """A fresh good token for the gateway, of somebody in these groups: an operator's unless given."""
        return self.issuer.token("carol", self.gateway.url, groups=list(groups or ("operators",)))

    async def send(self, target: str, rpc: Rpc, era: str = MODERN) -> dict[str, object]:
        """The gateway's answer to one message of alice's."""
        answer = await post(self.gateway.endpoint(target), self.token(target), rpc, era=era)
        (message,) = messages(answer)
        return message

    async def list(self, target: str, era: str = MODERN, cursor: str = "") -> list[str]:
        """The names of the tools that alice sees; ``["refused"]`` when the listing is withheld."""
        listed = (await self.send(target, Rpc("tools/list", {"cursor": cursor} if cursor else {}), era)).get("result")
        return [tool["name"] for tool in listed["tools"]] if isinstance(listed, dict) else ["refused"]

    async def call(self, target: str, tool: str, era: str = MODERN) -> str:
        """What alice reads when she calls a tool."""
        answer = (await self.send(target, call(tool), era)).get("result")
        return str(answer["content"][0]["text"]) if isinstance(answer, dict) else "refused"

    @asynccontextmanager
    async def shop(
        self, *tools: Mapping[str, object], page_size: int = 100_000, sse: bool = False
    ) -> AsyncIterator[Shop]:
        """Run the target."""
        shop = Shop(tools, page_size, sse)
        async with scripted_target(shop, self.port):
            yield shop

    @asynccontextmanager
    async def review(self, *groups: str) -> AsyncIterator[Review]:
        """What operators do, through Envoy."""
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.gateway.port}") as channel:
            yield Review(channel, self.operator_token(*groups))


class Review:
    """The ToolReviewService with a bearer token."""

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self._stub = tools_pb2_grpc.ToolReviewServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"),)

    async def waiting(self, target: str) -> list[tools_pb2.ReviewedTool]:
        """The tools of a target that wait to be accepted."""
        asked = tools_pb2.ListToolsRequest(target=target, pending=True)
        return list((await self._stub.ListTools(asked, metadata=self._metadata, timeout=15)).tools)

    async def accept(self, target: str, *tools: tools_pb2.ReviewedTool) -> list[str]:
        """Accept tools as they were shown."""
        seen = [tools_pb2.SeenTool(name=tool.name, digest=tool.seen_digest) for tool in tools]
        asked = tools_pb2.AcceptToolsRequest(target=target, tools=seen)
        return list((await self._stub.AcceptTools(asked, metadata=self._metadata, timeout=15)).accepted)

    async def forget(self, target: str, *tools: tools_pb2.ReviewedTool) -> list[str]:
        """Have tools forgotten as they were shown."""
        seen = [tools_pb2.SeenTool(name=tool.name, digest=tool.seen_digest) for tool in tools]
        asked = tools_pb2.ForgetToolsRequest(target=target, tools=seen)
        return list((await self._stub.ForgetTools(asked, metadata=self._metadata, timeout=15)).forgotten)

    async def known(self, target: str) -> list[tools_pb2.ReviewedTool]:
        """All tools that are known of a target."""
        asked = tools_pb2.ListToolsRequest(target=target)
        return list((await self._stub.ListTools(asked, metadata=self._metadata, timeout=15)).tools)


@contextmanager
def running_mall(targets: int = 20) -> Iterator[Mall]:
    """A running gateway with that many targets of each kind."""
    port = free_port()
    with running_issuer() as issuer:
        upstreams = {
            f"{kind}{number}": Upstream(f"http://127.0.0.1:{port}/mcp", extra={"new_tools": kind})
            for kind in ("deny", "allow")
            for number in range(targets)
        }
        setup = Setup(issuer.url, upstreams, RULES, extra={**OPERATORS, "limits": {"response_bytes": 32 * 1024 * 1024}})
        with running_gateway(setup) as gateway:
            yield Mall(gateway, issuer, port)


ERAS = (LEGACY, MODERN)
