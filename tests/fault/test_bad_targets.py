"""What a target answers is masked or withheld, and either way on the record; nothing else of it reaches a caller."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable

import httpx
import pytest

from tests.fault.conftest import SMALL
from tests.fault.record import ANSWERS, Row
from tests.fault.rig import Rig, eventually, new_marker, question, rpc_error
from tests.support.clients import MODERN
from tests.support.targets import (
    JSON_TYPE,
    SSE_TYPE,
    Exchange,
    Script,
    announces_too_much,
    answers,
    answers_bytes,
    answers_gzip,
    never_answers,
    never_ends,
    resets_midway,
    result,
    tool_text,
    unauthorized,
)

RESPONSE_BYTES = SMALL["response_bytes"]


def says(text: str, rpc_id: object = 1) -> bytes:
    """An answer to the call as it would be, with the text in it."""
    return json.dumps({"jsonrpc": "2.0", "id": rpc_id, "result": tool_text(text)}).encode()


def utf16(canary: str) -> bytes:
    return says(canary).decode().encode("utf-16")


def nested(canary: str, levels: int = 200) -> bytes:
    inner = b'{"a":' * levels + json.dumps(canary).encode() + b"}" * levels
    return b'{"jsonrpc":"2.0","id":1,"result":' + inner + b"}"


def repeated_key(canary: str) -> bytes:
    return says("harmless")[:-1] + b',"result":' + json.dumps(tool_text(canary)).encode() + b"}"


def redirects(status: int) -> Callable[[str], Script]:
    def script(canary: str) -> Script:
        return answers_bytes(says(canary), status=status, location=f"http://127.0.0.1:1/{canary}")

    return script


def two_heads(canary: str) -> Script:
    """Two lengths for one body: whoever believes the shorter reads a second answer in the rest."""

    async def script(exchange: Exchange) -> None:
        body = says(canary)
        head = (
            f"HTTP/1.1 200 X\r\ncontent-type: {JSON_TYPE}\r\ncontent-length: {len(body)}\r\ncontent-length: 5\r\n\r\n"
        )
        await exchange.write(head.encode() + body)

    return script


def is_no_http(canary: str) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.write(canary.encode() + b"\r\n\r\n")
        exchange.writer.close()

    return script


def hangs_up(_canary: str) -> Script:
    async def script(exchange: Exchange) -> None:
        exchange.reset()

    return script


def silent_midway(canary: str) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.head(content_type=JSON_TYPE)
        await exchange.body(says(canary)[:-5])
        await asyncio.Event().wait()

    return script


def switches(canary: str) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.write(b"HTTP/1.1 101 X\r\nupgrade: raw\r\nconnection: upgrade\r\n\r\n" + canary.encode())

    return script


def body_of_204(canary: str) -> Script:
    async def script(exchange: Exchange) -> None:
        body = says(canary)
        head = f"HTTP/1.1 204 X\r\ncontent-type: {JSON_TYPE}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        await exchange.write(head + body)
        exchange.writer.close()

    return script


BAD: dict[str, Callable[[str], Script]] = {
    "hangs up": hangs_up,
    "never answers": lambda _: never_answers(),
    "is no HTTP": is_no_http,
    "two lengths": two_heads,
    "asks for a token": lambda canary: unauthorized(f'Bearer realm="{canary}"'),
    "asks for a proxy's token": lambda canary: answers_bytes(says(canary), status=407, proxy_authenticate=canary),
    "redirects for good": redirects(301),
    "redirects with the body": redirects(307),
    "status 304": lambda canary: answers_bytes(b"", status=304, etag=f'"{canary}"'),
    "switches protocols": switches,
    "gzip": lambda canary: answers_gzip(tool_text(canary)),
    "gzip by two names": lambda canary: answers_bytes(gzip.compress(says(canary)), content_encoding="identity, gzip"),
    "gzip and does not say so": lambda canary: answers_bytes(gzip.compress(says(canary))),
    "no content type": lambda canary: answers_bytes(says(canary), content_type=""),
    "binary": lambda canary: answers_bytes(says(canary), content_type="application/octet-stream"),
    "an image": lambda canary: answers_bytes(says(canary), content_type="image/svg+xml"),
    "multipart": lambda canary: answers_bytes(says(canary), content_type="multipart/mixed; boundary=x"),
    "two content types": lambda canary: answers_bytes(says(canary), content_type=f"{JSON_TYPE}, text/html"),
    "another charset": lambda canary: answers_bytes(
        says(canary).decode().encode("utf-16"), f"{JSON_TYPE}; charset=utf-16"
    ),
    "a charset twice": lambda canary: answers_bytes(says(canary), f"{JSON_TYPE}; charset=utf-8; charset=utf-7"),
    "UTF-16 and does not say so": lambda canary: answers_bytes(utf16(canary)),
    "a byte order mark": lambda canary: answers_bytes(b"\xef\xbb\xbf" + says(canary)),
    "is not UTF-8": lambda canary: answers_bytes(says(canary).replace(b"text", b"te\xff\xfext")),
    "not JSON": lambda canary: answers_bytes(canary.encode()),
    "half a JSON text": lambda canary: answers_bytes(says(canary)[:-3]),
    "two JSON texts": lambda canary: answers_bytes(says(canary) + b"\n" + says(canary)),
    "a repeated key": lambda canary: answers_bytes(repeated_key(canary)),
    "deep nesting": lambda canary: answers_bytes(nested(canary)),
    "NaN": lambda canary: answers_bytes(says(canary).replace(b"false", b"NaN")),
    "an array": lambda canary: answers_bytes(b"[" + says(canary) + b"]"),
    "a scalar": lambda canary: answers_bytes(json.dumps(canary).encode()),
    "another id": lambda canary: answers_bytes(says(canary, 2)),
    "an id of another type": lambda canary: answers_bytes(says(canary, "1")),
    "no JSON-RPC": lambda canary: answers_bytes(json.dumps({"answer": canary}).encode()),
    "result and error": lambda canary: answers_bytes(says(canary)[:-1] + b',"error":{"code":1,"message":"x"}}'),
    "an endless body": lambda canary: never_ends(f'["{canary}",'.encode() * 50, limit_bytes=64 * 1024 * 1024),
    "a body that is too large": lambda canary: answers_bytes(says(canary + "x" * RESPONSE_BYTES)),
}


BROKEN_OFF: dict[str, Callable[[str], Script]] = {
    "falls silent": silent_midway,
    "closes before its length": lambda canary: announces_too_much(tool_text(canary)),
    "resets midway": lambda canary: resets_midway(tool_text(canary * 9)),
}


async def end_of(rig: Rig, marker: str) -> list[Row]:
    """The events of the call once its end is on the record."""

    async def ended() -> bool:
        return any(row.kind in ANSWERS for row in rig.record.call(marker))

    await eventually(ended, 5, "the end on the record")
    return rig.record.call(marker)


def assert_withheld(answer: httpx.Response, canary: str) -> None:
    assert answer.status_code == 502, answer.text
    assert rpc_error(answer) == 5020
    assert canary not in answer.text + str(answer.headers)


async def assert_recorded(rig: Rig, marker: str) -> None:
    rows = await end_of(rig, marker)
    assert [(row.kind, row.status) for row in rows] == [("request", 0), ("response", 502)]
    assert rows[1].reason
    assert rows[1].body == ""


@pytest.mark.parametrize("how", BAD)
async def test_an_answer_that_cannot_be_masked_is_withheld(rig: Rig, how: str) -> None:
    canary, marker = rig.canary(), new_marker()
    async with rig.target(BAD[how](canary)), rig.caller() as caller:
        answer = await caller.ask(marker)
    assert_withheld(answer, canary)
    await assert_recorded(rig, marker)


@pytest.mark.parametrize("how", BROKEN_OFF)
async def test_an_answer_that_breaks_off_is_withheld(rig: Rig, how: str) -> None:
    canary, marker = rig.canary(), new_marker()
    async with rig.target(BROKEN_OFF[how](canary)), rig.caller() as caller:
        answer = await caller.ask(marker)
    # Envoy speaks here: the masker has lost its say once the target's stream ended.
    assert_withheld(answer, canary)
    assert answer.headers["content-type"] == JSON_TYPE
    for inside in ("upstream", "reset", "protocol"):
        assert inside not in answer.text
    # No end at all when head and end come at once: Envoy then withdraws its question before the masker hears it.
    ends = [row for row in rig.record.call(marker) if row.kind != "request"]
    assert [(row.status, row.body) for row in ends] in ([], [(0, "")])
    assert all("the target or the caller ended it" in row.reason for row in ends)


async def test_a_header_that_cannot_be_removed_is_not_let_through(rig: Rig) -> None:
    canary = rig.canary()
    async with rig.target(answers(tool_text("fine"), host=canary)), rig.caller() as caller:
        answer = await caller.ask()
    assert answer.status_code == 502
    assert canary not in answer.text + str(answer.headers)


async def test_a_target_that_is_down_is_told_and_recorded(rig: Rig) -> None:
    marker = new_marker()
    async with rig.caller() as caller:
        answer = await caller.ask(marker)
    assert_withheld(answer, "127.0.0.1")
    assert answer.json()["id"] == 1
    await assert_recorded(rig, marker)


async def test_a_204_has_no_body(rig: Rig) -> None:
    canary, marker = rig.canary(), new_marker()
    async with rig.target(body_of_204(canary)), rig.caller() as caller:
        answer = await caller.ask(marker)
    assert canary not in answer.text
    assert answer.content == b"" or answer.status_code == 502
    await end_of(rig, marker)


ODD_HEADERS = (
    *("set-cookie", "x-powered-by", "server", "via", "link", "etag", "location", "content-location", "date"),
    *("mcp-protocol-version", "retry-after", "allow", "content-disposition", "access-control-allow-origin", "x-y_z"),
    *("x-envoy-upstream-service-time", "x-envoy-degraded", "x-request-id", "x-forwarded-for", "grpc-message"),
)


async def test_headers_of_a_target_do_not_reach_the_caller(rig: Rig) -> None:
    canary = rig.canary()

    async def script(exchange: Exchange) -> None:
        body = result(exchange, tool_text("fine"))
        odd = "".join(f"{name}: {canary}\r\n" for name in ODD_HEADERS)
        head = f"HTTP/1.1 200 X\r\ncontent-type: {JSON_TYPE}\r\ncontent-length: {len(body)}\r\n{odd}\r\n"
        await exchange.write(head.encode() + body)

    async with rig.target(script), rig.caller() as caller:
        answer = await caller.ask()
    assert answer.status_code == 200
    assert [name for name, value in answer.headers.items() if canary in value] == []
    known = {"content-type", "cache-control", "x-content-type-options", "date", "server"}
    assert set(answer.headers) <= known | {"content-length", "transfer-encoding"}
    assert answer.headers["server"] == "envoy"


async def test_the_words_of_a_status_line_do_not_reach_the_caller(rig: Rig) -> None:
    canary = rig.canary()

    async def script(exchange: Exchange) -> None:
        body = result(exchange, tool_text("fine"))
        head = f"HTTP/1.1 200 {canary}\r\ncontent-type: {JSON_TYPE}\r\ncontent-length: {len(body)}\r\n\r\n"
        await exchange.write(head.encode() + body)

    async with rig.target(script), rig.caller() as caller:
        answer = await caller.ask()
    assert answer.status_code == 200
    assert canary not in answer.reason_phrase


@pytest.mark.parametrize("content_type", [JSON_TYPE, SSE_TYPE])
async def test_trailers_of_a_target_do_not_reach_the_caller(rig: Rig, content_type: str) -> None:
    canary = rig.canary()

    async def script(exchange: Exchange) -> None:
        body = result(exchange, tool_text("fine"))
        await exchange.head(content_type=content_type, trailer="x-note")
        await exchange.body(body if content_type == JSON_TYPE else b"data: " + body + b"\n\n")
        await exchange.write(f"0\r\nx-note: {canary}\r\n\r\n".encode())

    async with rig.target(script), rig.caller() as caller:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.gateway.port)
        raw = await raw_answer(rig, caller.token, reader, writer)
    assert b"200 OK" in raw
    assert b"fine" in raw
    assert canary.encode() not in raw


async def raw_answer(rig: Rig, token: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Every byte that a caller gets who accepts trailers."""
    rpc = question()
    headers = {**rpc.headers(MODERN), "host": f"127.0.0.1:{rig.gateway.port}", "authorization": f"Bearer {token}"}
    body = rpc.body(MODERN)
    headers |= {"content-length": str(len(body)), "te": "trailers", "connection": "close, te"}
    lines = [
        f"POST {httpx.URL(rig.url).path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items()),
        "",
        "",
    ]
    writer.write("\r\n".join(lines).encode() + body)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


async def test_a_page_of_a_target_becomes_plain_text(rig: Rig) -> None:
    canary, marker = rig.canary(), new_marker()
    page = f"<html><script>alert(1)</script>{canary}</html>".encode()
    async with rig.target(answers_bytes(page, "text/html", status=500)), rig.caller() as caller:
        answer = await caller.ask(marker)
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert canary not in answer.text
    assert [(row.kind, row.status) for row in await end_of(rig, marker)] == [("request", 0), ("response", 500)]
