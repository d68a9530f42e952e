"""What is malformed, ambiguous, too large or smuggled is refused with a JSON-RPC error, and the target sees nothing."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import NamedTuple

import httpx
import pytest

from tests.fault.rig import Caller, Rig, question, rpc_error
from tests.support.clients import LEGACY, MODERN, Rpc, call
from tests.support.targets import Exchange, answers, tool_text

GOOD = question().body(MODERN)


CLOSED = 0
"""In place of a status: Envoy hung up on what is no HTTP without a word."""


class Expected(NamedTuple):
    status: int
    code: int


PARSE, INVALID, PARAMS, MISMATCH = (Expected(400, code) for code in (-32700, -32600, -32602, -32020))


def bent(old: bytes, new: bytes) -> bytes:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


BODIES: dict[str, tuple[bytes, Expected]] = {
    "nothing": (b"", PARSE),
    "no JSON": (b"query please", PARSE),
    "half a JSON text": (GOOD[:-1], PARSE),
    "two JSON texts": (GOOD + GOOD, PARSE),
    "trailing bytes": (GOOD + b"\x00", PARSE),
    "a byte order mark": (b"\xef\xbb\xbf" + GOOD, PARSE),
    "UTF-16": (GOOD.decode().encode("utf-16"), PARSE),
    "not UTF-8": (bent(b'"marker": ""', b'"marker": "\xff"'), PARSE),
    "a lone surrogate": (bent(b'"marker": ""', b'"marker": "\\ud800"'), PARSE),
    "a repeated key": (bent(b'"name": "query"', b'"name": "query", "name": "export"'), PARSE),
    "a repeated key, escaped": (bent(b'"name": "query"', b'"name": "query", "n\\u0061me": "export"'), PARSE),
    "a repeated key, deep": (bent(b'"marker": ""', b'"a": {"b": 1, "b": 2}'), PARSE),
    "deep nesting": (bent(b'"marker": ""', b'"a": ' + b"[" * 500 + b"]" * 500), PARSE),
    "NaN": (bent(b'"marker": ""', b'"a": NaN'), PARSE),
    "a comment": (bent(b'"marker": ""', b'"a": 1 /* b */'), PARSE),
    "another case": (bent(b'"name": "query"', b'"name": "query", "Name": "export"'), INVALID),
    "another case at the top": (bent(b'"method"', b'"Method": "ping", "method"'), INVALID),
    "a batch": (b"[" + GOOD + b"," + GOOD + b"]", INVALID),
    "an empty batch": (b"[]", INVALID),
    "a scalar": (b'"query"', INVALID),
    "another version": (bent(b'"jsonrpc": "2.0"', b'"jsonrpc": "1.0"'), INVALID),
    "a fraction for an id": (bent(b'"id": 1', b'"id": 1.5'), INVALID),
    "null for an id": (bent(b'"id": 1', b'"id": null'), INVALID),
    "no name": (bent(b'"name": "query"', b'"x": "query"'), MISMATCH),
    "a name that is no text": (bent(b'"name": "query"', b'"name": ["query"]'), MISMATCH),
    "arguments that are no object": (bent(b'"arguments": {"marker": ""}', b'"arguments": [1]'), PARAMS),
}

HEADERS: dict[str, tuple[dict[str, str], Expected]] = {
    "a content encoding": ({"content-encoding": "gzip"}, Expected(415, -32600)),
    "another content type": ({"content-type": "text/plain"}, Expected(415, -32600)),
    "another charset": ({"content-type": "application/json; charset=utf-7"}, Expected(415, -32600)),
    "a name that lies": ({"mcp-name": "export"}, MISMATCH),
    "a method that lies": ({"mcp-method": "tools/list"}, MISMATCH),
    "an encoded name that lies": ({"mcp-name": "=?base64?ZXhwb3J0?="}, MISMATCH),
    "a version that lies": ({"mcp-protocol-version": "2025-11-25"}, MISMATCH),
    "an unknown version": ({"mcp-protocol-version": "2031-01-01"}, MISMATCH),
}


async def refused(rig: Rig, answer: httpx.Response, expected: Expected, before: int) -> None:
    assert answer.status_code == expected.status, answer.text
    assert rpc_error(answer) == expected.code
    rows = rig.record.rows(before)
    assert [(row.kind, row.outcome, row.status) for row in rows] == [("request", "refused", expected.status)]
    assert rows[0].body == ""
    assert rows[0].reason


@pytest.mark.parametrize("what", BODIES)
async def test_a_body_that_is_not_one_clear_call_is_refused(rig: Rig, what: str) -> None:
    body, expected = BODIES[what]
    before = rig.record.size()
    async with rig.target(answers(tool_text("reached"))) as target, rig.caller() as caller:
        answer = await caller.post(question(), body=body)
        assert bytes(target.raw) == b""
    await refused(rig, answer, expected, before)


@pytest.mark.parametrize("what", HEADERS)
async def test_headers_that_contradict_the_body_are_refused(rig: Rig, what: str) -> None:
    headers, expected = HEADERS[what]
    before = rig.record.size()
    async with rig.target(answers(tool_text("reached"))) as target, rig.caller() as caller:
        answer = await caller.ask(headers=headers)
        assert bytes(target.raw) == b""
    await refused(rig, answer, expected, before)


async def test_a_query_on_the_url_is_refused(rig: Rig) -> None:
    before = rig.record.size()
    async with rig.target(answers(tool_text("reached"))) as target, rig.caller() as caller:
        rpc = question()
        answer = await caller.http.post(
            f"{rig.url}?name=export", content=rpc.body(MODERN), headers=caller.headers(rpc, MODERN, None)
        )
        assert bytes(target.raw) == b""
    await refused(rig, answer, INVALID, before)


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
    *("x-original-url", "x-http-method-override", "referer", "origin", "range", "if-none-match", "x-real-ip", "via"),
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
