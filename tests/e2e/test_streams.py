"""Streams: each event goes out when it came, masked and recorded, never held until the stream ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from countersign.api.recorder.v1 import event_pb2, session_pb2
from tests.e2e.conftest import World
from tests.support.auditors import session_service
from tests.support.clients import LEGACY, MODERN, call
from tests.support.targets import Steps, event, final_event, scripted_target, tool_text

WAIT_S = 10.0


def progress(text: str) -> bytes:
    message = {
        "jsonrpc": "2.0",
        "method": "notifications/progress",
        "params": {"progressToken": 1, "progress": 1, "message": text},
    }
    return event(message)


def sent_headers(world: World, era: str) -> dict[str, str]:
    return {**call("query").headers(era), "authorization": f"Bearer {world.token('alice', 'scripted')}"}


async def next_data(lines: AsyncIterator[str]) -> dict[str, object]:
    """The message of the next event, within bounds."""
    async with asyncio.timeout(WAIT_S):
        while True:
            line = await anext(lines)
            if line.startswith("data:"):
                decoded = json.loads(line[5:])
                assert isinstance(decoded, dict)
                return decoded


@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_an_event_is_out_before_the_next_one_exists(world: World, era: str) -> None:
    mail = "canary@" + "example.org"
    steps = Steps([progress(f"first {mail}"), progress(f"second {mail}"), final_event(tool_text(f"last {mail}"))])
    async with scripted_target(steps, port=world.scripted_port), httpx.AsyncClient(timeout=WAIT_S) as http:
        rpc = call("query")
        headers = sent_headers(world, era)
        steps.release()
        async with http.stream("POST", world.scripted, content=rpc.body(era), headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            for number, word in enumerate(("first", "second", "last"), start=1):
                message = json.dumps(await next_data(lines))
                assert word in message
                assert mail not in message
                assert "[EMAIL]" in message
                assert steps.sent == number, "what came later did not exist yet"
                steps.release()


async def test_bytes_that_arrive_in_the_middle_of_anything_make_whole_events(world: World) -> None:
    mail = "canary@" + "example.org"
    whole = progress(f"grüße {mail}") + b": a comment\n\n"
    pieces = [whole[at : at + 1] for at in range(len(whole))]
    steps = Steps([*pieces, final_event(tool_text("done"))])
    steps.release(len(pieces) + 1)
    async with scripted_target(steps, port=world.scripted_port), httpx.AsyncClient(timeout=WAIT_S) as http:
        rpc = call("query")
        headers = sent_headers(world, MODERN)
        answer = await http.post(world.scripted, content=rpc.body(MODERN), headers=headers)
    assert mail not in answer.text
    assert "grüße [EMAIL]" in json.loads(answer.text.split("data: ", 1)[1].split("\n", 1)[0])["params"]["message"]


async def test_each_event_of_a_stream_is_on_the_record_once(world: World) -> None:
    steps = Steps([progress("first"), progress("second"), final_event(tool_text("last"))])
    steps.release(3)
    async with scripted_target(steps, port=world.scripted_port), httpx.AsyncClient(timeout=WAIT_S) as http:
        rpc = call("query")
        headers = sent_headers(world, MODERN)
        await http.post(world.scripted, content=rpc.body(MODERN), headers=headers)
    async with session_service(world.gateway.url, world.auditor_token()) as sessions:
        query = session_pb2.SessionFilter(subject="alice", target="scripted")
        newest = (await sessions.list_sessions(query))[0]
        kinds = [recorded.event.kind for recorded in await sessions.replay(newest.session_id)]
    assert kinds == [
        event_pb2.EVENT_KIND_REQUEST,
        event_pb2.EVENT_KIND_STREAM_EVENT,
        event_pb2.EVENT_KIND_STREAM_EVENT,
        event_pb2.EVENT_KIND_STREAM_EVENT,
        event_pb2.EVENT_KIND_STREAM_END,
    ]
