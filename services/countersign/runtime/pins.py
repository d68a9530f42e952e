"""What targets were accepted to offer, as the recorder tells it: followed all the time, asked without waiting."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

import grpc

from countersign.api.access.v1 import tools_pb2, tools_pb2_grpc
from countersign.jsontext import JsonRefused, JsonValue, Number, parse
from countersign.pins import Flag
from countersign.runtime.channels import channel_options
from countersign.runtime.moments import now_us
from countersign.runtime.trust import SERVICE_HEADER

log = logging.getLogger(__name__)

STALE_S = 10.0
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 1.0
DESCRIBE_TIMEOUT_S = 2.0
OBSERVE_TIMEOUT_S = 10.0
"""To record ten thousand tools at first sight takes seconds."""

# Whoever declares more than that keeps its word without our help.
_LONGEST_DESCRIBED = 262_144
_MOST_DESCRIBED = 8 * 1024 * 1024
_CHANNEL_OPTIONS = channel_options(sends_mib=80, receives_mib=80)


class PinState(StrEnum):
    """How a tool stands that somebody calls."""

    ACCEPTED = "accepted"
    """Offered as it was accepted."""
    NEW = "new"
    """Offered, and never accepted."""
    CHANGED = "changed"
    """Offered otherwise than it was accepted."""
    HIDDEN = "hidden"
    """New or changed, and something in it is hidden: nobody but an operator can accept it, whatever the target may."""
    UNLISTED = "unlisted"
    """Never offered by a target whose tools are known."""
    UNSEEN_TARGET = "unseen_target"
    """The target's tools are not known yet, or its first listing still goes on: the rules alone decide."""
    UNKNOWN = "unknown"
    """Nothing fresh is known at all: nobody may conclude anything."""


@dataclass(frozen=True, slots=True)
class Pin:
    """What is known of one tool; digests are SHA-256, ``accepted`` is empty when it never was."""

    state: PinState
    seen: bytes
    accepted: bytes


@dataclass(frozen=True, slots=True)
class Observed:
    """One tool as a target lists it: ``definition`` is canonical JSON, masked; ``digest`` that of the unmasked one."""

    name: str
    digest: bytes
    definition: str
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a target's listing, each name once; ``ends`` when no other follows it."""

    tools: tuple[Observed, ...]
    ends: bool


class NotObserved(Exception):
    """The page is not known to be recorded, so nobody may see it. The message is safe to show."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What an accepted tool says of itself."""

    output_schema: JsonValue = None
    description: str = ""
    repeatable: bool = False


@dataclass(slots=True)
class _Known:
    """A target: when its first listing is over (microseconds since the epoch; 0 when it is), and its tools."""

    open_until_us: int = 0
    tools: dict[str, Pin] = field(default_factory=dict)


class PinnedTools:
    """Follows the pins. ``state`` and the like answer at once from what was told last.

    What is told is complete and at most ``STALE_S`` old, or everything is ``UNKNOWN``. ``on_change`` callbacks hear
    the names of targets about which something was told.
    """

    def __init__(
        self,
        address: str,
        *,
        service_token: str = "",
        clock_us: Callable[[], int] = now_us,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._metadata = ((SERVICE_HEADER, service_token),) if service_token else ()
        self._clock_us = clock_us
        self._monotonic = monotonic
        self._targets: dict[str, _Known] = {}
        self._told_s: float | None = None
        # Of tools as they were accepted; with the length of their definitions.
        self._said: OrderedDict[tuple[str, str, bytes], tuple[int, _Said]] = OrderedDict()
        self._callbacks: list[Callable[[frozenset[str]], None]] = []
        self._channel: grpc.aio.Channel | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow, in the background."""
        self._channel = grpc.aio.insecure_channel(self._address, options=_CHANNEL_OPTIONS)
        self._task = asyncio.ensure_future(self._follow(self._channel))

    async def close(self) -> None:
        """Stop; from now on everything is ``UNKNOWN``."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._channel is not None:
            await self._channel.close()
        self._channel, self._told_s = None, None

    def on_change(self, callback: Callable[[frozenset[str]], None]) -> None:
        """Call ``callback`` with the names of targets whenever something changed about their tools."""
        self._callbacks.append(callback)

    @property
    def fresh(self) -> bool:
        """Whether what is known is at most ``STALE_S`` old."""
        return self._told_s is not None and self._monotonic() - self._told_s <= STALE_S

    def state(self, target: str, tool: str) -> PinState:
        """Say how a tool stands now."""
        if not self.fresh:
            return PinState.UNKNOWN
        known = self._targets.get(target)
        if known is None:
            return PinState.UNSEEN_TARGET
        pin = known.tools.get(tool)
        if pin is not None:
            return pin.state
        return PinState.UNSEEN_TARGET if self._clock_us() < known.open_until_us else PinState.UNLISTED

    def offered(self, target: str) -> frozenset[str] | None:
        """Return the names that a target offers, accepted or not; ``None`` when that is not known in full."""
        known = self._targets.get(target) if self.fresh else None
        if known is None or self._clock_us() < known.open_until_us:
            return None
        return frozenset(known.tools)

    def pin(self, target: str, tool: str) -> Pin | None:
        """Return what is freshly known of a tool."""
        known = self._targets.get(target) if self.fresh else None
        return None if known is None else known.tools.get(tool)

    def is_open(self, target: str) -> bool:
        """Whether the next page of a target still belongs to its first listing, or that cannot be told."""
        known = self._targets.get(target) if self.fresh else None
        return known is None or self._clock_us() < known.open_until_us

    async def observe(self, target: str, page: Page, *, allow_new: bool) -> Sequence[Pin]:
        """Have a page recorded; return how each of its tools stands, in order, once that is durable.

        ``allow_new`` says that the target may offer new and changed tools without being asked. Raises ``NotObserved``.
        """
        if self._channel is None:
            raise NotObserved("the gateway is stopping")
        request = tools_pb2.ObserveToolsRequest(
            target=target, tools=map(_to_message, page.tools), ends=page.ends, allow_new=allow_new
        )
        stub = tools_pb2_grpc.ToolPinServiceStub(self._channel)
        try:
            answer = await stub.ObserveTools(request, metadata=self._metadata, timeout=OBSERVE_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise NotObserved(f"the target's tools could not be recorded ({error.code().name})") from None
        if [pin.name for pin in answer.tools] != [tool.name for tool in page.tools]:
            raise NotObserved("the recorder answered about other tools")
        return tuple(map(_to_pin, answer.tools))

    async def output_schema(self, target: str, tool: str) -> JsonValue:
        """Return what an accepted tool declares of its structured output; ``None`` when nothing is known of that."""
        return (await self._accepted(target, tool)).output_schema

    async def description(self, target: str, tool: str) -> str:
        """Return what an accepted tool says that it does, masked; empty when nothing is known of that."""
        return (await self._accepted(target, tool)).description

    async def repeatable(self, target: str, tool: str) -> bool:
        """Say whether a tool, offered as it was accepted, says that it reads only or may as well be called twice.

        (MCP, schema, ``ToolAnnotations``.) False when nothing is known of that.
        """
        pin = self.pin(target, tool)
        if pin is None or pin.state is not PinState.ACCEPTED:
            return False
        return (await self._accepted(target, tool)).repeatable

    async def _accepted(self, target: str, tool: str) -> _Said:
        pin = self.pin(target, tool)
        if pin is None or not pin.accepted or self._channel is None:
            return _Said()
        key = (target, tool, pin.accepted)
        if key not in self._said:
            request = tools_pb2.DescribeToolRequest(target=target, name=tool)
            stub = tools_pb2_grpc.ToolPinServiceStub(self._channel)
            try:
                told = await stub.DescribeTool(request, metadata=self._metadata, timeout=DESCRIBE_TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                log.warning("an accepted tool could not be asked for: %s", error.code().name)
                return _Said()
            if told.accepted_digest != pin.accepted:
                return _Said()
            self._said[key] = len(told.definition), _said_in(told.definition)
            while len(self._said) > 1 and sum(size for size, _ in self._said.values()) > _MOST_DESCRIBED:
                self._said.popitem(last=False)
        return self._said[key][1]

    async def _follow(self, channel: grpc.aio.Channel) -> None:
        wait_s = FIRST_WAIT_S
        stub = tools_pb2_grpc.ToolPinServiceStub(channel)
        while True:
            told = self._told_s
            stream = stub.WatchTools(tools_pb2.WatchToolsRequest(), wait_for_ready=True, metadata=self._metadata)
            try:
                await self._listen(stream)
            except grpc.aio.AioRpcError as error:
                log.warning("the stream of the targets' tools broke: %s", error.code().name)
            finally:
                stream.cancel()
            wait_s = FIRST_WAIT_S if self._told_s != told else min(wait_s * 2, LONGEST_WAIT_S)
            await asyncio.sleep(wait_s)

    async def _listen(
        self, stream: grpc.aio.UnaryStreamCall[tools_pb2.WatchToolsRequest, tools_pb2.WatchToolsResponse]
    ) -> None:
        """Take in a stream; until all was told once, what an earlier stream told stays in force while it is fresh."""
        targets: dict[str, _Known] = {}
        while True:
            try:
                # A recorder that fell silent without closing the connection must not be waited for.
                async with asyncio.timeout(STALE_S):
                    told = await stream.read()
            except TimeoutError:
                log.warning("the recorder tells nothing of the targets' tools")
                return
            if not isinstance(told, tools_pb2.WatchToolsResponse):
                return
            changed = _take_in(targets, told)
            if told.whole:
                if self._targets is not targets:
                    changed |= self._targets.keys() | targets.keys()
                self._targets = targets
                self._told_s = self._monotonic()
                self._tell(changed)

    def _tell(self, changed: set[str]) -> None:
        if not changed:
            return
        for callback in self._callbacks:
            try:
                callback(frozenset(changed))
            except Exception as error:
                # Its message may quote what a target says of its tools.
                log.error("what follows the targets' tools failed: %s", type(error).__name__)  # noqa: TRY400


def _said_in(definition: str) -> _Said:
    if len(definition) > _LONGEST_DESCRIBED:
        return _Said()
    try:
        root = parse(definition).root
    except JsonRefused:
        return _Said()
    members = root if isinstance(root, dict) else {}
    description = members.get("description")
    is_text = isinstance(description, str) and not isinstance(description, Number)
    hints = members.get("annotations")
    hinted = isinstance(hints, dict) and (hints.get("readOnlyHint") is True or hints.get("idempotentHint") is True)
    return _Said(members.get("outputSchema"), str(description) if is_text else "", hinted)


def _take_in(targets: dict[str, _Known], told: tools_pb2.WatchToolsResponse) -> set[str]:
    changed: set[str] = set()
    for target in told.targets:
        targets.setdefault(target.target, _Known()).open_until_us = target.open_until_us
        changed.add(target.target)
    for tool in told.tools:
        tools = targets.setdefault(tool.target, _Known()).tools
        if tool.state == tools_pb2.TOOL_STATE_FORGOTTEN:
            tools.pop(tool.name, None)
        else:
            tools[tool.name] = _to_pin(tool)
        changed.add(tool.target)
    return changed


_STATES = {
    tools_pb2.TOOL_STATE_ACCEPTED: PinState.ACCEPTED,
    tools_pb2.TOOL_STATE_NEW: PinState.NEW,
    tools_pb2.TOOL_STATE_CHANGED: PinState.CHANGED,
}


def _to_pin(message: tools_pb2.ToolPin) -> Pin:
    # A state that a newer recorder may tell is none that lets a call pass.
    state = _STATES.get(message.state, PinState.NEW)
    if message.hidden and state is not PinState.ACCEPTED:
        state = PinState.HIDDEN
    return Pin(state, message.seen_digest, message.accepted_digest)


def _to_message(tool: Observed) -> tools_pb2.ListedTool:
    flags = [tools_pb2.ToolFlag(hidden=flag.hidden, place=flag.place, what=flag.what) for flag in tool.flags]
    return tools_pb2.ListedTool(name=tool.name, digest=tool.digest, definition=tool.definition, flags=flags)
