"""What the demo's target promises: two protocol eras, reading only, its own credential only, an honest journal."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from mcp.server.mcpserver.exceptions import ToolError

from countersign.demo import orders, orders_data
from countersign.demo.orders_journal import journal_path
from countersign.demo.serving import ThreadedServer
from tests.support.clients import MODERN, MODES, Rpc, call, mcp_client, messages, post


@dataclass(frozen=True)
class Shop:
    url: str
    token: str
    state: Path

    def journal(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in journal_path(self.state).read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    state = tmp_path_factory.mktemp("shop")
    token = secrets.token_urlsafe(24)
    with ThreadedServer(orders.app(state, token)) as server:
        yield Shop(f"{server.url}/mcp", token, state)


@pytest.mark.parametrize("mode", MODES)
async def test_every_tool_answers_in_both_eras(shop: Shop, mode: str) -> None:
    async with mcp_client(shop.url, shop.token, mode) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert names == {"query", "list_tables", "describe_table", "export_table", "get_customer"}
        tables = await client.call_tool("list_tables", {})
        assert tables.structured_content == {"result": ["cards", "customers", "notes", "orders"]}
        columns = await client.call_tool("describe_table", {"table": "cards"})
        assert "card" in json.dumps(columns.structured_content)
        found = await client.call_tool("query", {"sql": "SELECT count(*) AS n FROM orders"})
        assert found.structured_content == {"rows": [{"n": orders_data.ORDERS}], "truncated": False}
        customer = await client.call_tool("get_customer", {"customer_id": 7})
        assert customer.structured_content is not None
        assert {"id", "ssn", "card", "email"} <= customer.structured_content.keys()
        exported = await client.call_tool("export_table", {"table": "orders"})
        assert exported.structured_content is not None
        assert len(exported.structured_content["result"].splitlines()) == orders_data.ORDERS + 1
        assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["summarise_customer"]
        assert [str(found.uri) for found in (await client.list_resources()).resources] == ["orders://schema"]
        assert "CREATE TABLE" in (await client.read_resource("orders://schema")).model_dump_json()


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM orders",
        "UPDATE customers SET name = 'x'",
        "INSERT INTO notes VALUES (1, 1, 'x', 'x')",
        "DROP TABLE notes",
        "CREATE TABLE x (y)",
        "ATTACH DATABASE '/tmp/other.sqlite' AS other",
        "PRAGMA query_only = OFF",
        "VACUUM INTO '/tmp/copy.sqlite'",
        "SELECT 1; DELETE FROM orders",
        "SELECT load_extension('x')",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
        "nonsense",
    ],
)
def test_a_statement_that_does_not_only_read_or_never_ends_is_refused(shop: Shop, sql: str) -> None:
    database = orders.Database(orders_data.database_path(shop.state))
    with pytest.raises(ToolError):
        database.query(sql)
    assert database.query("SELECT count(*) AS n FROM orders").rows == [{"n": orders_data.ORDERS}]


def test_rows_are_capped_and_say_so(shop: Shop) -> None:
    found = orders.Database(orders_data.database_path(shop.state)).query("SELECT id, id FROM orders")
    assert (len(found.rows), found.truncated) == (orders.ROW_CAP, True)
    assert found.rows[0].keys() == {"id", "id_2"}


@pytest.mark.parametrize(
    ("authorization", "seen"), [(None, "none"), ("Bearer other", "foreign"), ("Basic b3RoZXI=", "foreign")]
)
async def test_only_its_own_credential_opens_and_others_are_reported(
    shop: Shop, authorization: str | None, seen: str
) -> None:
    before = len(shop.journal())
    headers = {"authorization": authorization} if authorization else {}
    answer = await post(shop.url, None, call("list_tables"), headers=headers)
    assert answer.status_code == 401
    assert "resource_metadata" in answer.headers["www-authenticate"]
    [entry] = shop.journal()[before:]
    assert (entry["kind"], entry["credential"]) == ("request", seen)


async def test_a_token_smuggled_in_another_header_is_reported(shop: Shop) -> None:
    smuggled = {"x-forwarded-access-token": "ey" + "JhbGciOi.eyJzdWIi.c2ln"}
    await post(shop.url, shop.token, call("list_tables"), headers=smuggled)
    assert shop.journal()[-1]["foreign_elsewhere"] is True


async def test_the_journal_shows_executed_calls_with_their_arguments_and_no_credential(shop: Shop) -> None:
    before = len(shop.journal())
    answer = await post(shop.url, shop.token, call("query", {"sql": "SELECT 41 + 1 AS n"}))
    assert answer.status_code == 200
    assert "42" in json.dumps(messages(answer))
    executed, request = shop.journal()[before:]
    assert (executed["kind"], executed["name"]) == ("call", "query")
    assert executed["arguments"] == {"sql": "SELECT 41 + 1 AS n"}
    assert (request["kind"], request["credential"], request["foreign_elsewhere"]) == ("request", "own", False)
    assert shop.token not in journal_path(shop.state).read_text("utf-8")


async def test_a_call_that_was_refused_is_not_in_the_journal_as_executed(shop: Shop) -> None:
    before = len(shop.journal())
    await post(shop.url, "wrong", call("query", {"sql": "SELECT 1"}))
    await post(shop.url, shop.token, Rpc("tools/call", {"name": "no_such", "arguments": {}}), era=MODERN)
    assert [entry["kind"] for entry in shop.journal()[before:]] == ["request", "request"]


def test_an_empty_credential_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="credential"):
        orders.app(tmp_path, "")


def test_the_same_seed_gives_the_same_rows(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    orders_data.create(first)
    orders_data.create(second)
    sql = "SELECT * FROM notes JOIN customers ON customers.id = notes.id"
    assert orders.Database(first).query(sql) == orders.Database(second).query(sql)


def test_invented_numbers_have_the_shapes_that_detectors_look_for() -> None:
    rng = random.Random(1)
    for _ in range(200):
        digits = [int(d) for d in orders_data.card_number(rng)]
        total = sum(d if place % 2 else (d * 2 - 9 if d > 4 else d * 2) for place, d in enumerate(digits))
        assert (len(digits), total % 10) == (16, 0)
        area, group, serial = orders_data.social_security_number(rng).split("-")
        assert area not in ("000", "666")
        assert area < "900"
        assert group != "00"
        assert serial != "0000"


async def test_the_server_answers_json_when_asked_to(tmp_path: Path) -> None:
    token = secrets.token_urlsafe(24)
    with ThreadedServer(orders.app(tmp_path, token, json_response=True)) as server:
        async with httpx.AsyncClient() as http:
            hello = Rpc(
                "initialize",
                {
                    "protocolVersion": "2025-11-25",
                    "capabilities": {},
                    "clientInfo": {"name": "t", "version": "1"},
                },
            )
            answer = await http.post(
                f"{server.url}/mcp",
                content=hello.body("legacy"),
                headers={**hello.headers("legacy"), "authorization": f"Bearer {token}"},
            )
    assert answer.headers["content-type"] == "application/json"
