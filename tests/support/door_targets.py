"""Targets for the one door: real servers of FastMCP that speak one era, or both, as real servers of their day do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastmcp import Context, FastMCP
from mcp_types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequiredResult,
    ListRootsRequest,
    ResourceLink,
    SamplingMessage,
    TextContent,
)

from countersign.demo.serving import AsgiApp, Message, ThreadedServer
from tests.support.targets import JSON_TYPE, SSE_TYPE, Exchange, Received, event

MODERN_VERSION = "2026-07-28"


@dataclass
class Seen:
    """What reached a target: its requests' methods (those of a verb alone by that), with their headers.

    ``started`` and ``cancelled`` are the keys of calls of its slow tool.
    """

    methods: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)


def server(name: str, seen: Seen) -> FastMCP[Any]:
    """A server whose every kind of thing says of which server it is."""
    app: FastMCP[Any] = FastMCP(name)

    @app.tool
    def where(text: str = "") -> str:
        """Say which server this is."""
        return f"{name} {text}".strip()

    @app.tool
    def exact(big: int) -> str:
        """Say what came."""
        return f"{big}"

    @app.tool
    def links() -> list[ResourceLink | TextContent]:
        """Name a resource."""
        link = ResourceLink(type="resource_link", uri=f"file:///{name}/notes", name="notes")
        return [link, TextContent(type="text", text=f"of {name}")]

    @app.tool
    async def slow(key: str, ctx: Context) -> str:
        """Report progress, then wait for ever."""
        seen.started.append(key)
        await ctx.report_progress(1, 2, f"{name} begins")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.cancelled.append(key)
            raise
        return ""

    @app.tool
    async def steps(ctx: Context) -> str:
        """Report progress."""
        await ctx.report_progress(1, 2, f"{name} half")
        return f"{name} done"

    @app.tool
    async def asks(ctx: Context, words: str = "") -> str | InputRequiredResult:
        """Ask the person behind the client, in these words."""
        words = words or f"{name} asks"
        if ctx.request_context is None or ctx.request_context.protocol_version != MODERN_VERSION:
            answer = await ctx.elicit(words, response_type=str)
            return f"{name} got {getattr(answer, 'data', answer)}"
        if ctx.input_responses is None:
            return InputRequiredResult(input_requests={"one": _form(words)}, request_state=f"{name}-1")
        answered = ctx.input_responses["one"].model_dump()
        return f"{name} got {answered['content']['value'] if answered['content'] else answered['action']}"

    @app.tool
    async def several(ctx: Context) -> str | InputRequiredResult:
        """Ask a modern client all that can be asked, in two rounds, of which the second has no state."""
        if ctx.input_responses is None:
            sampled = SamplingMessage(role="user", content=TextContent(type="text", text="Sum up."))
            model = CreateMessageRequest(params=CreateMessageRequestParams(messages=[sampled], max_tokens=5))
            asked: dict[str, Any] = {"a form": _form("Which?"), "model": model, "roots": ListRootsRequest()}
            return InputRequiredResult(input_requests=asked, request_state=f"{name}-3")
        answered = {key: one.model_dump(mode="json") for key, one in ctx.input_responses.items()}
        if "last" not in answered:
            found = [answered["a form"]["content"]["value"], answered["model"]["content"]["text"]]
            found += [root["uri"] for root in answered["roots"]["roots"]]
            return InputRequiredResult(input_requests={"last": _form(" ".join(found))})
        return f"{name} got {answered['last']['content']['value']}"

    @app.tool
    async def again(ctx: Context) -> str | InputRequiredResult:
        """Have the client come back, without asking anything."""
        if ctx.request_state is None:
            return InputRequiredResult(request_state=f"{name}-2")
        return f"{name} had {ctx.request_state} back"

    @app.tool
    def agreed() -> str:
        """Others must agree to it."""
        return f"{name} ran"

    @app.tool
    def forbidden() -> str:
        """Nobody may call it."""
        return name

    @app.completion
    def complete(ref: Any, argument: Any, context: Any) -> list[str]:
        return [f"{name} {getattr(ref, 'name', None) or ref.uri} {argument.value}"]

    @app.prompt
    def greet(who: str) -> str:
        """Greet."""
        return f"{name} greets {who}"

    @app.resource("file:///" + name + "/notes", mime_type="text/plain")
    def notes() -> str:
        """Notes."""
        return f"notes of {name}"

    @app.resource("data://" + name + "/{key}")
    def entry(key: str) -> str:
        """An entry."""
        return f"{key} of {name}"

    return app


def _form(message: str) -> ElicitRequest:
    schema = {"type": "object", "properties": {"value": {"type": "string"}}, "required": ["value"]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def only(app: AsgiApp, era: str, seen: Seen) -> AsgiApp:
    """Have a server speak one era: ``legacy`` or ``modern`` (or ``both``), and note what comes."""

    async def limited(scope: Message, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        body = b""
        while scope["method"] == "POST":
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        said = json.loads(body) if body else {}
        seen.methods.append(str(said.get("method", "response" if body else scope["method"])))
        seen.headers.append(headers)
        modern = headers.get("mcp-protocol-version") == MODERN_VERSION
        if (era == "legacy" and modern) or (era == "modern" and not modern):
            code = -32600 if era == "legacy" else -32022
            supported = {"data": {"supported": [MODERN_VERSION], "requested": "?"}} if era == "modern" else {}
            error = {"code": code, "message": "Bad Request: unsupported protocol version", **supported}
            answer = json.dumps({"jsonrpc": "2.0", "id": said.get("id"), "error": error}).encode()
            kind = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
            await send({"type": "http.response.start", "status": 400, "headers": kind})
            await send({"type": "http.response.body", "body": answer})
            return
        given = False

        async def again() -> Any:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        await app(scope, again, send)

    return limited


@contextmanager
def running_server(name: str, era: str = "both") -> Iterator[tuple[ThreadedServer, Seen]]:
    """A running server and what it saw; its endpoint is ``/mcp`` below ``url``."""
    seen = Seen()
    app = server(name, seen).http_app(host_origin_protection=False)
    with ThreadedServer(only(app, era, seen)) as running:
        yield running, seen


class Talker:
    """A scripted server of one era that says by itself what a test has it say, and lists its tools two a page."""

    def __init__(self, era: str) -> None:
        self._modern = era == "modern"
        self._said: asyncio.Queue[Mapping[str, object]] = asyncio.Queue()
        self.listening = 0
        self.subscribed: list[object] = []
        self.without: set[str] = set()
        """Methods that it has not."""

    def say(self, method: str, **params: object) -> None:
        """Send a notification to whoever listens."""
        self.claim(method=method, params=params)

    def claim(self, **message: object) -> None:
        """Send any message to whoever listens."""
        self._said.put_nowait({"jsonrpc": "2.0", **message})

    async def __call__(self, exchange: Exchange) -> None:
        """Be the script."""
        request = exchange.request
        modern = request.header("mcp-protocol-version") == MODERN_VERSION
        if request.verb != "POST":
            await (self._stream(exchange) if request.verb == "GET" else exchange.head(200, length=0))
        elif modern != self._modern:
            await _says(exchange, {"error": {"code": -32022 if self._modern else -32600, "message": "no"}}, 400)
        elif request.method == "subscriptions/listen":
            self.subscribed.append(request.message()["params"]["notifications"])  # type: ignore[index]
            await self._stream(exchange)
        elif request.rpc_id is None:
            await exchange.head(202, length=0)
        elif request.method in self.without:
            await _says(exchange, {"error": {"code": -32601, "message": "Method not found"}})
        else:
            await _says(exchange, {"result": self._result(request)}, mcp_session_id="talks")

    def _result(self, request: Received) -> Mapping[str, object]:
        cacheable = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if self._modern else {}
        params = request.message().get("params")
        params = params if isinstance(params, dict) else {}
        if request.method == "initialize":
            info = {"name": "talker", "version": "1"}
            return {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": info}
        if request.method == "server/discover":
            return {"supportedVersions": [MODERN_VERSION], "capabilities": {}, **cacheable}
        if request.method == "tools/list":
            page = int(params.get("cursor", "0"))
            tools = [{"name": f"t{page}{each}", "inputSchema": {"type": "object"}} for each in "ab"]
            following = {"nextCursor": str(page + 1)} if page < 2 else {}
            return {"tools": tools, **following, **cacheable}
        if request.method == "resources/subscribe":
            self.subscribed.append(params.get("uri"))
        return {}

    async def _stream(self, exchange: Exchange) -> None:
        await exchange.head(content_type=SSE_TYPE)
        self.listening += 1
        gone = asyncio.ensure_future(exchange.reader.read(1))
        try:
            while True:
                saying = asyncio.ensure_future(self._said.get())
                await asyncio.wait({gone, saying}, return_when=asyncio.FIRST_COMPLETED)
                if not saying.done():
                    saying.cancel()
                    exchange.writer.close()
                    return
                await exchange.body(event(saying.result(), event_id="7"))
        finally:
            self.listening -= 1


async def _says(exchange: Exchange, content: Mapping[str, object], status: int = 200, **headers: str) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": exchange.request.rpc_id, **content}).encode()
    await exchange.head(status, length=len(body), content_type=JSON_TYPE, **headers)
    await exchange.body(body)
