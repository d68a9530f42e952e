"""What is told of pins is complete and fresh, or nothing is concluded from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import grpc
import pytest

from countersign.api.access.v1 import tools_pb2, tools_pb2_grpc
from countersign.runtime.pins import STALE_S, NotObserved, Observed, Page, PinnedTools, PinState
from tests.support.recorders import until

ACCEPTED, NEW, CHANGED = (
    tools_pb2.TOOL_STATE_ACCEPTED,
    tools_pb2.TOOL_STATE_NEW,
    tools_pb2.TOOL_STATE_CHANGED,
)
DIGEST = b"d" * 32
PAGE = Page((Observed("query", DIGEST, "{}"),), ends=True)


def told(
    *tools: tuple[str, tools_pb2.ToolState.ValueType], whole: bool = True, open_until_us: int = 0
) -> tools_pb2.WatchToolsResponse:
    """A message about tools of ``shop``."""
    return tools_pb2.WatchToolsResponse(
        targets=[tools_pb2.ListedTarget(target="shop", open_until_us=open_until_us)],
        tools=[tools_pb2.ToolPin(target="shop", name=name, state=state, seen_digest=DIGEST) for name, state in tools],
        whole=whole,
    )


@dataclass
class Scripted(tools_pb2_grpc.ToolPinServiceServicer):
    """A recorder that tells what a test puts in; ``None`` breaks the stream."""

    messages: asyncio.Queue[tools_pb2.WatchToolsResponse | None] = field(default_factory=asyncio.Queue)
    streams: int = 0
    status: grpc.StatusCode | None = None
    answered: list[tools_pb2.ToolPin] = field(default_factory=list)
    definition: str = "{}"
    described: int = 0

    async def WatchTools(
        self, _request: tools_pb2.WatchToolsRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> AsyncIterator[tools_pb2.WatchToolsResponse]:
        self.streams += 1
        while (message := await self.messages.get()) is not None:
            yield message
        await context.abort(grpc.StatusCode.UNAVAILABLE, "away")

    async def ObserveTools(
        self, _request: tools_pb2.ObserveToolsRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> tools_pb2.ObserveToolsResponse:
        if self.status is not None:
            await context.abort(self.status, "no")
        return tools_pb2.ObserveToolsResponse(tools=self.answered)

    async def DescribeTool(
        self, _request: tools_pb2.DescribeToolRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> tools_pb2.DescribeToolResponse:
        self.described += 1
        if self.status is not None:
            await context.abort(self.status, "no")
        return tools_pb2.DescribeToolResponse(accepted_digest=DIGEST, definition=self.definition)


@dataclass
class World:
    """A recorder that is scripted, pins that follow it, and their clocks."""

    recorder: Scripted
    pins: PinnedTools
    now_s: float = 0.0
    changed: list[frozenset[str]] = field(default_factory=list)

    async def tell(self, message: tools_pb2.WatchToolsResponse) -> None:
        """Tell, and wait until it was heard."""
        heard = len(self.changed)
        self.recorder.messages.put_nowait(message)
        await until(lambda: len(self.changed) > heard)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    recorder = Scripted()
    server = grpc.aio.server()
    tools_pb2_grpc.add_ToolPinServiceServicer_to_server(recorder, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    pins = PinnedTools(f"127.0.0.1:{port}", clock_us=lambda: int(made.now_s * 1e6), monotonic=lambda: made.now_s)
    made = World(recorder, pins)
    pins.on_change(made.changed.append)
    await pins.start()
    try:
        yield made
    finally:
        await pins.close()
        await server.stop(None)


async def test_nothing_is_known_before_all_was_told(world: World) -> None:
    assert world.pins.state("shop", "query") is PinState.UNKNOWN
    world.recorder.messages.put_nowait(told(("query", ACCEPTED), whole=False))
    await world.tell(told(("export", NEW), ("list", CHANGED)))
    states = {name: world.pins.state("shop", name) for name in ("query", "export", "list", "other")}
    assert states == {
        "query": PinState.ACCEPTED,
        "export": PinState.NEW,
        "list": PinState.CHANGED,
        "other": PinState.UNLISTED,
    }
    assert world.pins.state("elsewhere", "query") is PinState.UNSEEN_TARGET
    assert world.pins.offered("shop") == frozenset({"query", "export", "list"})
    assert world.pins.offered("elsewhere") is None


async def test_a_first_listing_that_goes_on_decides_nothing_about_other_tools(world: World) -> None:
    await world.tell(told(("query", ACCEPTED), ("export", NEW), open_until_us=5_000_000))
    assert world.pins.state("shop", "other") is PinState.UNSEEN_TARGET
    assert world.pins.state("shop", "export") is PinState.NEW
    assert world.pins.offered("shop") is None
    world.now_s = 5.0
    assert world.pins.state("shop", "other") is PinState.UNLISTED


async def test_a_tool_that_is_forgotten_is_none_that_the_target_lists(world: World) -> None:
    forgotten = tools_pb2.TOOL_STATE_FORGOTTEN
    await world.tell(told(("query", ACCEPTED), ("list", ACCEPTED)))
    await world.tell(told(("query", forgotten), ("never", forgotten)))
    assert world.pins.state("shop", "query") is PinState.UNLISTED
    assert world.pins.pin("shop", "query") is None
    assert world.pins.offered("shop") == frozenset({"list"})
    await world.tell(told(("query", forgotten), ("query", NEW)))
    assert world.pins.state("shop", "query") is PinState.NEW


async def test_silence_makes_everything_unknown(world: World) -> None:
    await world.tell(told(("query", ACCEPTED)))
    world.now_s = STALE_S
    assert world.pins.state("shop", "query") is PinState.ACCEPTED
    world.now_s = STALE_S + 0.1
    assert world.pins.state("shop", "query") is PinState.UNKNOWN
    assert world.pins.state("elsewhere", "query") is PinState.UNKNOWN
    assert world.pins.pin("shop", "query") is None
    assert world.pins.offered("shop") is None
    assert world.pins.is_open("shop")
    world.recorder.messages.put_nowait(tools_pb2.WatchToolsResponse(whole=True))
    await until(lambda: world.pins.state("shop", "query") is PinState.ACCEPTED)


async def test_after_a_break_what_is_told_anew_replaces_what_was_known_all_at_once(world: World) -> None:
    await world.tell(told(("query", ACCEPTED), ("old", ACCEPTED)))
    world.recorder.messages.put_nowait(None)
    await until(lambda: world.recorder.streams == 2)
    assert world.pins.state("shop", "old") is PinState.ACCEPTED
    world.recorder.messages.put_nowait(told(("query", CHANGED), whole=False))
    await world.tell(told(("new", NEW)))
    assert world.pins.state("shop", "query") is PinState.CHANGED
    assert world.pins.state("shop", "old") is PinState.UNLISTED


async def test_a_state_that_a_newer_recorder_knows_lets_nothing_pass(world: World) -> None:
    await world.tell(told(("query", tools_pb2.ToolState.ValueType(77))))
    assert world.pins.state("shop", "query") is PinState.NEW


async def test_a_follower_that_fails_keeps_nobody_else_from_being_told(world: World) -> None:
    def fail(_: frozenset[str]) -> None:
        raise ZeroDivisionError

    world.pins.on_change(fail)
    await world.tell(told(("query", ACCEPTED)))
    await world.tell(told(("query", CHANGED)))
    assert world.changed[-1] == {"shop"}


@pytest.mark.parametrize("status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INVALID_ARGUMENT])
async def test_what_the_recorder_refuses_was_not_observed(world: World, status: grpc.StatusCode) -> None:
    world.recorder.status = status
    with pytest.raises(NotObserved, match=status.name):
        await world.pins.observe("shop", PAGE, allow_new=False)


@pytest.mark.parametrize("names", [[], ["other"], ["query", "query"]])
async def test_an_answer_about_other_tools_is_none(world: World, names: list[str]) -> None:
    world.recorder.answered = [tools_pb2.ToolPin(name=name, state=ACCEPTED) for name in names]
    with pytest.raises(NotObserved):
        await world.pins.observe("shop", PAGE, allow_new=False)


def accepted(digest: bytes) -> tools_pb2.WatchToolsResponse:
    """What is told of a tool that was accepted with this digest."""
    message = told(("query", ACCEPTED))
    message.tools[0].accepted_digest = digest
    return message


async def test_an_output_schema_is_asked_for_once_and_anew_when_another_is_accepted(world: World) -> None:
    world.recorder.definition = '{"name":"query","outputSchema":{"type":"object"}}'
    await world.tell(accepted(DIGEST))
    for _ in range(2):
        assert await world.pins.output_schema("shop", "query") == {"type": "object"}
    assert world.recorder.described == 1
    await world.tell(accepted(bytes(32)))
    # The recorder speaks of another definition than the one that was told to be accepted.
    assert await world.pins.output_schema("shop", "query") is None
    assert world.recorder.described == 2


async def test_a_recorder_that_does_not_say_is_asked_again(world: World) -> None:
    await world.tell(accepted(DIGEST))
    world.recorder.status = grpc.StatusCode.UNAVAILABLE
    assert await world.pins.output_schema("shop", "query") is None
    world.recorder.status = None
    world.recorder.definition = '{"outputSchema":true}'
    assert await world.pins.output_schema("shop", "query") is True


@pytest.mark.parametrize("definition", ["[]", "{", "{}", '{"x":"' + "x" * 300_000 + '","outputSchema":{}}'])
async def test_what_is_no_definition_or_too_long_declares_nothing(world: World, definition: str) -> None:
    world.recorder.definition = definition
    await world.tell(accepted(DIGEST))
    assert await world.pins.output_schema("shop", "query") is None


@pytest.mark.parametrize(
    ("annotations", "state", "may"),
    [
        ('{"readOnlyHint":true}', ACCEPTED, True),
        ('{"idempotentHint":true}', ACCEPTED, True),
        ('{"readOnlyHint":true}', CHANGED, False),
        ('{"readOnlyHint":true}', NEW, False),
        ('{"readOnlyHint":false,"idempotentHint":false}', ACCEPTED, False),
        ('{"readOnlyHint":"true","idempotentHint":1}', ACCEPTED, False),
        ("[true]", ACCEPTED, False),
        ("null", ACCEPTED, False),
    ],
)
async def test_a_tool_may_be_called_twice_only_as_its_accepted_definition_says(
    world: World, annotations: str, state: tools_pb2.ToolState.ValueType, may: bool
) -> None:
    world.recorder.definition = f'{{"name":"query","readOnlyHint":true,"annotations":{annotations}}}'
    message = told(("query", state))
    message.tools[0].accepted_digest = DIGEST
    await world.tell(message)
    assert await world.pins.repeatable("shop", "query") is may
    assert await world.pins.repeatable("shop", "unknown") is False
    assert await world.pins.repeatable("elsewhere", "query") is False


async def test_of_many_long_definitions_only_the_last_are_remembered(world: World) -> None:
    names = [f"tool {number}" for number in range(50)]
    world.recorder.definition = '{"outputSchema":true,"x":"' + "x" * 200_000 + '"}'
    message = told(*((name, ACCEPTED) for name in names))
    for tool in message.tools:
        tool.accepted_digest = DIGEST
    await world.tell(message)
    for name in names:
        assert await world.pins.output_schema("shop", name) is True
    assert await world.pins.output_schema("shop", names[-1]) is True
    assert world.recorder.described == len(names)
    assert await world.pins.output_schema("shop", names[0]) is True
    assert world.recorder.described == len(names) + 1


async def test_closed_pins_know_and_observe_nothing(world: World) -> None:
    await world.tell(told(("query", ACCEPTED)))
    await world.pins.close()
    assert world.pins.state("shop", "query") is PinState.UNKNOWN
    with pytest.raises(NotObserved):
        await world.pins.observe("shop", PAGE, allow_new=False)
