"""Servers that notifications are sent to: an HTTP server, a Slack, and a mailbox."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from slack_sdk.models.blocks import Block

DEADLINE_S = 20.0


@dataclass(frozen=True, slots=True)
class Posted:
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes


Answer = tuple[int, bytes]


@dataclass(slots=True)
class Listener:
    """What came, and how it is answered: an ``answer`` of ``None`` never is."""

    port: int = 0
    answer: Callable[[Posted], Answer | None] = lambda _: (200, b"")
    posted: list[Posted] = field(default_factory=list)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def wait_for(self, count: int) -> list[Posted]:
        """Return what came, once it is that much."""
        async with asyncio.timeout(DEADLINE_S), self.came:
            await self.came.wait_for(lambda: len(self.posted) >= count)
        return self.posted

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in head[1:-2])}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                await self._answer(Posted(head[0].split(" ")[1], headers, body), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, posted: Posted, writer: asyncio.StreamWriter) -> None:
        async with self.came:
            self.posted.append(posted)
            self.came.notify_all()
        answer = self.answer(posted)
        if answer is None:
            await asyncio.Event().wait()
            return
        status, body = answer
        extra = "location: /elsewhere\r\n" if 300 <= status < 400 else ""
        head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{extra}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()


@asynccontextmanager
async def listening(answer: Callable[[Posted], Answer | None] = lambda _: (200, b"")) -> AsyncIterator[Listener]:
    """An HTTP server on a port of its own."""
    listener = Listener(answer=answer)
    async with _served(listener.serve) as port:
        listener.port = port
        yield listener


@asynccontextmanager
async def _served(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any],
) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Slack:
    """Answers the two calls as Slack does, and refuses blocks that it would refuse. Messages are by their ``ts``."""

    def __init__(self, token: str) -> None:
        self._token = token
        self.messages: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.errors: list[str] = []

    def answer(self, posted: Posted) -> Answer:
        """What an HTTP server of it says."""
        method = posted.path.rpartition("/")[2]
        self.calls.append(method)
        if self.errors:
            return self._said({"ok": False, "error": self.errors.pop(0)})
        if posted.headers["authorization"] != f"Bearer {self._token}":
            return self._said({"ok": False, "error": "invalid_auth"})
        message = json.loads(posted.body)
        check_blocks(message["blocks"])
        # A channel may be named when one posts there; what is changed is in one that has an id.
        if method == "chat.postMessage":
            when = f"1700000000.{len(self.messages):06}"
        else:
            when = message["ts"]
            if message["channel"] != "C1" or when not in self.messages:
                return self._said({"ok": False, "error": "message_not_found"})
        self.messages[when] = message
        return self._said({"ok": True, "channel": "C1", "ts": when})

    @staticmethod
    def _said(what: dict[str, Any]) -> Answer:
        return 200, json.dumps(what).encode()


def check_blocks(blocks: list[dict[str, Any]]) -> None:
    """Fail for blocks that Slack refuses (its own library checks what they hold)."""
    assert 1 <= len(blocks) <= 50
    for parsed in Block.parse_all(blocks):
        parsed.validate_json()
    for block in blocks:
        for text in _texts(block):
            assert 1 <= len(text) <= 3000


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        mine = [value["text"]] if isinstance(value.get("text"), str) else []
        return mine + [text for one in value.values() for text in _texts(one)]
    return [text for one in value for text in _texts(one)] if isinstance(value, list) else []


@dataclass(slots=True)
class Mailbox:
    """An SMTP server (RFC 5321) that takes everything, or answers ``refusals`` to the first messages.

    ``login`` is what it answers to AUTH, which it offers when that is not empty; ``lines`` are all commands.
    """

    port: int = 0
    login: bytes = b""
    lines: list[str] = field(default_factory=list)
    refusals: list[bytes] = field(default_factory=list)
    envelopes: list[list[str]] = field(default_factory=list)
    messages: list[EmailMessage] = field(default_factory=list)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_for(self, count: int) -> list[EmailMessage]:
        """Return the messages, once there are that many."""
        async with asyncio.timeout(DEADLINE_S), self.came:
            await self.came.wait_for(lambda: len(self.messages) >= count)
        return self.messages

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        envelope: list[str] = []
        try:
            while line := (await reader.readline()).decode().strip():
                verb = line[:4].upper()
                self.lines.append(line)
                reply = b"250 ok"
                if verb == "EHLO" and self.login:
                    reply = b"250-here\r\n250 AUTH PLAIN"
                elif verb == "AUTH":
                    reply = self.login
                elif verb in ("MAIL", "RCPT"):
                    envelope.append(line)
                elif verb == "DATA" and self.refusals:
                    reply = self.refusals.pop(0)
                elif verb == "DATA":
                    writer.write(b"354 go on\r\n")
                    await self._take(await reader.readuntil(b"\r\n.\r\n"), envelope)
                writer.write(reply + b"\r\n")
                if verb == "QUIT":
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _take(self, content: bytes, envelope: list[str]) -> None:
        message = message_from_bytes(content[:-5].replace(b"\r\n..", b"\r\n."), policy=policy.default)
        async with self.came:
            self.envelopes.append(envelope)
            self.messages.append(message)
            self.came.notify_all()


@asynccontextmanager
async def mailbox() -> AsyncIterator[Mailbox]:
    """An SMTP server on a port of its own."""
    box = Mailbox()
    async with _served(box.serve) as port:
        box.port = port
        yield box
