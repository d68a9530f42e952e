"""Scripted targets: raw HTTP/1.1 on asyncio, so that a test decides every byte of an answer and sees every byte it got.

A script is a coroutine that is handed one ``Exchange``. ``received`` of the target holds what arrived, whole and raw.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET

REQUEST_LIMIT = 8 * 1024 * 1024
JSON_TYPE = "application/json"
SSE_TYPE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived. Header names are in lower case; ``raw`` is every byte of it."""

    verb: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return next((value for known, value in self.headers if known == name), None)

    def message(self) -> dict[str, object]:
        """The body as a JSON object; empty when there is none."""
        decoded = json.loads(self.body) if self.body else {}
        assert isinstance(decoded, dict)
        return decoded

    @property
    def rpc_id(self) -> object:
        """The JSON-RPC id."""
        return self.message().get("id")

    @property
    def method(self) -> object:
        """The JSON-RPC method."""
        return self.message().get("method")


@dataclass(slots=True)
class Exchange:
    """A request and the means to answer it, byte by byte."""

    request: Received
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    chunked: bool = False

    async def write(self, data: bytes) -> None:
        """Put bytes on the wire as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, status: int = 200, *, length: int | None = None, **headers: str) -> None:
        """Status line and headers; without ``length`` the body is chunked. ``content_type`` becomes content-type."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.chunked = length is None
        framing = {"transfer-encoding": "chunked"} if length is None else {"content-length": str(length)}
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in {**framing, **named}.items())]
        await self.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def body(self, data: bytes) -> None:
        """A piece of the body, framed as a chunk where chunks were announced."""
        if self.chunked and data:
            data = f"{len(data):x}\r\n".encode() + data + b"\r\n"
        await self.write(data)

    async def end(self) -> None:
        """The end of a chunked body."""
        if self.chunked:
            await self.write(b"0\r\n\r\n")

    def reset(self) -> None:
        """Break the connection off with a TCP reset."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.close()


Script = Callable[[Exchange], Awaitable[None]]


@dataclass(slots=True)
class ScriptedTarget:
    """A listening target; ``script`` may be replaced between calls. ``raw`` is every byte that ever arrived."""

    script: Script
    port: int = 0
    received: list[Received] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)
    failures: list[BaseException] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """The MCP endpoint."""
        return f"http://127.0.0.1:{self.port}/mcp"

    async def start(self) -> None:
        """Listen, on the same port as before when it was started before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=REQUEST_LIMIT)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections and end those that are open."""
        if self._server is not None:
            self._server.close()
            for task in list(self._connections):
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            # The caller hanging up is what many scripts wait for, and no failure of theirs.
            with suppress(ConnectionError, asyncio.CancelledError):
                while (request := await self._read(reader)) is not None:
                    self.received.append(request)
                    await self.script(Exchange(request, reader, writer))
                    if writer.is_closing():
                        break
        except Exception as error:
            self.failures.append(error)
        finally:
            self._connections.discard(task)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> Received | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            self.raw += error.partial
            return None
        self.raw += head
        request_line, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        verb, path, _ = request_line.split(" ", 2)
        pairs = [line.partition(":") for line in lines]
        headers = tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
        body, framed = await _read_body(reader, dict(headers))
        self.raw += framed
        return Received(verb, path, headers, body, head + framed)


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> tuple[bytes, bytes]:
    if "chunked" not in headers.get("transfer-encoding", ""):
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return body, body
    body, framed, size = b"", b"", 1
    while size:
        line = await reader.readuntil(b"\r\n")
        size = int(line, 16)
        chunk = await reader.readexactly(size + 2)
        body, framed = body + chunk[:-2], framed + line + chunk
    return body, framed


@asynccontextmanager
async def scripted_target(script: Script, port: int = 0) -> AsyncIterator[ScriptedTarget]:
    """A running target at a port (a free one by default); fails the test when its script failed."""
    target = ScriptedTarget(script, port)
    await target.start()
    try:
        yield target
    finally:
        await target.stop()
    assert not target.failures, target.failures


def result(exchange: Exchange, content: object) -> bytes:
    """A JSON-RPC response to the request, with ``content`` as its result."""
    return json.dumps({"jsonrpc": "2.0", "id": exchange.request.rpc_id, "result": content}).encode()


def tool_text(text: str) -> dict[str, object]:
    """The result of a tool that says ``text``, complete in both eras."""
    return {"content": [{"type": "text", "text": text}], "isError": False, "resultType": "complete"}


def answers(content: object, status: int = 200, **headers: str) -> Script:
    """Answer each request with that result, as JSON of the right length."""

    async def script(exchange: Exchange) -> None:
        body = result(exchange, content)
        await exchange.head(status, length=len(body), **{"content_type": JSON_TYPE, **headers})
        await exchange.body(body)

    return script


def answers_bytes(body: bytes, content_type: str = JSON_TYPE, status: int = 200, **headers: str) -> Script:
    """Answer each request with exactly that body."""

    async def script(exchange: Exchange) -> None:
        await exchange.head(status, length=len(body), content_type=content_type, **headers)
        await exchange.body(body)

    return script


def answers_gzip(content: object) -> Script:
    """Answer in gzip, whether or not anybody asked for it."""

    async def script(exchange: Exchange) -> None:
        body = gzip.compress(result(exchange, content))
        await exchange.head(length=len(body), content_type=JSON_TYPE, content_encoding="gzip")
        await exchange.body(body)

    return script


def announces_too_much(content: object, extra: int = 10) -> Script:
    """Announce a length that never comes, and hang up."""

    async def script(exchange: Exchange) -> None:
        body = result(exchange, content)
        await exchange.head(length=len(body) + extra, content_type=JSON_TYPE)
        await exchange.body(body)
        exchange.writer.close()

    return script


def resets_midway(content: object) -> Script:
    """Send half of an answer, then reset the connection."""

    async def script(exchange: Exchange) -> None:
        body = result(exchange, content)
        await exchange.head(content_type=JSON_TYPE)
        await exchange.body(body[: len(body) // 2])
        exchange.reset()

    return script


def never_ends(piece: bytes, content_type: str = JSON_TYPE, *, limit_bytes: int = 512 * 1024 * 1024) -> Script:
    """Send the piece again and again until the other side hangs up, or ``limit_bytes`` were taken."""

    async def script(exchange: Exchange) -> None:
        await exchange.head(content_type=content_type)
        for _ in range(limit_bytes // len(piece)):
            await exchange.body(piece)
        exchange.reset()

    return script


def never_answers() -> Script:
    """Take the request and say nothing until the other side hangs up."""

    async def script(exchange: Exchange) -> None:
        await asyncio.Event().wait()

    return script


def unauthorized(challenge: str) -> Script:
    """Answer 401 with a challenge of the target's own, which a caller of the gateway must not see."""
    return answers_bytes(b'{"error":"unauthorized"}', status=401, www_authenticate=challenge)


def speaks_mcp(on_call: Script, tools: Sequence[str] = ("query",)) -> Script:
    """Enough of an MCP server for a real client of either era; every ``tools/call`` is handed to ``on_call``."""
    cacheable = {"resultType": "complete", "ttlMs": 0, "cacheScope": "public"}
    listed = [{"name": name, "inputSchema": {"type": "object"}} for name in tools]
    known: dict[object, object] = {
        "initialize": {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "scripted", "version": "1"},
        },
        "server/discover": {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, **cacheable},
        "tools/list": {"tools": listed, **cacheable},
        "ping": {},
    }

    async def script(exchange: Exchange) -> None:
        if exchange.request.verb != "POST":
            await exchange.head(405, length=0)
        elif exchange.request.method == "tools/call":
            await on_call(exchange)
        elif exchange.request.method in known:
            await answers(known[exchange.request.method])(exchange)
        else:
            await exchange.head(202, length=0)

    return script


class Steps:
    """Pieces of an answer that go out one by one, each when the test says so; ``sent`` counts them."""

    def __init__(self, pieces: Sequence[bytes | Callable[[Exchange], bytes]], content_type: str = SSE_TYPE) -> None:
        self._pieces = pieces
        self._content_type = content_type
        self._permits = asyncio.Semaphore(0)
        self.sent = 0

    def release(self, count: int = 1) -> None:
        """Let the next pieces go out."""
        for _ in range(count):
            self._permits.release()

    async def __call__(self, exchange: Exchange) -> None:
        """Be the script."""
        await exchange.head(content_type=self._content_type)
        for piece in self._pieces:
            await self._permits.acquire()
            await exchange.body(piece if isinstance(piece, bytes) else piece(exchange))
            self.sent += 1
        await exchange.end()


def event(message: Mapping[str, object], event_id: str | None = None) -> bytes:
    """One server-sent event that holds a JSON-RPC message."""
    prefix = f"id: {event_id}\n" if event_id is not None else ""
    return f"{prefix}event: message\ndata: {json.dumps(message)}\n\n".encode()


def final_event(content: object) -> Callable[[Exchange], bytes]:
    """The event that answers the request, as a piece for ``Steps``."""
    return lambda exchange: b"event: message\ndata: " + result(exchange, content) + b"\n\n"
