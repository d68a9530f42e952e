"""An event stream is released event by event; at the first that cannot be masked it is cut, and the record says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.fault.conftest import SMALL
from tests.fault.record import Row
from tests.fault.rig import Caller, Rig, eventually, new_marker, question
from tests.support.targets import SSE_TYPE, Exchange, Steps, event, final_event, tool_text

EVENT_BYTES = SMALL["sse_event_bytes"]


def note(text: str) -> dict[str, object]:
    return {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": text}}


class Reader:
    """What came of a stream so far, read as it comes."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self.got = bytearray()
        self._reading = asyncio.ensure_future(self._read(pieces))

    async def _read(self, pieces: AsyncIterator[bytes]) -> None:
        async for piece in pieces:
            self.got.extend(piece)

    async def until(self, text: bytes, count: int = 1) -> None:
        await eventually(lambda: self.got.count(text) >= count, 5, "an event at the caller")

    async def ended(self) -> None:
        """Return when the stream ended as it should; raises ``httpx.TransportError`` when it was cut."""
        async with asyncio.timeout(10):
            await self._reading

    async def leave(self) -> None:
        self._reading.cancel()
        await asyncio.wait({self._reading})


@asynccontextmanager
async def listening(caller: Caller, marker: str) -> AsyncIterator[Reader]:
    async with caller.stream(question(marker)) as answer:
        assert answer.status_code == 200
        reader = Reader(answer.aiter_bytes())
        try:
            yield reader
        finally:
            await reader.leave()


async def end_of(rig: Rig, marker: str) -> Row:
    """The end of the stream on the record."""

    async def ended() -> bool:
        return any(row.kind == "stream_end" for row in rig.record.call(marker))

    await eventually(ended, 5, "the end of the stream on the record")
    [end] = [row for row in rig.record.call(marker) if row.kind == "stream_end"]
    return end


BAD: dict[str, Callable[[str], bytes]] = {
    "not JSON": lambda canary: f"data: {canary}\n\n".encode(),
    "half a JSON text": lambda canary: event(note(canary)).replace(b"}}", b"}"),
    "two JSON texts": lambda canary: event(note(canary)).replace(b"\n\n", b"\ndata: {}\n\n"),
    "a repeated key": lambda canary: b'data: {"jsonrpc":"2.0","method":"x","method":"' + canary.encode() + b'"}\n\n',
    "another id": lambda canary: b'data: {"jsonrpc":"2.0","id":7,"result":{"a":"' + canary.encode() + b'"}}\n\n',
    "no JSON-RPC": lambda canary: b'data: {"a":"' + canary.encode() + b'"}\n\n',
    "a value in a comment": lambda canary: f": {canary}\n\n".encode(),
    "a value in an unknown line": lambda canary: f"{canary}: x\n\n".encode(),
    "not UTF-8": lambda canary: event(note(canary)).replace(b"info", b"in\xff\xfe"),
    "deep nesting": lambda canary: (
        b'data: {"jsonrpc":"2.0","method":"notifications/x","params":'
        + b'{"a":' * 200
        + b'"'
        + canary.encode()
        + b'"'
        + b"}" * 200
        + b"}\n\n"
    ),
    "an event without end": lambda canary: f"data: {canary}\n".encode() * (EVENT_BYTES // 20),
    "a line without end": lambda canary: b"data: " + canary.encode() * (EVENT_BYTES // 20),
    "an end in mid-event": lambda canary: event(note(canary))[:-2],
}


@pytest.mark.parametrize("how", BAD)
async def test_a_stream_is_cut_before_what_cannot_be_masked(rig: Rig, how: str) -> None:
    canary, marker = rig.canary(), new_marker()
    steps = Steps([event(note(f"first {canary}")), BAD[how](canary)])
    async with rig.target(steps), rig.caller() as caller, listening(caller, marker) as reader:
        steps.release()
        await reader.until(b"first [EMAIL]")
        steps.release()
        with pytest.raises(httpx.TransportError):
            await reader.ended()
        assert canary.encode() not in reader.got
        assert reader.got.count(b"data:") == 1
    end = await end_of(rig, marker)
    assert end.reason
    assert [row.kind for row in rig.record.call(marker)] == ["request", "stream_event", "stream_end"]


async def test_names_and_ids_of_events_carry_nothing_out(rig: Rig) -> None:
    canary, marker = rig.canary(), new_marker()
    named = event(note("odd")).replace(b"event: message", f"event: {canary}".encode())
    steps = Steps([event(note("first"), "7"), named, event(note("second"), canary), final_event(tool_text("said"))])
    async with rig.target(steps), rig.caller() as caller, listening(caller, marker) as reader:
        for _ in range(4):
            steps.release()
        await reader.ended()
    assert canary.encode() not in reader.got
    assert b"odd" not in reader.got
    assert (reader.got.count(b"id: "), reader.got.count(b"data:")) == (1, 3)
    first, odd, second, _ = [row for row in rig.record.call(marker) if row.kind == "stream_event"]
    assert '"other_lines":"id: 7"' in first.text
    assert (odd.body, odd.reason) == ("", "an event of a name that MCP does not have: withheld")
    assert '"place":"id"' in second.text
    assert "other_lines" not in odd.text + second.text


async def test_events_are_released_one_by_one(rig: Rig) -> None:
    canary, marker = rig.canary(), new_marker()
    steps = Steps([event(note(f"number {n} {canary}"), str(n)) for n in range(4)] + [final_event(tool_text(canary))])
    async with rig.target(steps), rig.caller() as caller, listening(caller, marker) as reader:
        for number in range(4):
            steps.release()
            await reader.until(f"number {number} [EMAIL]".encode())
            kinds = [row.kind for row in rig.record.call(marker)]
            assert kinds == ["request", *["stream_event"] * (number + 1)], "recorded before it is released"
        steps.release()
        await reader.ended()
        assert canary.encode() not in reader.got
    assert (await end_of(rig, marker)).reason == ""


async def test_a_stream_that_breaks_off_keeps_what_was_released(rig: Rig) -> None:
    canary, marker = rig.canary(), new_marker()
    go = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.head(content_type=SSE_TYPE)
        await exchange.body(event(note(f"first {canary}")))
        await go.wait()
        await exchange.body(event(note(canary))[:-5])
        exchange.reset()

    async with rig.target(script), rig.caller() as caller, listening(caller, marker) as reader:
        await reader.until(b"first [EMAIL]")
        go.set()
        with pytest.raises(httpx.TransportError):
            await reader.ended()
        assert canary.encode() not in reader.got
    assert "broke off" in (await end_of(rig, marker)).reason


async def test_a_stream_that_falls_silent_is_cut_and_recorded(rig: Rig) -> None:
    marker = new_marker()
    steps = Steps([event(note("first")), event(note("never"))])
    async with rig.target(steps), rig.caller() as caller, listening(caller, marker) as reader:
        steps.release()
        await reader.until(b"first")
        with pytest.raises(httpx.TransportError):
            await reader.ended()
    assert (await end_of(rig, marker)).reason == "the target was silent for too long"


async def test_a_caller_that_leaves_a_stream_is_recorded(rig: Rig) -> None:
    marker = new_marker()
    steps = Steps([event(note("first")), event(note("never"))])
    async with rig.target(steps) as target:
        async with rig.caller() as caller, listening(caller, marker) as reader:
            steps.release()
            await reader.until(b"first")
        end = await end_of(rig, marker)
        assert "broke off" in end.reason
        assert len(target.received) == 1


async def test_a_listening_stream_of_the_legacy_era_is_masked_recorded_and_cut_alike(rig: Rig) -> None:
    canary = rig.canary()
    before = rig.record.size()
    steps = Steps([event(note(f"first {canary}"), "1"), event(note("never"), "2")])
    headers = {"accept": "text/event-stream", "mcp-protocol-version": "2025-11-25"}
    async with rig.target(steps), rig.caller() as caller:
        headers["authorization"] = f"Bearer {caller.token}"
        async with caller.http.stream("GET", rig.url, headers=headers) as answer:
            assert answer.status_code == 200
            reader = Reader(answer.aiter_bytes())
            steps.release()
            await reader.until(b"first [EMAIL]")
            assert canary.encode() not in reader.got
            await reader.leave()

        async def ended() -> bool:
            return [row.kind for row in rig.record.rows(before)] == ["request", "stream_event", "stream_end"]

        await eventually(ended, 5, "the end on the record")
    request, _, end = rig.record.rows(before)
    assert request.method == end.method == "GET"
    assert "broke off" in end.reason
