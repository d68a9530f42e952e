"""`countersign tools` and `countersign call` against scripted and real MCP servers."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from countersign.cli import access, call, tools
from countersign.demo import orders
from countersign.demo.serving import ThreadedServer
from tests.support.gateway import free_port
from tests.support.targets import Exchange, answers, answers_bytes, scripted_target, speaks_mcp, tool_text

app = typer.Typer()
call.register(app)
tools.register(app)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The options that reach the demo's target directly, as if it were a gateway."""
    state = tmp_path_factory.mktemp("shop")
    credential = secrets.token_urlsafe(24)
    file = state / "token"
    file.write_text(credential)
    served = orders.app(state, credential, path="/orders/mcp")
    with ThreadedServer(served) as server:
        yield ["--gateway", server.url, "--token-file", str(file)]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_tools_are_listed_with_what_they_do(shop: list[str]) -> None:
    result = run("tools", "list", *shop)
    assert result.exit_code == 0
    assert "list_tables" in result.stdout
    assert "List the tables." in result.stdout


def test_arguments_that_are_json_are_taken_as_json(shop: list[str]) -> None:
    result = run("call", "get_customer", "customer_id=7", *shop)
    assert result.exit_code == 0
    assert '"id": 7' in result.stdout


def test_arguments_may_hold_equal_signs_and_are_else_text(shop: list[str]) -> None:
    result = run("call", "query", "sql=SELECT id FROM orders WHERE id=3", *shop)
    assert result.exit_code == 0
    assert '"id": 3' in result.stdout


def test_a_tool_that_says_no_is_exit_1(shop: list[str]) -> None:
    result = run("call", "describe_table", "table=nothing", *shop)
    assert result.exit_code == access.REFUSED
    assert "there is no table" in result.stdout


def test_a_refused_token_is_exit_1_and_never_shown(shop: list[str], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not-the-token")
    result = run("call", "list_tables", *shop[:2], "--token-file", str(wrong))
    assert result.exit_code == access.REFUSED
    assert "401" in result.stderr
    assert "not-the-token" not in result.output


@pytest.mark.parametrize("arguments", [["nothing"], ["=1"], ["a=1", "a=2"]])
def test_what_is_not_name_equals_value_is_a_usage_error(shop: list[str], arguments: list[str]) -> None:
    result = run("call", "query", *arguments, *shop)
    assert result.exit_code == access.USAGE
    assert "name=value" in result.stderr


def test_no_token_is_a_usage_error_with_a_remedy(tmp_path: Path) -> None:
    assert "--token-file" in run("tools", "list").stderr
    missing = run("tools", "list", "--token-file", str(tmp_path / "none"))
    assert missing.exit_code == access.USAGE
    assert "cannot be read" in missing.stderr


def test_nobody_there_is_exit_3_and_one_line(shop: list[str]) -> None:
    result = run("tools", "list", "--gateway", f"http://127.0.0.1:{free_port()}", *shop[2:])
    assert result.exit_code == access.UNREACHABLE
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize("structured", [False, True])
async def test_a_target_does_not_command_the_terminal(tmp_path: Path, options: list[str], structured: bool) -> None:
    evil = "one\ntwo \x1b]0;title\x07\x1b[2J \x9b31m \u202egnol"
    content: dict[str, object] = (
        {**tool_text(evil), "structuredContent": {"text": evil}} if structured else tool_text(evil)
    )
    token = tmp_path / "token"
    token.write_text("token")
    async with scripted_target(speaks_mcp(answers(content))) as target:
        gateway = target.url.removesuffix("/mcp")
        result = await asyncio.to_thread(
            run, "call", "query", "--gateway", gateway, "--token-file", str(token), *options
        )
    assert result.exit_code == 0, result.output
    assert "gnol" in result.stdout
    assert all(line.isprintable() for line in result.stdout.split("\n"))
    if not options and not structured:
        assert result.stdout.startswith("one\ntwo \\x1b]0;")


async def test_nor_does_its_refusal(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("token")

    async def refuses(exchange: Exchange) -> None:
        error = {"jsonrpc": "2.0", "id": exchange.request.rpc_id, "error": {"code": 1, "message": "no \x1b[2J\x9b1m"}}
        await answers_bytes(json.dumps(error).encode())(exchange)

    async with scripted_target(speaks_mcp(refuses)) as target:
        gateway = target.url.removesuffix("/mcp")
        result = await asyncio.to_thread(run, "call", "query", "--gateway", gateway, "--token-file", str(token))
    assert result.exit_code == access.REFUSED
    assert result.stderr.removesuffix("\n").isprintable()
    assert "no \\x1b[2J" in result.stderr


async def waiting(tmp_path: Path, *options: str, at_last: dict[str, object]) -> tuple[Result, list[str | None]]:
    """Call what people must agree to first; also the preference that each call stated. A call that is held succeeds."""
    token = tmp_path / "token"
    token.write_text("token")
    preferred: list[str | None] = []

    async def on_call(exchange: Exchange) -> None:
        preferred.append(exchange.request.header("prefer"))
        if preferred[-1] is None:
            return await answers(at_last)(exchange)
        told = json.dumps({"status": "waiting", "message": "waiting for approval by support, id 7\x1b[2J"}).encode()
        later = answers_bytes(told, status=202, location="/approvals/7", preference_applied="respond-async")
        return await later(exchange)

    async with scripted_target(speaks_mcp(on_call)) as target:
        gateway = target.url.removesuffix("/mcp")
        command = ["call", "query", "--gateway", gateway, "--token-file", str(token), *options]
        return await asyncio.to_thread(run, *command), preferred


async def test_a_call_that_waits_says_so_and_then_answers(tmp_path: Path) -> None:
    result, preferred = await waiting(tmp_path, at_last=tool_text("done"))
    assert (result.exit_code, result.stdout) == (0, "done\n")
    assert result.stderr.startswith("waiting for approval by support, id 7\\x1b[2J")
    assert preferred == ["respond-async", None]


async def test_a_call_that_is_only_told_to_call_again_is_exit_1(tmp_path: Path) -> None:
    told = {**tool_text("waiting for approval by support, id 7, call again"), "isError": True}
    result, _ = await waiting(tmp_path, at_last=told)
    assert result.exit_code == access.REFUSED
    assert "call again" in result.stdout


async def test_who_does_not_wait_is_told_and_calls_once(tmp_path: Path) -> None:
    result, preferred = await waiting(tmp_path, "--no-wait", at_last=tool_text("done"))
    assert (result.exit_code, result.stdout) == (access.REFUSED, "")
    assert "id 7" in result.stderr
    assert preferred == ["respond-async"]


@pytest.mark.parametrize("options", [[], ["--no-wait"]])
async def test_a_legacy_session_ends_with_the_command_unless_a_call_waits_in_it(
    tmp_path: Path, options: list[str]
) -> None:
    token = tmp_path / "token"
    token.write_text("token")
    verbs: list[str] = []

    async def target_of_old(exchange: Exchange) -> None:
        verbs.append(exchange.request.verb)
        method = exchange.request.method
        if exchange.request.verb != "POST" or method == "notifications/initialized":
            return await answers_bytes(b"", status=405 if exchange.request.verb == "GET" else 202)(exchange)
        if method == "server/discover":
            return await answers_bytes(b"{}", status=400)(exchange)
        if method == "initialize":
            hello = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}}
            opened = answers({**hello, "serverInfo": {"name": "old", "version": "1"}}, mcp_session_id="s-1")
            return await opened(exchange)
        if exchange.request.header("prefer") is not None:
            later = answers_bytes(b'{"message": "waiting"}', status=202, preference_applied="respond-async")
            return await later(exchange)
        return await answers({"tools": []} if method == "tools/list" else tool_text("done"))(exchange)

    async with scripted_target(target_of_old) as target:
        gateway = target.url.removesuffix("/mcp")
        command = ["call", "query", "--gateway", gateway, "--token-file", str(token), *options]
        result = await asyncio.to_thread(run, *command)
    assert (result.exit_code, "DELETE" in verbs) == ((access.REFUSED, False) if options else (0, True)), result.output
