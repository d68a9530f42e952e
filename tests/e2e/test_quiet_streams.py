"""Streams that wait for news stay open however quiet they are, who owes an answer is given up; minutes are seconds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest

from countersign.api.recorder.v1 import event_pb2, session_pb2
from tests.fault.rig import eventually
from tests.support.auditors import session_service
from tests.support.clients import LEGACY, MODERN, Rpc, call
from tests.support.gateway import Gateway, Setup, Upstream, free_port
from tests.support.in_turn import InTurn
from tests.support.issuer import RunningIssuer, running_issuer
from tests.support.recorders import until
from tests.support.targets import SSE_TYPE, Exchange, event, result, scripted_target, tool_text

KEEPALIVE = b":\n\n"
LIMITS = {"keepalive_s": 0.1, "upstream_timeout_s": 1.0}
SEVERAL = 15
"""Keepalives that take longer than a target may be silent."""
WAIT_S = 20.0
RULES = ({"name": "all", "allow": {"groups": ["analysts"], "targets": ["*"]}},)
LISTEN = Rpc("subscriptions/listen", {"notifications": {"toolsListChanged": True}})


def told(text: str) -> bytes:
    return event({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": text}})


def acknowledged(exchange: Exchange) -> bytes:
    params = {"_meta": {"io.modelcontextprotocol/subscriptionId": exchange.request.rpc_id}, "notifications": {}}
    return event({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params})


@dataclass
class News:
    """A target that begins a stream, is silent, and has news, in two halves, when the test says so."""

    begins: bool = True
    half: asyncio.Event = field(default_factory=asyncio.Event)
    whole: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, exchange: Exchange) -> None:
        """Be the script."""
        await exchange.head(content_type=SSE_TYPE)
        if self.begins:
            await exchange.body(acknowledged(exchange) if exchange.request.method == LISTEN.method else told("first"))
        watching = asyncio.ensure_future(self._watch(exchange))
        await self.half.wait()
        news = told("news")
        await exchange.body(news[:30])
        await self.whole.wait()
        await exchange.body(news[30:])
        await exchange.end()
        watching.cancel()
        await asyncio.wait({watching})

    async def _watch(self, exchange: Exchange) -> None:
        # Nothing more is ever sent on the request's side.
        with suppress(ConnectionError):
            await exchange.reader.read(1)
        self.hung_up.set()


@dataclass
class Stream:
    """What comes on a stream, read on in the background."""

    raw: bytearray = field(default_factory=bytearray)
    ended: str | None = None

    @property
    def keepalives(self) -> int:
        """How many came so far."""
        return self.raw.count(b"\n\n" + KEEPALIVE) + self.raw.count(KEEPALIVE + KEEPALIVE)

    async def read(self, answer: httpx.Response) -> None:
        """Read to the end, which ``ended`` tells: empty for a good one."""
        try:
            async for piece in answer.aiter_raw():
                self.raw += piece
            self.ended = ""
        except httpx.HTTPError as error:
            self.ended = type(error).__name__


@dataclass(frozen=True)
class Place:
    """The gateway and its one target."""

    gateway: Gateway
    issuer: RunningIssuer
    port: int

    @asynccontextmanager
    async def opened(self, rpc: Rpc | None, era: str) -> AsyncIterator[Stream]:
        """A stream to read: that of a request, or the server's own."""
        url = self.gateway.endpoint()
        headers = {"authorization": f"Bearer {self.issuer.token('alice', url)}", "accept": "text/event-stream"}
        sent: dict[str, Any] = {"method": "GET", "headers": {**headers, "mcp-protocol-version": "2025-06-18"}}
        if rpc is not None:
            sent = {"method": "POST", "headers": {**headers, **rpc.headers(era)}, "content": rpc.body(era)}
        async with httpx.AsyncClient(timeout=WAIT_S) as http, http.stream(url=url, **sent) as answer:
            assert answer.status_code == 200
            stream = Stream()
            reading = asyncio.ensure_future(stream.read(answer))
            try:
                yield stream
            finally:
                reading.cancel()
                await asyncio.wait({reading})

    async def last(self) -> event_pb2.Event:
        """The newest event of the target's sessions."""
        async with session_service(self.gateway.url, self.issuer.token("carol", self.gateway.url)) as sessions:
            newest = (await sessions.list_sessions(session_pb2.SessionFilter(subject="alice", target="orders")))[0]
            return (await sessions.replay(newest.session_id))[-1].event


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Place]:
    port = free_port()
    with running_issuer() as issuer:
        target = Upstream(f"http://127.0.0.1:{port}/mcp", extra={"new_tools": "allow"})
        gateway = in_turn.take(Setup(issuer.url, {"orders": target}, RULES, {}, {"limits": LIMITS}))
        yield Place(gateway, issuer, port)


@pytest.mark.parametrize(("rpc", "era"), [(None, LEGACY), (LISTEN, MODERN)], ids=["GET", "subscriptions/listen"])
async def test_a_stream_that_waits_for_news_is_kept_alive_until_there_are_some(
    place: Place, rpc: Rpc | None, era: str
) -> None:
    news = News()
    async with scripted_target(news, place.port), place.opened(rpc, era) as stream:
        await until(lambda: stream.keepalives >= SEVERAL, within_s=WAIT_S)
        news.half.set()
        before = stream.keepalives
        await until(lambda: stream.keepalives >= before + 3, within_s=WAIT_S)
        assert b"news" not in stream.raw
        news.whole.set()
        await until(lambda: stream.ended is not None, within_s=WAIT_S)
    assert stream.ended == ""
    blocks = bytes(stream.raw).split(b"\n\n")
    assert {block for block in blocks if block.startswith(b":")} == {b":"}
    first, last = (block for block in blocks if block and block != b":")
    assert first.count(b"\n") == last.count(b"\n"), "no comment stands within an event"
    assert last + b"\n\n" == told("news")


async def test_a_stream_of_which_nothing_came_yet_stays_open_too(place: Place) -> None:
    silent, beside = News(begins=False), News()
    scripts = iter((silent, beside))

    async def script(exchange: Exchange) -> None:
        await next(scripts)(exchange)

    async with (
        scripted_target(script, place.port),
        place.opened(None, LEGACY) as stream,
        place.opened(None, LEGACY) as clock,
    ):
        await until(lambda: clock.keepalives >= SEVERAL, within_s=WAIT_S)
        silent.half.set()
        silent.whole.set()
        await until(lambda: stream.ended is not None, within_s=WAIT_S)
    assert bytes(stream.raw).removeprefix(KEEPALIVE) == told("news")


async def test_a_call_ends_when_its_target_is_silent_for_too_long(place: Place) -> None:
    async with scripted_target(News(), place.port), place.opened(call("query"), LEGACY) as stream:
        await until(lambda: stream.ended is not None, within_s=WAIT_S)
    assert stream.ended == "RemoteProtocolError"
    assert b"first" in stream.raw
    last = await place.last()
    assert last.kind == event_pb2.EVENT_KIND_STREAM_END
    assert last.reason == "the target was silent for too long"


def _beat(clock: Stream, times: int) -> bool:
    return clock.keepalives >= times


async def test_comments_of_a_target_are_signs_of_life(place: Place) -> None:
    clock = Stream()

    async def script(exchange: Exchange) -> None:
        if exchange.request.verb == "GET":
            await News()(exchange)
            return
        await exchange.head(content_type=SSE_TYPE)
        for beats in range(0, SEVERAL, 3):
            await exchange.body(b": still here, " + b"secret" + b"\n\n")
            await until(partial(_beat, clock, beats), within_s=WAIT_S)
        await exchange.body(event(json.loads(result(exchange, tool_text("done")))))
        await exchange.end()

    async with scripted_target(script, place.port), place.opened(None, LEGACY) as ticking:
        clock = ticking
        async with place.opened(call("query"), LEGACY) as stream:
            await until(lambda: stream.ended is not None, within_s=WAIT_S)
    assert stream.ended == ""
    assert b"done" in stream.raw
    assert b"secret" not in stream.raw


async def test_nothing_is_kept_alive_for_a_caller_who_hung_up(place: Place) -> None:
    news = News()
    async with scripted_target(news, place.port):
        async with place.opened(None, LEGACY) as stream:
            await until(lambda: stream.keepalives >= 2, within_s=WAIT_S)
        async with asyncio.timeout(WAIT_S):
            await news.hung_up.wait()

    async def ended() -> bool:
        return (await place.last()).kind == event_pb2.EVENT_KIND_STREAM_END

    await eventually(ended, WAIT_S)
    assert (await place.last()).reason.startswith("the answer broke off")
