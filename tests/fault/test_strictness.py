"""Each line of what docs/mcp.md says is refused, sent raw through the real Envoy: as it says, and nothing goes on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.fault.rig import TARGET, Rig, running_rig
from tests.fault.strict_rows import CALL, ROWS, Row, Sent, good
from tests.support.clients import MODERN
from tests.support.in_turn import InTurn
from tests.support.raw_http import RawAnswer, exchanged, head, until_ended
from tests.support.targets import answers, tool_text

# What could pass for the end of another request's body, or for a request of its own.
HIDDEN = b"POST /shop/mcp HTTP/1.1\r\nx-hidden: "


@pytest.fixture(scope="module")
def rig(in_turn: InTurn) -> Iterator[Rig]:
    with running_rig(started=in_turn.take) as running:
        yield running


def raw(rig: Rig, sent: Sent, token: str) -> bytes:
    headers: dict[str, str | None] = {"host": f"127.0.0.1:{rig.gateway.port}", "authorization": f"Bearer {token}"}
    headers |= {**good().headers(MODERN), **sent.headers}
    lines = [(name, value) for name, value in headers.items() if value is not None]
    length = [("content-length", str(len(sent.body)))] if sent.body or sent.verb == "POST" else []
    return head(sent.verb, f"/{TARGET}/mcp{sent.query}", [*lines, *sent.lines, *length]) + sent.body


async def answered(rig: Rig, sent: Sent, token: str, behind: bytes = b"") -> RawAnswer:
    return await asyncio.to_thread(exchanged, rig.gateway.port, raw(rig, sent, token) + behind, verb=sent.verb)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.kind[:40])
async def test_what_is_malformed_is_refused_as_the_docs_say(rig: Rig, row: Row) -> None:
    token, before = rig.token(), rig.record.size()
    async with rig.target(answers(tool_text("reached"))) as target:
        for what, sent in row.cases.items():
            answer = await answered(rig, sent, token, HIDDEN)
            assert (answer.status, *answer.error()) == (row.status, row.code, sent.id), what
            assert answer.headers["content-type"] == "application/json", what
            assert ("allow" in answer.headers) == (row.status == 405), what
            assert bytes(target.raw) == b"", what
        # Nothing else was wrong with them.
        good_answer = await answered(rig, Sent(CALL), token)
        assert good_answer.status == 200
        assert [received.body for received in target.received] == [CALL]
    # Who asked what is told from nothing that was sent, but every attempt is on the record.
    rows = [one for one in rig.record.rows(before) if one.outcome == "refused"]
    assert [(one.status, one.body) for one in rows] == [(row.status, "")] * len(row.cases)
    assert all(one.reason for one in rows)


async def test_a_body_goes_on_byte_for_byte(rig: Rig) -> None:
    # Right, if odd: a second writer would write none of it so.
    odd = CALL.replace(
        b'"marker": "", "limit": 7',
        b""" "z" :1E400,\t"a": -0.0 ,"n":12345678901234567890.10,\r
        "\\u0061b": "\\/\\u00e9\xc3\xa9\\ud83d\\ude00\xf0\x9f\x98\x80", "" : [ ] , "big": 1000000000000000000000001 """,
    )
    texts = [odd, b" \r\n\t" + CALL + b"\n \n", CALL.replace(b'"tools/call"', b'"tools\\/c\\u0061ll"')]
    token = rig.token()
    async with rig.target(answers(tool_text("reached"))) as target:
        for text in texts:
            assert (await answered(rig, Sent(text), token)).status == 200
        assert [received.body for received in target.received] == texts
        chunked = Sent(b"", lines=(("transfer-encoding", "chunked"),))
        parts = b"".join(b"%x\r\n%b\r\n" % (1, odd[at : at + 1]) for at in range(len(odd))) + b"0\r\n\r\n"
        whole = raw(rig, chunked, token).replace(b"content-length: 0\r\n", b"") + parts
        assert (await asyncio.to_thread(exchanged, rig.gateway.port, whole)).status == 200
        assert target.received[-1].body == odd


async def test_two_requests_on_a_connection_are_judged_each_by_itself(rig: Rig) -> None:
    token = rig.token()
    denied = Sent(CALL.replace(b'"query"', b'"export"'), {"mcp-name": "export"}, id=1)
    last = replace(denied, lines=(("connection", "close"),))
    async with rig.target(answers(tool_text("reached"))) as target:
        sent = b"".join(raw(rig, each, token) for each in (denied, Sent(CALL), last))
        came = await asyncio.to_thread(until_ended, rig.gateway.port, sent)
        told = re.findall(rb"HTTP/1.1 (\d+)|(\"isError\": ?true)|(reached)", came)
        assert [next(filter(None, one)) for one in told] == [
            *(b"200", b'"isError":true'),
            *(b"200", b"reached"),
            *(b"200", b'"isError":true'),
        ]
        assert [received.body for received in target.received] == [CALL]
