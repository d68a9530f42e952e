"""A legacy stream that broke is resumed where it broke: ids stay, what is replayed is masked as it was."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from mcp.server.mcpserver import Context, MCPServer
from starlette.applications import Starlette

from countersign.api.recorder.v1 import event_pb2, session_pb2
from countersign.demo.serving import ThreadedServer
from tests.matrix.servers.kept import Events
from tests.support.auditors import session_service
from tests.support.clients import INITIALIZE, LEGACY, Rpc, call
from tests.support.gateway import Gateway, Setup, Upstream
from tests.support.in_turn import InTurn
from tests.support.issuer import RunningIssuer, running_issuer

# The SDK deprecates what the modern era has no more.
pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")

MAIL = "canary@" + "example.org"
RULES = ({"name": "all", "allow": {"groups": ["analysts"], "targets": ["*"], "tools": ["*"]}, "mask": ["pii"]},)
# The same value has the same token as long as the session lasts.
MASKS = {"pii": {"detect": ["email"], "replace": "tokenize"}}


def server() -> Starlette:
    """The official SDK's, with its events kept; its tool's stream ends before the answer."""
    told = MCPServer("kept", log_level="CRITICAL")

    @told.tool()
    async def query(ctx: Context) -> str:
        await ctx.info(f"before, to {MAIL}")
        await ctx.close_sse_stream()
        await ctx.info(f"while nobody listens, to {MAIL}")
        return f"written to {MAIL}"

    return told.streamable_http_app(event_store=Events(), retry_interval=70)


@dataclass(frozen=True)
class Block:
    """An event as it came: its lines by their names."""

    id: str
    retry: str
    data: str

    @classmethod
    def all_of(cls, text: str) -> list[Block]:
        """The events of a stream, comments left out."""
        blocks = [
            dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
            for block in text.replace("\r\n", "\n").split("\n\n")
        ]
        return [cls(one.get("id", ""), one.get("retry", ""), one.get("data", "")) for one in blocks if one]


@dataclass(frozen=True)
class Session:
    """A client's session, as it is on the wire."""

    http: httpx.AsyncClient
    url: str
    headers: dict[str, str]

    async def sent(self, rpc: Rpc) -> str:
        """What comes on the stream of a request until it ends."""
        headers = {**rpc.headers(LEGACY), **self.headers}
        return (await self.http.post(self.url, content=rpc.body(LEGACY), headers=headers)).text

    async def resumed(self, last: str) -> list[Block]:
        """What is told after an event, to the answer of the call."""
        headers = {**self.headers, "accept": "text/event-stream", "last-event-id": last}
        text = ""
        async with self.http.stream("GET", self.url, headers=headers) as answer:
            assert answer.status_code == 200
            async for piece in answer.aiter_text():
                text += piece
                if '"result"' in text and text.endswith(("\n\n", "\r\n\r\n")):
                    break
        # Each stream that is resumed is primed anew, with an id of its own.
        return [block for block in Block.all_of(text) if block.data]


@dataclass(frozen=True)
class Place:
    """The gateway, and who issues its tokens."""

    gateway: Gateway
    issuer: RunningIssuer

    @asynccontextmanager
    async def session(self, subject: str = "alice") -> AsyncIterator[Session]:
        """An initialized session."""
        url = self.gateway.endpoint()
        token = self.issuer.token("alice", url, sub=subject)
        headers = {"authorization": f"Bearer {token}", "mcp-protocol-version": "2025-11-25"}
        async with httpx.AsyncClient(timeout=20) as http:
            opening = {**INITIALIZE.headers(LEGACY), **headers}
            answer = await http.post(url, content=INITIALIZE.body(LEGACY), headers=opening)
            headers["mcp-session-id"] = answer.headers["mcp-session-id"]
            session = Session(http, url, headers)
            await session.sent(Rpc("notifications/initialized", id=None))
            yield session

    async def recorded(self) -> list[event_pb2.Event]:
        """The messages of streams in the newest session, in their order."""
        async with session_service(self.gateway.url, self.issuer.token("carol", self.gateway.url)) as sessions:
            newest = (await sessions.list_sessions(session_pb2.SessionFilter(subject="alice", target="orders")))[0]
            events = [one.event for one in await sessions.replay(newest.session_id)]
        return [one for one in events if one.kind == event_pb2.EVENT_KIND_STREAM_EVENT]


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Place]:
    with running_issuer() as issuer, ThreadedServer(server()) as target:
        upstream = Upstream(f"{target.url}/mcp", extra={"new_tools": "allow"})
        yield Place(in_turn.take(Setup(issuer.url, {"orders": upstream}, RULES, MASKS)), issuer)


async def test_a_stream_is_resumed_with_its_ids_masked_as_before_and_recorded_as_often_as_it_was_sent(
    place: Place,
) -> None:
    async with place.session() as session:
        await session.sent(Rpc("tools/list", id=2))
        before = len(await place.recorded())
        # The server may end the stream before what was told before.
        primed, *sent = Block.all_of(await session.sent(call("query", id=3)))
        assert (primed.retry, primed.data) == ("70", "")
        first, *rest = await session.resumed(primed.id)
        again = await session.resumed(primed.id)
        later = await session.resumed(first.id)
    assert again == [first, *rest], "the same ids, and the same tokens"
    assert later == rest
    assert sent in ([], [first])
    ids = [int(block.id) for block in (primed, first, *rest)]
    assert ids == sorted(set(ids))
    assert json.loads(rest[-1].data)["id"] == 3
    words = {word for block in (first, *rest) for word in block.data.replace('"', " ").split()}
    tokens = {word for word in words if "@" in word}
    assert len(tokens) == 1
    assert MAIL not in tokens
    recorded = [(one.other_lines, one.body.decode()) for one in (await place.recorded())[before:]]
    assert ("\n".join((f"id: {primed.id}", "retry: 70", "data:")), "") in recorded
    told = [(f"id: {block.id}", block.data) for block in (*sent, first, *rest, *again, *later)]
    assert [one for one in recorded if one[1]] == told


async def test_nobody_resumes_a_stream_without_its_session(place: Place) -> None:
    async with place.session() as session:
        primed, *_ = Block.all_of(await session.sent(call("query", id=3)))
        async with place.session("mallory") as other:
            stolen = {**other.headers, "mcp-session-id": session.headers["mcp-session-id"]}
            stolen |= {"accept": "text/event-stream", "last-event-id": primed.id}
            answer = await other.http.get(other.url, headers=stolen)
    assert answer.status_code == 404
