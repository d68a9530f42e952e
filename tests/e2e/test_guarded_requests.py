"""What a target must not get never reaches it: masked on its way or refused, through the real Envoy."""

from __future__ import annotations

import json
import random
import secrets

import httpx
import pytest

from countersign.demo import orders_data
from tests.e2e.conftest import World
from tests.support.clients import LEGACY, MODERN, call, mcp_client, post
from tests.support.targets import ScriptedTarget, answers, scripted_target, speaks_mcp, tool_text


def mail() -> str:
    return f"canary.{secrets.token_hex(6)}@example.org"


def arguments(target: ScriptedTarget) -> object:
    """The arguments of the one call that arrived."""
    (received,) = target.received
    assert received.header("content-length") == str(len(received.body))
    assert received.header("transfer-encoding") is None
    return received.message()["params"]["arguments"]  # type: ignore[index]  # JSON, as posted


@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_personal_data_is_masked_on_its_way(world: World, era: str) -> None:
    canary = mail()
    asked = call("query", {"note": f"write to {canary} — now", "n": 1.50})
    async with scripted_target(answers(tool_text("done")), port=world.scripted_port) as target:
        answer = await post(world.guarded, world.token("alice", "guarded"), asked, era=era)
    assert answer.status_code == 200
    assert arguments(target) == {"note": "write to [EMAIL] — now", "n": 1.50}
    assert canary.encode() not in target.raw
    # Outside of the finding the target gets the bytes that the caller sent.
    assert target.received[0].body == asked.body(era).replace(canary.encode(), b"[EMAIL]")


async def test_a_secret_on_its_way_is_refused_and_named(world: World) -> None:
    token = orders_data.repository_token(random.Random(secrets.randbits(64)))
    async with scripted_target(answers(tool_text("done")), port=world.scripted_port) as target:
        answer = await post(world.guarded, world.token("alice", "guarded"), call("query", {"note": f"use {token}"}))
    assert target.received == []
    assert answer.status_code == 200
    assert "the mask `secrets` found SECRET" in answer.json()["result"]["content"][0]["text"]
    assert token not in answer.text


async def test_headers_that_repeat_an_argument_are_masked_with_it(world: World) -> None:
    canary = mail()
    headers = {"mcp-param-who": canary, "mcp-param-where": "here"}
    asked = call("query", {"who": canary, "where": "here"})
    async with scripted_target(answers(tool_text("done")), port=world.scripted_port) as target:
        answer = await post(world.guarded, world.token("alice", "guarded"), asked, headers=headers)
    assert answer.status_code == 200
    assert canary.encode() not in target.raw
    assert target.received[0].header("mcp-param-who") == "[EMAIL]"
    assert target.received[0].header("mcp-param-where") == "here"


async def test_a_large_request_in_chunks_is_masked_whole(world: World) -> None:
    canary = mail()
    asked = call("query", {"notes": [f"{number} {canary}" for number in range(15_000)]})
    body, token = asked.body(MODERN), world.token("alice", "guarded")

    async def pieces() -> object:
        for start in range(0, len(body), 50_000):
            yield body[start : start + 50_000]

    async with (
        scripted_target(answers(tool_text("done")), port=world.scripted_port) as target,
        httpx.AsyncClient(timeout=20) as http,
    ):
        headers = {**asked.headers(MODERN), "authorization": f"Bearer {token}"}
        answer = await http.post(world.guarded, content=pieces(), headers=headers)  # type: ignore[arg-type]  # an async generator
    assert answer.status_code == 200
    assert json.loads(target.received[0].body)["params"]["arguments"]["notes"][-1] == "14999 [EMAIL]"
    assert canary.encode() not in target.raw


async def test_real_clients_of_both_eras_work_where_requests_are_masked(world: World) -> None:
    for mode in (LEGACY, MODERN):
        canary = mail()
        script = speaks_mcp(answers(tool_text("done")))
        async with (
            scripted_target(script, port=world.scripted_port) as target,
            mcp_client(world.guarded, world.token("alice", "guarded"), mode) as client,
        ):
            assert [tool.name for tool in (await client.list_tools()).tools] == ["query"]
            result = await client.call_tool("query", {"note": canary})
        assert not result.is_error
        assert canary.encode() not in target.raw
        assert b"[EMAIL]" in target.raw
