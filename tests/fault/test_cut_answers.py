"""However a target cuts its answer on the wire, and whatever it sends around it, no value comes through the gateway."""

from __future__ import annotations

import asyncio
import json
import random

import httpx
import pytest

from tests.fault.rig import Rig, question
from tests.fault.test_bad_targets import raw_answer
from tests.support.clients import LEGACY, MODERN
from tests.support.targets import JSON_TYPE, SSE_TYPE, Exchange, Script, event, result, tool_text

CALLS = 40
AT_ONCE = 4


def telling(exchange: Exchange, canary: str, kind: str) -> bytes:
    """An answer with the value behind plain text, escapes, JSON within JSON and characters of several bytes."""
    inner = json.dumps({"mail": canary, "note": f"é {canary} €"}, ensure_ascii=False)
    whole = result(exchange, {**tool_text(f"to {canary}; {inner}"), "structuredContent": {canary: [canary]}})
    whole = whole.replace(canary.encode(), canary.replace("@", r"\u0040").encode(), 1)
    if kind == JSON_TYPE:
        return whole
    lines = "\r\n".join(f"data: {line}" for line in json.dumps(json.loads(whole), indent=0).split("\n"))
    note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": canary}}
    return event(note, "1") + f"event: message\r\n{lines}\r\n\r\n".encode()


def cut_up(canary: str, kind: str, seed: int) -> Script:
    """Answer in pieces of any size, down to a byte, each a chunk and a write of its own."""

    async def script(exchange: Exchange) -> None:
        data = telling(exchange, canary, kind)
        # All cuts of all calls together fall everywhere.
        rng = random.Random(seed)
        ends = sorted(rng.sample(range(1, len(data)), 12))
        await exchange.head(content_type=kind)
        for start, end in zip([0, *ends], [*ends, len(data)], strict=True):
            await exchange.body(data[start:end])
            await asyncio.sleep(0)
        await exchange.end()

    return script


@pytest.mark.parametrize("era", [LEGACY, MODERN])
@pytest.mark.parametrize("kind", [JSON_TYPE, SSE_TYPE])
async def test_a_value_cut_anywhere_on_the_wire_is_found(rig: Rig, kind: str, era: str) -> None:
    canary = rig.canary()
    seeds = iter(range(CALLS))

    async def script(exchange: Exchange) -> None:
        await cut_up(canary, kind, next(seeds))(exchange)

    turns = asyncio.Semaphore(AT_ONCE)
    async with rig.target(script), rig.caller() as caller:

        async def ask() -> httpx.Response:
            async with turns:
                return await caller.post(question(), era=era)

        answers = await asyncio.gather(*(ask() for _ in range(CALLS)))
    assert [answer.status_code for answer in answers] == [200] * CALLS
    # A part of the value is as telling as all of it.
    name = canary.partition("@")[0]
    assert not [answer for answer in answers if name in answer.text]
    assert len({answer.content for answer in answers}) == 1, "where it was cut is not to be seen"
    assert answers[0].text.count("[EMAIL]") >= 5


@pytest.mark.parametrize("status", ["100 Continue", "102 Processing", "103 Early Hints", "199 X"])
async def test_nothing_comes_through_before_the_answer(rig: Rig, status: str) -> None:
    canary = rig.canary()

    async def script(exchange: Exchange) -> None:
        body = result(exchange, tool_text("fine"))
        await exchange.write(f"HTTP/1.1 {status}\r\nlink: <{canary}>\r\nx-note: {canary}\r\n\r\n".encode())
        await exchange.head(length=len(body), content_type=JSON_TYPE)
        await exchange.body(body)

    async with rig.target(script), rig.caller() as caller:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.gateway.port)
        raw = await raw_answer(rig, caller.token, reader, writer)
    assert canary.encode() not in raw
    assert raw.startswith((b"HTTP/1.1 200", b"HTTP/1.1 502", b"HTTP/1.1 1"))


HELD = ("retry-after", "allow", "mcp-protocol-version", "mcp-session-id", "content-type", "cache-control")


async def test_no_header_that_may_pass_carries_a_value(rig: Rig) -> None:
    canary = rig.canary()

    async def script(exchange: Exchange) -> None:
        body = result(exchange, tool_text("fine"))
        headers = {name.replace("-", "_"): canary for name in HELD}
        await exchange.head(429, length=len(body), **{**headers, "content_type": f"{JSON_TYPE}; note={canary}"})
        await exchange.body(body)

    async with rig.target(script), rig.caller() as caller:
        answer = await caller.ask()
    assert answer.status_code == 429
    assert canary not in answer.text + str(answer.headers)
    # Sealed, and so of no more use to anybody than to say which session it is.
    assert answer.headers["mcp-session-id"].startswith("cs1.")
