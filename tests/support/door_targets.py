"""Targets for the one door: real servers of FastMCP that speak one era, or both, as real servers of their day do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastmcp import Context, FastMCP
from mcp_types import ResourceLink, TextContent

from countersign.demo.serving import AsgiApp, Message, ThreadedServer

MODERN_VERSION = "2026-07-28"


@dataclass
class Seen:
    """What reached a target: its requests' methods, with their headers; and what its slow tool saw."""

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
    def exact(number: float, big: int) -> str:
        """Say what came."""
        return f"{number!r} {big}"

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
        """Report progress and log."""
        await ctx.report_progress(1, 2, f"{name} half")
        await ctx.info(f"{name} logs")
        return f"{name} done"

    @app.tool
    async def asks(ctx: Context) -> str:
        """Ask the person behind the client."""
        answer = await ctx.elicit(f"{name} asks", response_type=str)
        return f"{name} got {getattr(answer, 'data', answer)}"

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
        seen.methods.append(said.get("method", "response" if body else scope["method"]))
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
