"""The load generators know a whole and right answer from any other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.load import LoadFailed, Plan, generator, read_outcome
from tests.bench.sender import send
from tests.bench.wire import AnswerReader, BadAnswer, response_bytes
from tests.bench.wrk import lua, script

PLAN = Plan(port=1, path="/mcp", headers={"x": "y"}, body="{}", expected='{"a":1}', clients=2, seconds=0)


def chunked(*pieces: bytes) -> bytes:
    framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=4), st.booleans(), st.integers(1, 9))
def test_an_answer_is_whole_at_its_last_byte_and_not_before(pieces: list[bytes], length: bool, step: int) -> None:
    body = b"".join(pieces)
    data = response_bytes(body) if length else chunked(*pieces)
    reader = AnswerReader()
    whole = [reader.feed(data[at : at + step]) for at in range(0, len(data), step)]
    assert whole == [False] * (len(whole) - 1) + [True]
    assert (reader.status, reader.body) == (200, body)


@pytest.mark.parametrize("data", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n"])
def test_what_is_no_answer_with_a_length_is_refused(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        AnswerReader().feed(data)


@asynccontextmanager
async def serving(answer: bytes) -> AsyncIterator[int]:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(answer)
        if not answer:
            writer.close()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def test_right_answers_are_counted_and_timed() -> None:
    async with serving(response_bytes(b'{"a":1}')) as port:
        outcome = await send(replace(PLAN, port=port))
    assert (outcome.calls, outcome.wrong, outcome.problem) == (2, 0, "")
    assert outcome.latencies().total == 2


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (response_bytes(b'{"a":2}'), "the body is not the expected one"),
        (response_bytes(b'{"a":1}').replace(b"200", b"503"), "status 503"),
        (b"", "the connection was closed"),
        (b"nonsense\r\n\r\n", "no HTTP/1.1 status line"),
    ],
)
async def test_a_wrong_answer_is_counted_as_wrong_and_never_as_a_call(answer: bytes, problem: str) -> None:
    async with serving(answer) as port:
        outcome = await send(replace(PLAN, port=port))
    assert (outcome.calls, outcome.wrong, outcome.problem) == (0, 2, problem)


def test_a_lua_string_holds_any_text_and_cannot_be_left() -> None:
    assert lua('a"\\\n]]é%') == '"a\\034\\092\\010]]\\195\\169%"'


def test_the_script_for_wrk_says_what_the_plan_says() -> None:
    text = script(replace(PLAN, headers={"authorization": "Bearer x%s"}))
    for line in ('wrk.path = "/mcp"', 'wrk.headers["authorization"] = "Bearer x%s"', 'wrk.body = "{}"'):
        assert line in text


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"calls": 1}'])
def test_an_unreadable_outcome_is_a_failure_not_a_figure(text: str) -> None:
    with pytest.raises(LoadFailed):
        read_outcome(text)


def test_wrk_is_taken_when_it_is_there_and_never_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/somewhere/{name}")
    assert generator("auto").name == "wrk"
    assert generator("own").name != "wrk"
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert generator("auto").name == generator("own").name
    with pytest.raises(LoadFailed, match="wrk is not installed"):
        generator("wrk")
