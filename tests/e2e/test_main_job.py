"""The main job with the real MCP client in both protocol eras, through the real Envoy, to a real MCP server."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
from mcp.shared.exceptions import MCPError

from countersign.demo import orders_data
from countersign.demo.steps import DENIAL, SQL
from tests.e2e.conftest import World
from tests.support.clients import LEGACY, MODERN, MODES, call, mcp_client, messages, post


@pytest.mark.parametrize("mode", MODES)
async def test_a_listing_shows_only_what_the_caller_may_call(world: World, mode: str) -> None:
    async with mcp_client(world.orders, world.token("alice"), mode) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == {"query", "list_tables"}
        assert (client.protocol_version < "2026") == (mode == LEGACY)


@pytest.mark.parametrize("mode", MODES)
async def test_rows_come_back_masked_and_otherwise_unchanged(world: World, mode: str) -> None:
    async with mcp_client(world.orders, world.token("alice"), mode) as client:
        answer = await client.call_tool("query", {"sql": SQL})
    assert not answer.is_error
    with closing(sqlite3.connect(orders_data.database_path(world.shop))) as shop:
        raw = shop.execute(SQL).fetchall()
    assert answer.structured_content is not None
    rows = answer.structured_content["rows"]
    assert [(row["id"], row["name"]) for row in rows] == [(row[0], row[1]) for row in raw]
    everything = answer.model_dump_json()
    for _, _, email, ssn, card, _ in raw:
        assert email not in everything
        assert ssn not in everything
        assert card not in everything
    assert "AK" + "IA" not in everything
    assert "gh" + "p_" not in everything
    assert raw[1][5] == rows[1]["text"], "a note without a finding stays as it is"


@pytest.mark.parametrize("mode", MODES)
async def test_a_denied_tool_is_an_error_result_with_the_rules_message_and_never_runs(world: World, mode: str) -> None:
    before = len(world.journal())
    async with mcp_client(world.orders, world.token("alice"), mode) as client:
        answer = await client.call_tool("export_table", {"table": "customers"})
    assert answer.is_error
    assert DENIAL in answer.model_dump_json()
    assert not [entry for entry in world.journal()[before:] if entry["name"] == "export_table"]


@pytest.mark.parametrize("mode", MODES)
async def test_what_no_rule_allows_is_denied(world: World, mode: str) -> None:
    before = len(world.journal())
    async with mcp_client(world.orders, world.token("bob"), mode) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["get_customer"]
        answer = await client.call_tool("query", {"sql": "SELECT 1"})
        own = await client.call_tool("get_customer", {"customer_id": 7})
    assert answer.is_error
    assert not own.is_error
    assert [entry["name"] for entry in world.journal()[before:] if entry["kind"] == "call"] == ["get_customer"]


@pytest.mark.parametrize("mode", MODES)
async def test_whom_no_rule_admits_does_not_even_connect(world: World, mode: str) -> None:
    before = len(world.journal())
    with pytest.RaisesGroup(pytest.RaisesExc(MCPError, match="carol"), flatten_subgroups=True):
        async with mcp_client(world.orders, world.token("carol"), mode) as client:
            await client.list_tools()
    assert world.journal()[before:] == []


@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_whom_no_rule_admits_reads_why_from_a_single_call(world: World, era: str) -> None:
    answer = await post(world.orders, world.token("carol"), call("query", {"sql": "SELECT 1"}), era=era)
    [denial] = messages(answer)
    assert answer.status_code == 200
    assert denial["id"] == 1
    assert "carol" in json.dumps(denial["result"])


@pytest.mark.parametrize("mode", MODES)
async def test_prompts_and_resources_follow_the_rules_too(world: World, mode: str) -> None:
    async with mcp_client(world.orders, world.token("alice"), mode) as client:
        assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["summarise_customer"]
        asked = await client.get_prompt("summarise_customer", {"customer_id": "7"})
        assert "customer 7" in asked.model_dump_json()
        assert "CREATE TABLE" in (await client.read_resource("orders://schema")).model_dump_json()
    async with mcp_client(world.orders, world.token("bob"), mode) as client:
        assert (await client.list_prompts()).prompts == []
        assert (await client.list_resources()).resources == []
        with pytest.raises(MCPError):
            await client.get_prompt("summarise_customer", {"customer_id": "7"})
        with pytest.raises(MCPError):
            await client.read_resource("orders://schema")


async def test_the_target_sees_its_own_credential_and_nobodys_token(world: World) -> None:
    before = len(world.journal())
    async with mcp_client(world.orders, world.token("alice"), LEGACY) as client:
        await client.call_tool("query", {"sql": "SELECT 1"})
    requests = [entry for entry in world.journal()[before:] if entry["kind"] == "request"]
    assert requests
    assert {entry["credential"] for entry in requests} == {"own"}
    assert not any(entry["foreign_elsewhere"] for entry in requests)


async def test_the_trace_goes_on_to_the_target(world: World) -> None:
    before = len(world.journal())
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    await post(world.orders, world.token("alice"), call("list_tables"), headers=headers)
    [request] = [entry for entry in world.journal()[before:] if entry["kind"] == "request"]
    assert trace in str(request["traceparent"])


async def test_calls_of_many_callers_at_once_keep_apart(world: World) -> None:
    async with (
        mcp_client(world.orders, world.token("alice"), LEGACY) as alice,
        mcp_client(world.orders, world.token("bob"), LEGACY) as bob,
    ):
        for number in range(5):
            found = await alice.call_tool("query", {"sql": f"SELECT {number} AS n"})
            assert found.structured_content == {"rows": [{"n": number}], "truncated": False}
            assert (await bob.call_tool("query", {"sql": f"SELECT {number} AS n"})).is_error


async def test_a_modern_caller_needs_no_session(world: World) -> None:
    answer = await post(world.orders, world.token("alice"), call("query", {"sql": "SELECT 42 AS n"}, id="text-id"))
    [final] = [message for message in messages(answer) if "result" in message]
    assert final["id"] == "text-id"
    assert "42" in json.dumps(final["result"])
