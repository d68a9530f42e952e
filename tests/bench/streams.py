"""``python -m tests.bench.streams``: what many open and quiet streams cost the gateway in memory.

A gateway as ``countersign up`` starts it, and a target that begins each stream with an event, is silent, and at last
has news for all. Resident memory (MB of 10^6 bytes) of Envoy, authz, masker and recorder together: what it is with all
streams open, and how much of that is beyond the gateway after some calls and before the streams.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from tests.bench.processes import cpu_s, spent_between
from tests.support.clients import call, post
from tests.support.gateway import Setup, Upstream, running_gateway
from tests.support.issuer import running_issuer
from tests.support.recorders import until
from tests.support.targets import event

STREAMS = 1_000
EXPECTED_GROWTH_MB = 300
PARTS = ("envoy", "authz", "masker", "recorder")
KEEPALIVE_S = 5.0
_KEEPALIVE = b":\n\n"
_AT_ONCE = 50
_WAIT_S = 120.0
_RULES = ({"name": "all", "allow": {"groups": ["analysts"], "targets": ["*"]}},)


@dataclass(frozen=True)
class StreamFigures:
    """Of ``streams`` open ones: MB in all, and beyond before; CPU seconds of all parts a minute, while quiet."""

    streams: int
    total_mb: float
    growth_mb: float
    growth_by_part_mb: Mapping[str, float]
    quiet_cpu_s_per_minute: float


class StreamsLost(Exception):
    """Streams were not opened, or did not stay open, so there is nothing to measure."""


@dataclass
class _Quiet:
    """The target: GETs get an event and then nothing until ``news``; calls an answer."""

    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET"):
                start = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                writer.write(start + _chunk(_told("first")))
                await self.news.wait()
                writer.write(_chunk(_told("news")) + b"0\r\n\r\n")
            else:
                body = b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'
                start = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d"
                writer.write(start % len(body) + b"\r\n\r\n" + body)
            await writer.drain()
        writer.close()


@dataclass
class _Client:
    """One caller's end of a stream."""

    keepalives: int = 0
    news: bool = False
    first: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, port: int, head: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4_096)
        writer.write(head)
        try:
            while piece := await reader.read(1_024):
                self.keepalives += piece.count(_KEEPALIVE)
                self.news = self.news or b"news" in piece
                if b"first" in piece:
                    self.first.set()
                if self.news:
                    return
        finally:
            writer.close()


async def _measured(count: int, quiet_s: float) -> StreamFigures:
    target = _Quiet()
    server = await asyncio.start_server(target.serve, "127.0.0.1", 0, backlog=4_096)
    port = server.sockets[0].getsockname()[1]
    with (
        running_issuer() as issuer,
        running_gateway(
            Setup(
                issuer.url,
                {"orders": Upstream(f"http://127.0.0.1:{port}/mcp", extra={"new_tools": "allow"})},
                _RULES,
                {},
                {"limits": {"keepalive_s": KEEPALIVE_S}},
            )
        ) as gateway,
    ):
        parts = {name: gateway.part(name) for name in PARTS}
        token = issuer.token("alice", gateway.endpoint())
        for _ in range(200):
            await post(gateway.endpoint(), token, call("query"), era="legacy")
        before = _resident_mb(parts)
        head = (
            f"GET /orders/mcp HTTP/1.1\r\nhost: 127.0.0.1:{gateway.port}\r\naccept: text/event-stream\r\n"
            f"mcp-protocol-version: 2025-06-18\r\nauthorization: Bearer {token}\r\n\r\n"
        ).encode()
        clients = [_Client() for _ in range(count)]
        reading: list[asyncio.Task[None]] = []
        try:
            for start in range(0, count, _AT_ONCE):
                some = clients[start : start + _AT_ONCE]
                reading += [asyncio.ensure_future(one.read(gateway.port, head)) for one in some]
                await _all(asyncio.gather(*(one.first.wait() for one in some)), "were not opened")
            await _kept_alive(clients, 1)
            cpu = cpu_s(parts)
            await asyncio.sleep(quiet_s)
            spent_s = sum(spent_between(cpu, cpu_s(parts)).values())
            await _kept_alive(clients, 2)
            after = _resident_mb(parts)
            target.news.set()
            await _all(asyncio.gather(*reading), "had no news")
        finally:
            for one in reading:
                one.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
        if not all(one.news for one in clients):
            raise StreamsLost(f"{sum(not one.news for one in clients)} streams ended before there were news")
    server.close()
    return StreamFigures(
        streams=count,
        total_mb=sum(after.values()),
        growth_mb=sum(after.values()) - sum(before.values()),
        growth_by_part_mb={name: after[name] - before[name] for name in PARTS},
        quiet_cpu_s_per_minute=spent_s * 60 / quiet_s,
    )


async def _all(waiting: Awaitable[object], problem: str) -> None:
    try:
        await asyncio.wait_for(waiting, _WAIT_S)
    except TimeoutError:
        raise StreamsLost(f"some streams {problem} within {_WAIT_S:.0f} seconds") from None


async def _kept_alive(clients: list[_Client], times: int) -> None:
    try:
        await until(lambda: all(one.keepalives >= times for one in clients), within_s=_WAIT_S)
    except TimeoutError:
        raise StreamsLost(f"some streams were not kept alive within {_WAIT_S:.0f} seconds") from None


def _resident_mb(parts: Mapping[str, psutil.Process]) -> dict[str, float]:
    """The resident memory of each part and all below it."""
    return {
        name: sum(each.memory_info().rss for each in (part, *part.children(recursive=True))) / 1e6
        for name, part in parts.items()
    }


def _told(text: str) -> bytes:
    return event({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": text}})


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def stream_figures(count: int = STREAMS, quiet_s: float = 10.0) -> StreamFigures:
    """Measure it all. Raises ``StreamsLost``."""
    return asyncio.run(_measured(count, quiet_s))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=STREAMS)
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    arguments = parser.parse_args()
    figures = stream_figures(arguments.streams)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(asdict(figures)))
    for name, value in asdict(figures).items():
        print(f"{name:24} {value}")
