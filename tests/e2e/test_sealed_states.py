"""A state in which masks find something comes back to its target all the same, and its caller never reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult, TextContent

from tests.fault.record import Record
from tests.support.clients import LEGACY, MODERN, call, post
from tests.support.gateway import Gateway, Setup, Upstream, free_port
from tests.support.in_turn import InTurn
from tests.support.issuer import RunningIssuer, running_issuer
from tests.support.targets import Exchange, ScriptedTarget, answers, scripted_target, speaks_mcp, tool_text

MAIL = "canary.state@" + "example.org"
STATE = f'{{"for": "{MAIL}", "step": 2}}'
FORM = {"type": "object", "properties": {"name": {"type": "string"}}}
ASKS = {"method": "elicitation/create", "params": {"mode": "form", "message": "Who?", "requestedSchema": FORM}}
FIRST = {"resultType": "input_required", "inputRequests": {"who": ASKS}, "requestState": STATE}
RULES = ({"name": "all ask", "allow": {"groups": ["*"], "targets": ["*"], "tools": ["query"]}, "mask": ["pii"]},)


@dataclass
class Place:
    gateway: Gateway
    issuer: RunningIssuer
    port: int

    def token(self, target: str, person: str = "alice") -> str:
        return self.issuer.token(person, self.url(target))

    def url(self, target: str) -> str:
        return self.gateway.door if target == "door" else self.gateway.endpoint(target)


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Place]:
    port = free_port()
    new, url = {"new_tools": "allow"}, f"http://127.0.0.1:{port}/mcp"
    targets = {
        "sealing": Upstream(url, extra={**new, "seal_states": True}),
        "guarded": Upstream(url, extra={**new, "mask_request": {"mask": ["pii"]}}),
        "plain": Upstream(url, extra=new),
    }
    with running_issuer() as issuer:
        yield Place(in_turn.take(Setup(issuer.url, targets, RULES, hub=True)), issuer, port)


async def in_rounds(exchange: Exchange) -> None:
    """A tool that asks who it is for, and then says so with the state that came back."""
    params: Any = exchange.request.message()["params"]
    if "requestState" not in params:
        await answers(FIRST)(exchange)
        return
    name = params["inputResponses"]["who"]["content"]["name"]
    ok = params["requestState"] == STATE
    await answers({"resultType": "complete", **tool_text(f"hello {name}: {ok}")})(exchange)


@asynccontextmanager
async def rounds(place: Place) -> AsyncIterator[ScriptedTarget]:
    """A target of the modern era alone, which knows rounds."""
    modern = speaks_mcp(in_rounds)

    async def script(exchange: Exchange) -> None:
        if exchange.request.method == "initialize":
            await answers({}, 404)(exchange)
        else:
            await modern(exchange)

    async with scripted_target(script, port=place.port) as target:
        yield target


async def fills(context: Any, params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={"name": "Ada"})


@asynccontextmanager
async def client(place: Place, target: str, mode: str) -> AsyncIterator[Client]:
    headers = {"authorization": f"Bearer {place.token(target)}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(
            streamable_http_client(place.url(target), http_client=http),
            mode=mode,
            read_timeout_seconds=30,
            elicitation_callback=fills,
        ) as connected,
    ):
        yield connected


@pytest.mark.parametrize(
    ("target", "mode", "tool"),
    [
        ("sealing", MODERN, "query"),
        ("guarded", MODERN, "query"),
        ("door", MODERN, "sealing__query"),
        ("door", LEGACY, "sealing__query"),
    ],
)
async def test_a_real_client_goes_on_with_a_state_that_it_may_not_see(
    place: Place, target: str, mode: str, tool: str
) -> None:
    before = Record(place.gateway).size()
    async with rounds(place), client(place, target, mode) as connected:
        (block,) = (await connected.call_tool(tool, {})).content
    assert isinstance(block, TextContent)
    assert block.text == "hello Ada: True"
    rows = Record(place.gateway).rows(before)
    assert any("[EMAIL]" in row.body for row in rows), "the record says what was masked"
    assert not [row for row in rows if MAIL in row.text]


async def test_nobody_reads_it_alters_it_or_uses_anothers(place: Place) -> None:
    async with rounds(place) as target:

        async def goes_on(state: str, person: str, at: str = "sealing") -> tuple[int, str]:
            rpc = call("query")
            more = {**(rpc.params or {}), "requestState": state, "inputResponses": {"who": {"content": {"name": "E"}}}}
            answer = await post(place.url(at), place.token(at, person), type(rpc)(rpc.method, more))
            assert MAIL not in answer.text
            return answer.status_code, answer.text

        first = await post(place.url("sealing"), place.token("sealing"), call("query"))
        assert MAIL not in first.text
        state = first.json()["result"]["requestState"]
        seen = len(target.received)
        for other in (
            await goes_on(state, "bob"),
            await goes_on(state, "alice", "guarded"),
            await goes_on(state[:-2] + ("AA" if state[-2:] != "AA" else "BB"), "alice"),
            await goes_on(STATE, "alice"),
        ):
            assert other[0] == 400
            assert "-32602" in other[1]
        assert len(target.received) == seen, "its target saw none of these"
        status, said = await goes_on(state, "alice")
    assert (status, "hello E: True" in said) == (200, True)


async def test_without_a_way_back_it_is_masked_and_cannot_come_back(place: Place) -> None:
    async with rounds(place):
        first = await post(place.url("plain"), place.token("plain"), call("query"))
    assert first.json()["result"]["requestState"] == STATE.replace(MAIL, "[EMAIL]")
