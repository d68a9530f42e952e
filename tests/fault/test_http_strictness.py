"""What is no HTTP ends its connection, what is not for us is sent away, and what goes on goes on as Envoy writes it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator

import pytest

from tests.fault.http_rows import HTTP_ROWS, LENIENT, HttpRow, Wire
from tests.fault.rig import Rig, running_rig
from tests.fault.strict_rows import CALL, good
from tests.support.clients import MODERN
from tests.support.in_turn import InTurn
from tests.support.raw_http import exchanged, until_ended
from tests.support.targets import answers, tool_text

HIDDEN = b"POST /shop/mcp HTTP/1.1\r\nx-hidden: "


@pytest.fixture(scope="module")
def rig(in_turn: InTurn) -> Iterator[Rig]:
    with running_rig(started=in_turn.take) as running:
        yield running


def written(rig: Rig, wire: Wire, token: str) -> bytes:
    headers = {**good().headers(MODERN), "authorization": f"Bearer {token}"}
    return wire.sent(f"127.0.0.1:{rig.gateway.port}", headers)


@pytest.mark.parametrize("row", HTTP_ROWS, ids=lambda row: row.kind[:40])
async def test_what_is_no_http_or_not_for_us_reaches_nobody(rig: Rig, row: HttpRow) -> None:
    token = rig.token()
    async with rig.target(answers(tool_text("reached"))) as target:
        came = await asyncio.gather(*(outcome(rig, row, written(rig, wire, token)) for wire in row.cases.values()))
        assert dict(zip(row.cases, came, strict=True)) == dict.fromkeys(row.cases, (row.status, row.code))
        assert bytes(target.raw) == b""


async def outcome(rig: Rig, row: HttpRow, sent: bytes) -> tuple[int, int]:
    """Status and code of the only answer to this, and to what stands behind it."""
    if row.ends:
        # Complete and good: only that it stands behind a bad one keeps it from being sent on.
        return told(await asyncio.to_thread(until_ended, rig.gateway.port, sent + written(rig, Wire(), rig.token())))
    answer = await asyncio.to_thread(exchanged, rig.gateway.port, sent + HIDDEN)
    return answer.status, answer.error()[0]


def told(came: bytes) -> tuple[int, int]:
    """Status and code of the only answer, if there is one."""
    statuses = [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", came)]
    # Envoy says 426 itself, and the end of a connection that was none.
    assert len(set(statuses)) <= 1, came
    codes = {int(found) for found in re.findall(rb'"code": ?(-?\d+)', came)}
    assert len(codes) == len(set(statuses)), came
    return (statuses[0], codes.pop()) if statuses else (0, 0)


async def test_what_is_written_oddly_goes_on_written_properly(rig: Rig) -> None:
    token = rig.token()
    async with rig.target(answers(tool_text("reached"))) as target:
        for what, wire in LENIENT.items():
            before = len(target.received)
            answer = await asyncio.to_thread(exchanged, rig.gateway.port, written(rig, wire, token))
            assert answer.status == 200, what
            [received] = target.received[before:]
            assert (received.verb, received.path, received.body) == ("POST", "/mcp", CALL), what
            head = received.raw.partition(b"\r\n\r\n")[0]
            lines = head.split(b"\r\n")
            assert not re.search(rb"[\r\n\x00]", b"".join(lines)), what
            assert all(re.match(rb"[a-z0-9-]+: [ -~]*\Z", line) for line in lines[1:]), what
            names = [name for name, _ in received.headers]
            assert len(names) == len(set(names)), what
            assert ("content-length" in names) != ("transfer-encoding" in names), what
            assert received.header("mcp-name") == "query", what
            assert not {"origin", "te", "expect", "upgrade", "x-a", "keep-alive", "connection"} & set(names), what
            assert received.header("host") == f"127.0.0.1:{rig.port}", what


async def test_a_caller_that_asks_whether_to_go_on_is_told_once(rig: Rig) -> None:
    token = rig.token()
    async with rig.target(answers(tool_text("reached"))) as target:
        wire = Wire(lines=(b"expect: 100-continue", b"connection: close"))
        came = await asyncio.to_thread(until_ended, rig.gateway.port, written(rig, wire, token))
        assert [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", came)] == [100, 200]
        [received] = target.received
        assert received.header("expect") is None


async def test_whoever_is_refused_is_told_in_json(rig: Rig) -> None:
    answer = await asyncio.to_thread(exchanged, rig.gateway.port, b"GET / HTTP/1.1\r\n\r\n")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body)["error"]["message"] == "the request does not say whom it is for"
