"""Auditors find what was asked of a table, and by its words, and follow it live, through the real gateway."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
import typer
from typer.testing import CliRunner, Result

from countersign.api.recorder.v1 import session_pb2
from countersign.cli import search, sessions, show
from tests.e2e.conftest import World
from tests.support.auditors import session_service
from tests.support.clients import call, post
from tests.support.targets import answers, scripted_target, speaks_mcp, tool_text

app = typer.Typer()
for room in (sessions, show, search):
    room.register(app)

WAIT_S = 20.0
MAIL = "ann.lighthouse" + "@" + "example.com"


async def command(world: World, *arguments: str, person: str = "carol") -> Result:
    given = [*arguments, "--gateway", world.gateway.url, "--token", world.auditor_token(person)]
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, given))


async def searched(world: World, *arguments: str) -> list[dict[str, dict[str, object]]]:
    """What a search finds once it finds anything."""
    async with asyncio.timeout(WAIT_S):
        while True:
            result = await command(world, "search", "--json", *arguments)
            assert result.exit_code == 0, result.output
            if result.stdout:
                return [json.loads(line) for line in result.stdout.splitlines()]
            await asyncio.sleep(0.2)


async def asked(world: World, sql: str, said: str = "nothing") -> None:
    async with scripted_target(speaks_mcp(answers(tool_text(said))), port=world.scripted_port):
        answer = await post(world.database, world.token("alice", "database"), call("query", {"sql": sql}))
    assert answer.status_code == 200, answer.text


async def test_a_call_is_found_by_the_tables_that_it_names_and_by_its_words(world: World) -> None:
    table, word = f"t{uuid4().hex}", f"w{uuid4().hex}"
    await asked(world, f"SELECT * FROM {table} JOIN users USING (id) WHERE mail = '{MAIL}'", f"the {word} keeper")
    [found] = await searched(world, "--relation", table)
    assert found["event"]["relations"] == [table, "users"]
    assert MAIL not in json.dumps(found)
    [answer] = await searched(world, f'"{word} keeper"', "--event", "answer")
    assert answer["event"]["call_id"] == found["event"]["call_id"]
    none = await command(world, "search", f'"keeper {word}"', "--since", "1h")
    assert (none.stdout, none.exit_code) == ("", 0)
    listed = await command(world, "sessions", "--relation", table, "--json")
    assert [one["session_id"] for one in json.loads(listed.stdout)["sessions"]] == [found["event"]["session_id"]]


async def test_a_call_is_shown_in_full_and_what_is_masked_in_it_is_not(world: World) -> None:
    table = f"t{uuid4().hex}"
    await asked(world, f"SELECT mail FROM {table}", f"mail of ann: {MAIL}")
    [found] = await searched(world, "--relation", table)
    event = found["event"]
    whole = await command(world, "show", str(event["call_id"]))
    assert whole.exit_code == 0, whole.output
    assert all(text in whole.stdout for text in (table, "[EMAIL]", "alice", "analysts script"))
    assert MAIL not in whole.stdout
    one = await command(world, "show", str(event["session_id"]))
    assert str(event["call_id"]) in one.stdout


@pytest.mark.parametrize("arguments", [["search", "word"], ["show", str(uuid4())], ["sessions", "--relation", "users"]])
async def test_nobody_but_auditors_searches(world: World, arguments: list[str]) -> None:
    result = await command(world, *arguments, person="alice")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "not an auditor" in result.stderr


async def test_a_search_is_itself_recorded(world: World) -> None:
    word = f"w{uuid4().hex}"
    await command(world, "search", word)
    # What looks for it is recorded, too.
    *_, found = await searched(world, "--event", "read", "--method", "SearchEvents", word)
    assert found["event"]["principal"]["subject"] == "carol"  # type: ignore[index]  # JSON


@asynccontextmanager
async def followed(world: World, session_id: str) -> AsyncIterator[AsyncIterator[session_pb2.ReplaySessionResponse]]:
    async with session_service(world.gateway.url, world.auditor_token()) as service:
        stream = service.stub.ReplaySession(
            session_pb2.ReplaySessionRequest(session_id=session_id, follow=True),
            metadata=(("authorization", f"Bearer {service.token}"),),
            timeout=WAIT_S,
        )
        yield stream.__aiter__()
        stream.cancel()


async def test_a_live_session_is_followed_and_each_event_told_once(world: World) -> None:
    table = f"t{uuid4().hex}"
    token = world.token("alice", "database")
    async with scripted_target(speaks_mcp(answers(tool_text("x"))), port=world.scripted_port):
        await post(world.database, token, call("query", {"sql": f"SELECT 1 FROM {table}"}))
        [found] = await searched(world, "--relation", table)
        async with followed(world, str(found["event"]["session_id"])) as stream:
            told = [(await anext(stream)).event.sequence for _ in range(2)]
            await post(world.database, token, call("query", {"sql": f"SELECT 2 FROM {table}"}))
            while len(told) < 4:
                answer = await anext(stream)
                told += [answer.event.sequence] if answer.HasField("event") else []
    assert told == [0, 1, 2, 3]


async def test_a_tail_shows_what_is_recorded_and_ends_in_order(world: World) -> None:
    table = f"t{uuid4().hex}"
    tail = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "countersign.cli.main", "tail", "--json", "--relation", table, "--from", "0"),
        env={**os.environ, "COUNTERSIGN_GATEWAY": world.gateway.url, "COUNTERSIGN_TOKEN": world.auditor_token()},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await asked(world, f"SELECT 1 FROM {table}")
        assert tail.stdout is not None
        async with asyncio.timeout(WAIT_S):
            line = await tail.stdout.readline()
        assert json.loads(line)["event"]["relations"] == [table]
        tail.send_signal(signal.SIGINT)
        async with asyncio.timeout(WAIT_S):
            assert await tail.wait() == 0
    finally:
        if tail.returncode is None:
            tail.kill()
