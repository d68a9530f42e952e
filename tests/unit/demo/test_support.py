"""The test harness itself: a scripted target must show every byte, and send exactly what its script says."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import httpx
import jwt
import pytest

from tests.support.clients import MODES, call, mcp_client, messages, post
from tests.support.issuer import FORGERIES, running_issuer
from tests.support.targets import (
    Exchange,
    Steps,
    announces_too_much,
    answers,
    answers_gzip,
    event,
    final_event,
    never_ends,
    resets_midway,
    scripted_target,
    speaks_mcp,
    tool_text,
    unauthorized,
)

TOKEN = "any"


async def test_a_target_keeps_every_byte_that_it_received() -> None:
    async with scripted_target(answers(tool_text("hello"))) as target:
        answer = await post(target.url, TOKEN, call("greet", {"who": "wörld"}))
        assert messages(answer)[0]["result"] == tool_text("hello")
        [received] = target.received
        assert (received.verb, received.path, received.method) == ("POST", "/mcp", "tools/call")
        assert received.header("authorization") == f"Bearer {TOKEN}"
        assert bytes(target.raw) == received.raw
        assert received.raw.endswith(received.body)


async def test_a_chunked_request_is_read_whole() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"id":'
        yield b"7}"

    async with scripted_target(answers({})) as target, httpx.AsyncClient() as http:
        await http.post(target.url, content=pieces())
        assert target.received[0].rpc_id == 7


async def test_pieces_go_out_only_when_the_test_says_so() -> None:
    progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1, "progressToken": 1}}
    steps = Steps([event(progress, "1"), final_event(tool_text("done"))])
    async with scripted_target(steps) as target, httpx.AsyncClient() as http:
        async with http.stream("POST", target.url, content=call("x").body("legacy")) as answer:
            lines = answer.aiter_lines()
            assert steps.sent == 0
            steps.release()
            assert await anext(lines) == "id: 1"
            assert steps.sent == 1
            steps.release()
            rest = [line async for line in lines]
        assert steps.sent == 2
        assert any("done" in line for line in rest)


@pytest.mark.parametrize("mode", MODES)
async def test_the_real_client_can_call_a_scripted_target(mode: str) -> None:
    async with (
        scripted_target(speaks_mcp(answers(tool_text("hello")))) as target,
        mcp_client(target.url, TOKEN, mode) as client,
    ):
        answer = await client.call_tool("greet", {})
        assert "hello" in answer.model_dump_json()


async def test_a_gzip_answer_is_sent_as_gzip() -> None:
    async with scripted_target(answers_gzip(tool_text("hello"))) as target, httpx.AsyncClient() as http:
        async with http.stream("POST", target.url, content=call("x").body("legacy")) as answer:
            raw = b"".join([piece async for piece in answer.aiter_raw()])
        assert b"hello" in gzip.decompress(raw)


async def test_broken_answers_break() -> None:
    for script in (announces_too_much({}), resets_midway(tool_text("x" * 200_000))):
        async with scripted_target(script) as target:
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                await post(target.url, TOKEN, call("x"))


async def test_an_endless_answer_ends_with_its_reader() -> None:
    async with (
        scripted_target(never_ends(b"x" * 65536)) as target,
        httpx.AsyncClient() as http,
        http.stream("POST", target.url, content=b"{}") as answer,
    ):
        assert len(await anext(answer.aiter_raw())) > 0


async def test_a_stopped_target_refuses_and_comes_back_on_the_same_port() -> None:
    async with scripted_target(unauthorized('Bearer realm="x"')) as target:
        assert (await post(target.url, TOKEN, call("x"))).status_code == 401
        await target.stop()
        with pytest.raises(httpx.ConnectError):
            await post(target.url, TOKEN, call("x"))
        await target.start()
        assert (await post(target.url, TOKEN, call("x"))).headers["www-authenticate"] == 'Bearer realm="x"'


async def test_a_failing_script_fails_the_test() -> None:
    async def script(exchange: Exchange) -> None:
        raise ZeroDivisionError

    async def use() -> None:
        async with scripted_target(script) as target:
            with pytest.raises(httpx.RemoteProtocolError):
                await post(target.url, TOKEN, call("x"))

    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        await use()


@pytest.mark.parametrize("how", FORGERIES)
def test_no_forged_token_verifies_by_the_published_keys(how: str) -> None:
    with running_issuer() as issuer:
        token = issuer.forged("alice", "http://a", how)
        keys = jwt.PyJWKSet.from_dict(dict(issuer.issuer.jwks()))
        assert token.count(".") == 2
        with pytest.raises(jwt.InvalidTokenError):
            jwt.decode(token, keys.keys[0], algorithms=["ES256"], audience="http://a")
        good = issuer.token("alice", "http://a")
        assert jwt.decode(good, keys.keys[0], algorithms=["ES256"], audience="http://a")["sub"] == "alice"
        assert "exp" not in jwt.decode(issuer.token("alice", "http://a", exp=None), options={"verify_signature": False})
