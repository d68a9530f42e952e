"""What is too large, on other paths or of others' sessions is refused with a JSON-RPC error; the target sees nothing.

What is malformed: test_strictness.py.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.fault.rig import Caller, Rig, question, rpc_error
from tests.support.clients import LEGACY, MODERN, Rpc, call
from tests.support.targets import Exchange, answers, tool_text

GOOD = question().body(MODERN)


CLOSED = 0
"""In place of a status: Envoy hung up on what is no HTTP without a word."""


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_request_that_is_too_large_is_refused(rig: Rig, chunked: bool) -> None:
    padding = {"padding": "x" * (2 << 20)}
    body = call("query", padding).body(MODERN)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1 << 16):
            yield body[start : start + (1 << 16)]

    rpc = question()
    async with rig.target(answers(tool_text("reached"))) as target, rig.caller() as caller:
        content = pieces() if chunked else body
        answer = await caller.http.post(rig.url, content=content, headers=caller.headers(rpc, MODERN, None))
        assert bytes(target.raw) == b""
    assert answer.status_code == 413
    assert rpc_error(answer) == 4130


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "/shop",
            "/shop/mcp/",
            "/shop/mcp/x",
            "/shop/MCP",
            "/Shop/mcp",
            "/shop%2fmcp",
            "/shop/mcp%2f",
            "/shop%5cmcp",
        ),
        *("/other/mcp", "/shop/mcp;x=1", "/shop/mcp%00", "/shop/%6dcp%20", "/.well-known/oauth-protected-resource/x"),
        *("/countersign.api.recorder.v1.RecorderService/Append", "/countersign.api.recorder.v1.FeedService/OpenSink"),
        *("/mcp", "/shop/../../mcp", "/healthcheck", "/ready"),
    ],
)
async def test_only_the_endpoints_themselves_lead_to_a_target(rig: Rig, path: str) -> None:
    async with rig.target(answers(tool_text("reached"))) as target, rig.caller() as caller:
        status = await raw_status(rig, path, caller, [])
        assert bytes(target.raw) == b""
    assert status in (400, 404)


@pytest.mark.parametrize("path", ["//shop/mcp", "/x/../shop/mcp", "/./shop/mcp", "/shop//mcp", "/sho%70/mcp"])
async def test_another_spelling_of_an_endpoint_is_judged_as_that_endpoint(rig: Rig, path: str) -> None:
    async with rig.target(answers(tool_text("reached"))) as target, rig.caller() as caller:
        status = await raw_status(rig, path, caller, [])
        assert status in (200, 400, 404)
        assert len(target.received) == (status == 200)
        refusing = await raw_status(rig, path, Caller(caller.http, caller.url, "no token"), [])
        assert refusing in (400, 401, 404)
        assert {received.path for received in target.received} <= {"/mcp"}
        assert len(target.received) == (status == 200)


@pytest.mark.parametrize(
    "lines",
    [
        ["mcp_name: export"],
        ["x_y: 1"],
        ["transfer-encoding: chunked"],
        ["content-length: 5"],
        ["content-length: +5"],
        ["transfer-encoding: identity, chunked"],
        ["mcp-name: query"],
        ["mcp-method: tools/list"],
        ["mcp-protocol-version: 2025-11-25"],
        ["content-type: text/plain"],
        ["authorization: Bearer other"],
        [" folded: x"],
        ["na me: x"],
        ["x-nul: a\x00b"],
    ],
    ids=lambda lines: lines[0].strip().replace("\x00", "NUL"),
)
async def test_smuggled_and_doubled_headers_are_refused(rig: Rig, lines: list[str]) -> None:
    async with rig.target(answers(tool_text("reached"))) as target, rig.caller() as caller:
        status = await raw_status(rig, "/shop/mcp", caller, lines)
        assert status in (CLOSED, 400, 401, 415), lines
        assert bytes(target.raw) == b""


@pytest.mark.parametrize("line", ["expect: 200-ok", "upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__", "te: gzip"])
async def test_offers_to_speak_otherwise_do_not_reach_the_target(rig: Rig, line: str) -> None:
    async with rig.target(answers(tool_text("fine"))) as target, rig.caller() as caller:
        await raw_status(rig, "/shop/mcp", caller, [line])
        assert [received for received in target.received if received.header(line.partition(":")[0])] == []


async def raw_status(rig: Rig, path: str, caller: Caller, extra: list[str]) -> int:
    """POST the good call to exactly that path with exactly these header lines added; the status, or ``CLOSED``."""
    rpc = question()
    body = rpc.body(MODERN)
    headers = {**caller.headers(rpc, MODERN, None), "host": f"127.0.0.1:{rig.gateway.port}", "connection": "close"}
    lines = [f"{name}: {value}" for name, value in {**headers, "content-length": str(len(body))}.items()]
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.gateway.port)
    writer.write("\r\n".join([f"POST {path} HTTP/1.1", *lines, *extra, "", ""]).encode() + body)
    try:
        async with asyncio.timeout(10):
            answer = await reader.read()
    finally:
        writer.close()
    return int(answer.split(b" ", 2)[1]) if answer else CLOSED


FOREIGN = (
    *("cookie", "x-countersign-principal", "x-forwarded-host", "forwarded", "proxy-authorization", "x-api-key"),
    *("x-envoy-upstream-rq-timeout-ms", "x-envoy-retry-on", "x-envoy-original-path", "x-envoy-expected-rq-timeout-ms"),
    *("x-original-url", "x-http-method-override", "referer", "range", "if-none-match", "x-real-ip", "via"),
    *("x-envoy-external-address", "x-envoy-internal", "accept-language", "date", "x-forwarded-client-cert", "te"),
)


CLAIMED = ("user-agent", "x-request-id", "x-forwarded-for", "x-forwarded-proto", "x-countersign-service")


async def test_only_headers_that_were_judged_reach_the_target(rig: Rig) -> None:
    canary = f"foreign-{uuid.uuid4().hex}"
    async with rig.target(answers(tool_text("fine"))) as target, rig.caller() as caller:
        answer = await caller.ask(
            headers={**dict.fromkeys((*FOREIGN, *CLAIMED), canary), "te": "trailers", "accept-encoding": "gzip"}
        )
        assert answer.status_code == 200
        [received] = target.received
        assert canary.encode() not in received.raw
        assert caller.token.encode() not in received.raw
        assert received.header("authorization") == f"Bearer {rig.credential}"
        assert received.header("accept-encoding") == "identity"
        assert {name for name, _ in received.headers} <= {
            *("host", "authorization", "accept", "accept-encoding", "content-type", "content-length"),
            *("mcp-method", "mcp-name", "mcp-protocol-version", "transfer-encoding", "traceparent", "tracestate"),
            *("x-forwarded-for", "x-forwarded-proto"),
        }
        assert received.header("x-forwarded-for") == "127.0.0.1", "only what Envoy saw: targets believe the first entry"
        assert received.header("x-forwarded-proto") == "http"


async def test_a_caller_cannot_say_how_long_envoy_waits_or_tries_again(rig: Rig) -> None:
    tries = 0

    async def script(exchange: Exchange) -> None:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0.2)
        await answers(tool_text("fine"), status=500)(exchange)

    headers = {"x-envoy-upstream-rq-timeout-ms": "50", "x-envoy-retry-on": "5xx", "x-envoy-max-retries": "3"}
    async with rig.target(script), rig.caller() as caller:
        assert (await caller.ask(headers=headers)).status_code == 500
    assert tries == 1, "a call is sent once"


@pytest.mark.parametrize("how", ["made up", "another person's", "another target's bytes", "altered"])
async def test_a_strangers_session_is_not_found(rig: Rig, how: str) -> None:
    opening = Rpc("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}})
    before = rig.record.size()

    async def script(exchange: Exchange) -> None:
        await answers(tool_text("fine"), mcp_session_id="inner-session")(exchange)

    async with rig.target(script) as target, rig.caller() as caller:
        opened = await caller.post(opening, era=LEGACY)
        assert opened.status_code == 200
        session = opened.headers["mcp-session-id"]
        assert "inner-session" not in session
        sent = {
            "made up": str(uuid.uuid4()),
            "another person's": session,
            "another target's bytes": "inner-session",
            "altered": session[:-4] + ("AAAA" if session[-4:] != "AAAA" else "BBBB"),
        }[how]
        who = caller if how != "another person's" else Caller(caller.http, rig.url, rig.token("bob"))
        seen = len(target.received)
        answer = await who.post(question(), era=LEGACY, headers={"mcp-session-id": sent})
        assert (answer.status_code, rpc_error(answer)) == (404, 4040)
        assert len(target.received) == seen
        own = await caller.post(question(), era=LEGACY, headers={"mcp-session-id": session})
        assert own.status_code == 200
        assert target.received[-1].header("mcp-session-id") == "inner-session"
    assert "inner-session" not in json.dumps([row.text for row in rig.record.rows(before)])


async def test_the_gateway_speaks_json_where_it_refuses_a_path(rig: Rig) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{rig.gateway.url}/nowhere")
    assert answer.status_code == 404
    assert answer.json() == {"error": "nothing is served at this path"}
