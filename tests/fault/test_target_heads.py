"""A target's head that is no HTTP, or too much of it, becomes a 502; what stands behind an answer is nobody's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.fault.rig import Rig, rpc_error, running_rig
from tests.support.clients import messages
from tests.support.in_turn import InTurn
from tests.support.targets import JSON_TYPE, Exchange, Script, result, tool_text


@pytest.fixture(scope="module")
def rig(in_turn: InTurn) -> Iterator[Rig]:
    with running_rig(started=in_turn.take) as running:
        yield running


def headed(line: bytes, *lines: bytes, framed: bool = True, chunks: bytes = b"") -> Script:
    """Answer well, but for this status line and these lines; ``chunks`` stands in place of the body."""

    async def script(exchange: Exchange) -> None:
        body = result(exchange, tool_text("well done"))
        length = [b"content-length: %d" % len(body)] if framed else []
        head = [line, f"content-type: {JSON_TYPE}".encode(), *length, *lines, b"", b""]
        await exchange.write(b"\r\n".join(head) + (chunks or body))
        exchange.writer.close()

    return script


OK = b"HTTP/1.1 200 X"
CHUNKED = b"transfer-encoding: chunked"
BAD: Mapping[str, Script] = {
    "a status of two digits": headed(b"HTTP/1.1 99 X"),
    "a status of four digits": headed(b"HTTP/1.1 2000 X"),
    "a status that is none": headed(b"HTTP/1.1 OK X"),
    "a negative status": headed(b"HTTP/1.1 -200 X"),
    "no version": headed(b"200 X"),
    "another protocol": headed(b"ICY 200 X"),
    "too large a header": headed(OK, b"x-a: " + b"a" * 70_000),
    "too many headers": headed(OK, *(b"x-%d: a" % number for number in range(150))),
    "a line without a colon": headed(OK, b"x-a"),
    "white space in a name": headed(OK, b"x a: b"),
    "an empty name": headed(OK, b": b"),
    "a NUL": headed(OK, b"x-a: b\0c"),
    "two lengths": headed(OK, b"content-length: 1"),
    "a length that is none": headed(OK, b"content-length: +5", framed=False),
    "an unknown coding": headed(OK, b"transfer-encoding: gzip, chunked", framed=False, chunks=b"0\r\n\r\n"),
    "chunks of no size": headed(OK, CHUNKED, framed=False, chunks=b"xyz\r\n{}\r\n0\r\n\r\n"),
    "chunks that are longer than they say": headed(OK, CHUNKED, framed=False, chunks=b"1\r\n{}\r\n0\r\n\r\n"),
}


async def test_a_head_that_is_no_http_is_withheld(rig: Rig) -> None:
    got: dict[str, tuple[int, int]] = {}
    async with rig.target(headed(OK)) as target, rig.caller() as caller:
        for what, script in BAD.items():
            target.script = script
            answer = await caller.ask()
            got[what] = (answer.status_code, rpc_error(answer))
            assert "well done" not in answer.text, what
    assert got == dict.fromkeys(BAD, (502, 5020))


async def test_what_a_target_says_beforehand_is_not_passed_on(rig: Rig) -> None:
    canary = rig.canary()

    async def script(exchange: Exchange) -> None:
        for status in (100, 102, 103, 103, 199):
            await exchange.write(f"HTTP/1.1 {status} X\r\nlink: <{canary}>\r\nx-a: {canary}\r\n\r\n".encode())
        await headed(OK)(exchange)

    async with rig.target(script), rig.caller() as caller:
        answer = await caller.ask()
        assert answer.status_code == 200
        assert "well done" in answer.text
        assert canary not in answer.text + str(answer.headers)


async def test_a_second_answer_behind_the_first_answers_nobody_who_calls_later(rig: Rig) -> None:
    """Else whoever calls next over the connection to the target would get what was said to another.

    Whose call is on that connection already cannot be told from who is answered twice: see SECURITY.md.
    """

    async def twice(exchange: Exchange) -> None:
        for text in ("well done", "poison"):
            body = result(exchange, tool_text(text))
            head = f"HTTP/1.1 200 X\r\ncontent-type: {JSON_TYPE}\r\ncontent-length: {len(body)}\r\n\r\n"
            exchange.writer.write(head.encode() + body)
        await exchange.writer.drain()

    async with rig.target(twice), rig.caller() as caller:
        for _ in range(5):
            [told] = messages(await caller.ask())
            assert "well done" in str(told)
