"""The official client and server, with this room between them: nothing lawful is refused, no denial hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.server.mcpserver import MCPServer

from countersign.mcp import DENIED, Era, Failure, HttpRequest, McpRefused, Reply, Request, denied, failed, refused
from countersign.mcp import read_request as read_mcp_request

URL = "http://127.0.0.1:9/mcp"
DEADLINE_S = 20


class Gateway(httpx2.AsyncBaseTransport):
    """Reads every request, denies the methods and names in ``deny``, and lets the rest pass to a real server."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, deny: frozenset[str], failure: Failure | None) -> None:
        self._inner = inner
        self._deny = deny
        self._failure = failure
        self.read: list[Request] = []
        self.refusals: list[McpRefused] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        reply = self._judge(HttpRequest(request.method, dict(request.headers), body))
        if reply is None:
            return await self._inner.handle_async_request(request)
        headers = {"content-type": reply.content_type, **dict(reply.headers)}
        return httpx2.Response(reply.status, headers=headers, content=reply.body, request=request)

    def _judge(self, request: HttpRequest) -> Reply | None:
        try:
            parsed = read_mcp_request("orders", request, max_depth=64)
        except McpRefused as refusal:
            self.refusals.append(refusal)
            return refused(refusal)
        self.read.append(parsed)
        message = parsed.messages[0]
        call = message.call
        if call is not None and self._deny & {call.method, call.name}:
            return failed(self._failure, "later", message.id_json) if self._failure else denied(message, "not for you")
        # A real server holds a GET open, which an in-process transport cannot stream: say that there is none.
        return Reply(405, b"") if call is not None and call.method == "GET" else None


def server() -> MCPServer:
    made = MCPServer("orders")

    @made.tool()
    def query(sql: str) -> str:
        return sql.upper()

    @made.prompt()
    def greet(name: str) -> str:
        return f"Hello {name}"

    @made.resource("db://orders/größe")
    def size() -> str:
        return "42"

    return made


@asynccontextmanager
async def connected(mode: str, *deny: str, failure: Failure | None = None) -> AsyncIterator[tuple[Client, Gateway]]:
    made = server()
    app = made.streamable_http_app(json_response=True, streamable_http_path="/mcp")
    async with asyncio.timeout(DEADLINE_S), made.session_manager.run():
        gateway = Gateway(httpx2.ASGITransport(app), frozenset(deny), failure)
        async with httpx2.AsyncClient(transport=gateway) as http:
            client = Client(streamable_http_client(URL, http_client=http), mode=mode)
            async with client:
                yield client, gateway


both_eras = pytest.mark.parametrize(("mode", "era"), [("legacy", Era.LEGACY), ("auto", Era.MODERN)])


@both_eras
async def test_all_that_the_official_client_sends_is_read_in_its_era(mode: str, era: Era) -> None:
    async with connected(mode) as (client, gateway):
        assert [tool.name for tool in (await client.list_tools()).tools] == ["query"]
        result = await client.call_tool("query", {"sql": "select 1"})
        assert not result.is_error
        assert (await client.get_prompt("greet", {"name": "a"})).messages
        assert (await client.read_resource("db://orders/größe")).contents
    assert gateway.refusals == []
    assert {request.era for request in gateway.read} == {era}
    names = [message.call.name for request in gateway.read for message in request.messages if message.call]
    assert {"query", "greet", "db://orders/größe"} <= set(names)


@both_eras
async def test_a_denied_tool_call_reaches_the_person_as_a_tool_result(mode: str, era: Era) -> None:
    async with connected(mode, "query") as (client, gateway):
        result = await client.call_tool("query", {"sql": "select 1"})
        assert result.is_error
        assert result.content[0].model_dump()["text"] == "not for you"
    assert {request.era for request in gateway.read} == {era}


@both_eras
async def test_a_denied_request_reaches_the_person_as_an_error(mode: str, era: Era) -> None:
    async with connected(mode, "prompts/list") as (client, gateway):
        with pytest.raises(MCPError) as caught:
            await client.list_prompts()
        assert (caught.value.code, str(caught.value)) == (DENIED, "not for you")
    assert {request.era for request in gateway.read} == {era}


@both_eras
@pytest.mark.parametrize("failure", Failure)
async def test_a_failure_reaches_the_person_with_its_code(mode: str, era: Era, failure: Failure) -> None:
    async with connected(mode, "query", failure=failure) as (client, gateway):
        with pytest.raises(MCPError) as caught:
            await client.call_tool("query", {"sql": "select 1"})
        assert caught.value.code == failure.code
    assert {request.era for request in gateway.read} == {era}


async def test_a_denied_notification_stream_or_end_of_session_hangs_nobody() -> None:
    async with connected("legacy", "notifications/initialized", "GET", "DELETE") as (client, gateway):
        assert (await client.list_tools()).tools
    assert {"notifications/initialized", "DELETE"} <= {
        message.call.method for request in gateway.read for message in request.messages if message.call
    }


async def test_a_client_that_may_not_discover_is_told_when_it_falls_back() -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        async with connected("auto", "server/discover", "initialize"):
            pytest.fail("connected")
    told, others = caught.value.split(lambda error: isinstance(error, MCPError) and error.code == DENIED)
    assert told is not None
    assert others is None
