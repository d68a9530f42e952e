"""HTTP/2 is turned into HTTP/1.1 towards targets: nothing in it becomes a second request, and floods end themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping

import pytest
from hyperframe.frame import ContinuationFrame, PingFrame, RstStreamFrame, SettingsFrame

from tests.fault.rig import TARGET, Rig, running_rig
from tests.fault.strict_rows import CALL, good
from tests.support.clients import MODERN
from tests.support.in_turn import InTurn
from tests.support.raw_http2 import Fields, Told, block, data, headers, spoken
from tests.support.targets import answers, tool_text

PATH = f"/{TARGET}/mcp"
Pairs = tuple[tuple[str, str], ...]


@pytest.fixture(scope="module")
def rig(in_turn: InTurn) -> Iterator[Rig]:
    with running_rig(started=in_turn.take) as running:
        yield running


def fields(rig: Rig, token: str, **pseudo: str) -> list[tuple[str, str]]:
    named = {"method": "POST", "scheme": "http", "authority": f"127.0.0.1:{rig.gateway.port}", "path": PATH, **pseudo}
    plain = {**good().headers(MODERN), "authorization": f"Bearer {token}"}
    return [*((f":{name}", value) for name, value in named.items()), *plain.items()]


async def sent(rig: Rig, frames: Iterable[bytes]) -> Told:
    return await asyncio.to_thread(spoken, rig.gateway.port, frames)


PSEUDO: Mapping[str, dict[str, str]] = {
    "a path with a request line": {"path": f"{PATH} HTTP/1.1"},
    "a path with a whole request": {"path": f"{PATH} HTTP/1.1\r\nhost: x\r\n\r\nPOST {PATH}"},
    "a path with a NUL": {"path": f"{PATH}\0"},
    "a path with a scheme": {"path": f"http://evil.test{PATH}"},
    "an empty path": {"path": ""},
    "a path that is a star": {"path": "*"},
    "a method with a path": {"method": f"POST {PATH} HTTP/1.1\r\nx:"},
    "an authority with a line": {"authority": "AUTHORITY\r\nx-a: b"},
    "an authority with a user": {"authority": "a@AUTHORITY"},
}
ADDED: Mapping[str, Pairs] = {
    "transfer-encoding": (("transfer-encoding", "chunked"),),
    "connection": (("connection", "close"),),
    "keep-alive": (("keep-alive", "1"),),
    "proxy-connection": (("proxy-connection", "1"),),
    "upgrade": (("upgrade", "h2c"),),
    "te": (("te", "gzip"),),
    "a name in capitals": (("Mcp-Session-Id", "a"),),
    "a name with a space": (("x a", "b"),),
    "a name with a colon": (("x:a", "b"),),
    "an empty name": (("", "b"),),
    "a name with a line": (("x-a: b\r\nx-b", "c"),),
    "a name with _": (("mcp_name", "export"),),
    "a value with lines": (("x-a", "b\r\ntransfer-encoding: chunked"),),
    "a value with a line feed": (("x-a", "b\nc"),),
    "a value with a carriage return": (("x-a", "b\rc"),),
    "a value with a NUL": (("x-a", "b\0c"),),
    "a second path": ((":path", "/x"),),
    "a second authority": ((":authority", "evil.test"),),
    "a status": ((":status", "200"),),
    "a protocol": ((":protocol", "websocket"),),
    "an unknown pseudo-header": ((":evil", "x"),),
    "a length that is too small": (("content-length", str(len(CALL) - 3)),),
    "a length that is too large": (("content-length", str(len(CALL) + 3)),),
    "two lengths": (("content-length", str(len(CALL))), ("content-length", "3")),
    "a length that is none": (("content-length", "+1"),),
    "too many": tuple((f"x-{number}", "a") for number in range(120)),
}


async def test_no_head_of_http2_becomes_more_than_one_request(rig: Rig) -> None:
    token = rig.token()
    usual = fields(rig, token)
    authority = f"127.0.0.1:{rig.gateway.port}"
    heads: dict[str, Fields] = {
        what: fields(rig, token, **{name: value.replace("AUTHORITY", authority) for name, value in pseudo.items()})
        for what, pseudo in PSEUDO.items()
    }
    heads |= {what: [*usual, *pairs] for what, pairs in ADDED.items()}
    # Before the others, where pseudo-headers may stand.
    heads |= {f"{what} first": [*ADDED[what], *usual] for what in ("a second path", "a second authority", "a protocol")}
    heads |= {f"no {name}": [pair for pair in usual if pair[0] != name] for name in (":method", ":path", ":scheme")}
    heads["no authority"] = [pair for pair in usual if pair[0] != ":authority"]
    async with rig.target(answers(tool_text("reached"))) as target:
        ends = await asyncio.gather(*(sent(rig, [headers(head), data(CALL)]) for head in heads.values()))
        assert [(what, told) for what, told in zip(heads, ends, strict=True) if not told.refused] == []
        assert bytes(target.raw) == b""
        told = await sent(rig, [headers(usual), data(CALL)])
        assert told.statuses[1] == [200]
        assert [received.body for received in target.received] == [CALL]


async def test_trailers_of_a_request_are_not_passed_on(rig: Rig) -> None:
    token = rig.token()
    async with rig.target(answers(tool_text("reached"))) as target:
        trailers = [("mcp-name", "export"), ("x-a", "b")]
        told = await sent(rig, [headers(fields(rig, token)), data(CALL, last=False), headers(trailers, last=True)])
        assert told.refused or told.statuses[1] == [200]
        for received in target.received:
            assert b"export" not in received.raw
            assert b"x-a" not in received.raw


async def test_the_authority_says_for_whom_it_is_and_no_host_beside_it(rig: Rig) -> None:
    token, own = rig.token(), f"127.0.0.1:{rig.gateway.port}"
    async with rig.target(answers(tool_text("reached"))) as target:
        for host in ("evil.test", own):
            told = await sent(rig, [headers([*fields(rig, token), ("host", host)]), data(CALL)])
            assert told.statuses[1] == [200]
        assert {received.header("host") for received in target.received} == {f"127.0.0.1:{rig.port}"}
        seen = len(target.received)
        told = await sent(rig, [headers([*fields(rig, token, authority="evil.test"), ("host", own)]), data(CALL)])
        assert told.statuses[1] == [421]
        assert len(target.received) == seen


FLOOD = 12_000


def floods(rig: Rig) -> dict[str, Iterable[bytes]]:
    authority = f"127.0.0.1:{rig.gateway.port}"
    # Nobody is asked about it: the flood is Envoy's alone.
    nowhere = [(":method", "GET"), (":scheme", "http"), (":authority", authority), (":path", "/nowhere")]
    continued = ContinuationFrame(1, block([("x-a", "b" * 100)])).serialize()
    return {
        "streams that are reset at once": (
            headers(nowhere, stream, last=True) + RstStreamFrame(stream, 8).serialize()
            for stream in range(1, 2 * FLOOD, 2)
        ),
        "a head that never ends": [headers(nowhere, flags=()), *([continued] * FLOOD)],
        "empty continuations": [headers(nowhere, flags=()), *([ContinuationFrame(1, b"").serialize()] * FLOOD)],
        "settings": [SettingsFrame(0, {4: 1000}).serialize() * FLOOD],
        "pings": [PingFrame(0, b"12345678").serialize() * FLOOD],
        "empty data": [headers([(":method", "POST"), *nowhere[1:]]), *([data(b"", last=False)] * FLOOD)],
    }


async def test_a_flood_of_frames_ends_its_connection_and_no_other(rig: Rig) -> None:
    token = rig.token()
    async with rig.target(answers(tool_text("reached"))):
        for what, frames in floods(rig).items():
            told = await asyncio.to_thread(spoken, rig.gateway.port, frames, 0)
            assert told.ended, what
            told = await sent(rig, [headers(fields(rig, token)), data(CALL)])
            assert told.statuses[1] == [200], f"after {what}"
