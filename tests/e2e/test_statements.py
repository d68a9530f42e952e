"""A tool that runs SQL on a real database shows no masked column, whatever the statement makes of it."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable

import pytest

from countersign.api.recorder.v1 import session_pb2
from tests.e2e.conftest import World
from tests.support.auditors import session_service
from tests.support.clients import LEGACY, MODERN, call, mcp_client, messages, post
from tests.support.targets import Exchange, Script, answers, event, scripted_target, speaks_mcp, tool_text

# No number that a detector would know: only the name of its column says what it is.
VALUE = "zq" + "917204481"
CLEAR = "Ann Marie"
Names = list[str]
Rows = list[tuple[object, ...]]


def as_json(names: Names, rows: Rows) -> str:
    return json.dumps([dict(zip(names, row, strict=True)) for row in rows])


def as_csv(names: Names, rows: Rows) -> str:
    written = io.StringIO()
    csv.writer(written).writerows([names, *rows])
    return written.getvalue()


def as_markdown(names: Names, rows: Rows) -> str:
    lines = [names, ["---"] * len(names), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_tuples(names: Names, rows: Rows) -> str:
    return str(rows)


FORMS: dict[str, Callable[[Names, Rows], str]] = {
    "json": as_json,
    "csv": as_csv,
    "markdown": as_markdown,
    "tuples": as_tuples,
}


def runs_sql(form: Callable[[Names, Rows], str], *, structured: bool = False) -> Script:
    """A server whose tool runs its argument ``sql`` on a database of its own and answers in that form."""

    async def on_call(exchange: Exchange) -> None:
        database = sqlite3.connect(":memory:")
        database.execute("CREATE TABLE users (id int, name text, ssn text)")
        database.executemany("INSERT INTO users VALUES (?, ?, ?)", [(1, CLEAR, VALUE), (2, CLEAR, VALUE)])
        params = exchange.request.message()["params"]
        assert isinstance(params, dict)
        cursor = database.execute(params["arguments"]["sql"])
        names, rows = [column[0] for column in cursor.description], cursor.fetchall()
        result = tool_text(form(names, rows))
        if structured:
            result["structuredContent"] = {"rows": [dict(zip(names, row, strict=True)) for row in rows]}
        await answers(result)(exchange)

    return speaks_mcp(on_call)


async def asked(world: World, sql: object, era: str = MODERN) -> str:
    """What the caller gets, as one text; it is also what the record has."""
    answer = await post(world.database, world.token("alice", "database"), call("query", {"sql": sql}), era=era)
    assert answer.status_code == 200, answer.text
    return json.dumps(messages(answer), ensure_ascii=False)


HIDING = [
    "SELECT ssn AS x, name FROM users",
    "SELECT upper(ssn) AS x, name FROM users",
    "SELECT group_concat(ssn) AS x, max(name) AS name FROM users",
    "SELECT * FROM (SELECT name, ssn AS x FROM users) t",
    "SELECT name, ssn AS x FROM users UNION SELECT ssn, name FROM users",
    "SELECT name, 'k' || ssn FROM users",
    "SELECT value AS x, name FROM users, json_each(json_array(ssn))",
    "WITH t (a) AS (SELECT ssn FROM users) SELECT a FROM t",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sql", HIDING)
async def test_no_statement_hides_a_masked_column_from_its_mask(world: World, sql: str, form: str) -> None:
    async with scripted_target(runs_sql(FORMS[form]), port=world.scripted_port):
        shown = await asked(world, sql)
    assert VALUE not in shown
    assert VALUE.upper() not in shown
    assert "[SSN]" in shown


@pytest.mark.parametrize("form", ["json", "csv", "markdown"])
@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_the_other_columns_of_the_answer_stay(world: World, form: str, era: str) -> None:
    async with scripted_target(runs_sql(FORMS[form]), port=world.scripted_port):
        shown = await asked(world, "SELECT name, upper(ssn) AS x FROM users WHERE id = 1", era)
        untouched = await asked(world, "SELECT id, name FROM users WHERE ssn IS NOT NULL", era)
    assert VALUE.upper() not in shown
    assert CLEAR in shown
    assert untouched.count(CLEAR) == 2
    assert "[SSN]" not in untouched


async def test_a_real_client_gets_structured_rows_without_the_masked_column(world: World) -> None:
    async with (
        scripted_target(runs_sql(as_tuples, structured=True), port=world.scripted_port),
        mcp_client(world.database, world.token("alice", "database")) as client,
    ):
        result = await client.call_tool("query", {"sql": "SELECT name, ssn AS x FROM users WHERE id = 1"})
    assert result.structured_content == {"rows": [{"name": CLEAR, "x": "[SSN]"}]}
    assert VALUE not in str(result)


@pytest.mark.parametrize("sql", [None, ["SELECT ssn AS x FROM users"], {"text": "SELECT ssn AS x FROM users"}])
async def test_what_the_gateway_cannot_read_as_a_statement_shows_no_row(world: World, sql: object) -> None:
    target = speaks_mcp(answers(tool_text(as_json(["x", "name"], [(VALUE, CLEAR)]))))
    async with scripted_target(target, port=world.scripted_port):
        shown = await asked(world, sql)
    assert VALUE not in shown
    assert (CLEAR in shown) is isinstance(sql, list)


async def test_an_error_that_quotes_a_masked_value_is_masked(world: World) -> None:
    quoting = {**tool_text(f'invalid input syntax for type integer: "{VALUE}"'), "isError": True}
    async with scripted_target(speaks_mcp(answers(quoting)), port=world.scripted_port):
        shown = await asked(world, "SELECT 1 FROM users WHERE CAST(ssn AS int) = 1")
    assert VALUE not in shown


async def test_events_of_a_stream_are_masked_as_their_statement_says(world: World) -> None:
    async def streams(exchange: Exchange) -> None:
        notice = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": VALUE}}
        final = {"jsonrpc": "2.0", "id": exchange.request.rpc_id, "result": tool_text(as_json(["x"], [(VALUE,)]))}
        await exchange.head(content_type="text/event-stream")
        await exchange.body(event(notice))
        await exchange.body(event(final))
        await exchange.end()

    async with scripted_target(speaks_mcp(streams), port=world.scripted_port):
        shown = await asked(world, "SELECT ssn AS x FROM users")
    assert VALUE not in shown
    assert "info" in shown


async def test_the_record_has_no_masked_column_either(world: World) -> None:
    async with scripted_target(runs_sql(as_json), port=world.scripted_port):
        await asked(world, "SELECT ssn AS recorded_as FROM users")
    async with session_service(world.gateway.url, world.auditor_token()) as sessions:
        newest = (await sessions.list_sessions(session_pb2.SessionFilter(subject="alice", target="database")))[0]
        bodies = [recorded.event.body for recorded in await sessions.replay(newest.session_id)]
    assert any(b"recorded_as" in body for body in bodies)
    assert not any(VALUE.encode() in body for body in bodies)
