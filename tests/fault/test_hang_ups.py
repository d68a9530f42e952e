"""A caller that hangs up while the target still thinks: the target may have acted, so the record says how it ended."""

from __future__ import annotations

import asyncio

import h2.connection
import h2.errors
import pytest

from tests.fault.record import ANSWERS
from tests.fault.rig import Rig, eventually, new_marker, question
from tests.support.clients import LEGACY, MODERN, Rpc
from tests.support.targets import SSE_TYPE, Exchange, answers, never_answers, tool_text


@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_a_caller_that_hangs_up_is_on_the_record(rig: Rig, era: str) -> None:
    marker = new_marker()
    rpc: Rpc = question(marker)
    async with rig.target(never_answers()) as target, rig.caller() as caller:
        asking = asyncio.ensure_future(caller.post(rpc, era=era))
        await eventually(lambda: len(target.received) == 1)
        asking.cancel()
        await asyncio.wait({asking})

        async def told() -> bool:
            return len(rig.record.call(marker)) == 2

        await eventually(told, 5, "the end on the record")
    request, end = rig.record.call(marker)
    assert (request.kind, request.outcome) == ("request", "allow")
    assert (end.kind, end.status, end.session, end.method) == ("response", 0, request.session, "tools/call")
    assert "hung up" in end.reason


async def test_a_caller_that_resets_its_stream_is_on_the_record(rig: Rig) -> None:
    marker = new_marker()
    rpc: Rpc = question(marker)
    http2 = h2.connection.H2Connection()
    async with rig.target(never_answers()) as target:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.gateway.port)
        try:
            http2.initiate_connection()
            host = f"127.0.0.1:{rig.gateway.port}"
            head = {":method": "POST", ":scheme": "http", ":authority": host, ":path": f"/{rig.name}/mcp"}
            sent = {**head, **rpc.headers(MODERN), "authorization": f"Bearer {rig.token()}"}
            http2.send_headers(1, list(sent.items()))
            http2.send_data(1, rpc.body(MODERN), end_stream=True)
            writer.write(http2.data_to_send())
            await eventually(lambda: len(target.received) == 1)
            # The connection lives on, as that of a client with other calls under way.
            http2.reset_stream(1, h2.errors.ErrorCodes.CANCEL)
            writer.write(http2.data_to_send())
            await eventually(lambda: len(rig.record.call(marker)) == 2, 5, "the end on the record")
            assert not reader.at_eof()
        finally:
            writer.close()
    assert "hung up" in rig.record.call(marker)[-1].reason


async def test_a_caller_that_hangs_up_as_the_answer_begins_is_on_the_record_once(rig: Rig) -> None:
    """Before the answer's head, with it, or after it: Envoy may ask the masker about it, or not any more."""
    markers = []
    for moment in range(0, 2_400, 100):
        go = asyncio.Event()

        async def begins(exchange: Exchange, go: asyncio.Event = go) -> None:
            await go.wait()
            await exchange.head(content_type=SSE_TYPE)
            await exchange.reader.read()

        marker = new_marker()
        async with rig.target(begins) as target, rig.caller() as caller:
            asking = asyncio.ensure_future(caller.post(question(marker)))
            await eventually(lambda target=target: len(target.received) == 1)  # type: ignore[misc]  # bound at once
            go.set()
            for _ in range(moment):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait({asking})
            await eventually(lambda marker=marker: len(rig.record.call(marker)) > 1, 10)  # type: ignore[misc]
        markers.append(marker)
    for marker in markers:
        assert [row.kind in ANSWERS for row in rig.record.call(marker)] == [False, True]


async def test_a_listening_stream_that_never_began_is_on_the_record(rig: Rig) -> None:
    before = rig.record.size()
    async with rig.target(never_answers()) as target, rig.caller() as caller:
        headers = {"accept": "text/event-stream", "authorization": f"Bearer {caller.token}"}
        listening = asyncio.ensure_future(caller.http.get(rig.url, headers=headers))
        await eventually(lambda: len(target.received) == 1)
        listening.cancel()
        await asyncio.wait({listening})

        async def told() -> bool:
            return [row.kind for row in rig.record.rows(before)] == ["request", "response"]

        await eventually(told, 5, "the end on the record")
    assert "hung up" in rig.record.rows(before)[-1].reason


async def test_a_call_that_is_answered_has_no_second_end(rig: Rig) -> None:
    markers = [new_marker() for _ in range(30)]
    async with rig.target(answers(tool_text("fine"))), rig.caller() as caller:
        for marker in markers:
            assert (await caller.ask(marker)).status_code == 200
    for marker in markers:
        assert [(row.kind, row.reason) for row in rig.record.call(marker)] == [("request", ""), ("response", "")]
