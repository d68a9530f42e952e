"""One connection: frames in, calls to those who serve them, frames out. Whatever breaks ends what it concerns."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Final, Protocol, TypeAlias, cast

import grpc

from countersign.runtime.rpc import frames
from countersign.runtime.rpc.call import Aborted, Call, Outgoing
from countersign.runtime.rpc.frames import BrokenConnection, Code, Frame, FrameReader, Setting
from countersign.runtime.rpc.heads import MOST_HEAD_BYTES, HeadReader
from countersign.runtime.rpc.messages import ALL_IS_WELL, HEAD, trailers

log = logging.getLogger(__name__)

MOST_CALLS: Final = 1_000
"""At once, on one connection; a peer opens another for more."""
CALL_WINDOW: Final = 1 << 20
"""How many bytes a peer may send ahead of who reads them, for each call."""
CONNECTION_WINDOW: Final = 16 << 20
_SETTINGS: Final = frames.settings(
    {
        Setting.MAX_CONCURRENT_STREAMS: MOST_CALLS,
        Setting.INITIAL_WINDOW_SIZE: CALL_WINDOW,
        Setting.MAX_HEADER_LIST_SIZE: MOST_HEAD_BYTES,
    }
)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Serving(Protocol):
    """Who serves calls."""

    most_bytes: int

    def handler_of(self, method: str, call: Call) -> Handler | None:
        """Return what serves a method; ``None`` for one that nobody serves."""

    def began(self, connection: Connection) -> None:
        """Hear of a connection."""

    def ended(self, connection: Connection) -> None:
        """Hear of its end."""


class Connection(asyncio.Protocol):
    """HTTP/2 (RFC 9113) and gRPC over it, for a peer that is trusted to be who it should: limits bound its mistakes."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._frames = FrameReader()
        self._heads = HeadReader()
        self._calls: dict[int, Call] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last = 0
        self._head_of: tuple[int, bool, list[bytes]] | None = None
        self._window = frames.FIRST_WINDOW
        self._call_window = frames.FIRST_WINDOW
        self._taken = 0
        self._paused = self._leaving = False

    @property
    def calls(self) -> int:
        """How many calls are under way."""
        return len(self._calls)

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(_SETTINGS + frames.window_update(0, CONNECTION_WINDOW - frames.FIRST_WINDOW))
        self._serving.began(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``: all calls are cancelled."""
        self.cancel()
        self._serving.ended(self)

    def pause_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        self._paused = True

    def resume_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        self._paused = False
        self._wake()

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        try:
            for found in self._frames.take(data):
                self._take(found)
        except BrokenConnection as error:
            log.warning("a peer's connection is broken off: %s", error)
            self._transport.write(frames.goaway(self._last, error.code))
            self.cancel()
            self._transport.close()

    # What the server asks.

    def leave(self) -> None:
        """Take no new calls; close when those under way have ended."""
        if not self._leaving:
            self._leaving = True
            self._transport.write(frames.goaway(self._last, Code.NO_ERROR))
            self._close_if_done()

    def cancel(self) -> None:
        """Cancel all calls."""
        for call in list(self._calls.values()):
            self._drop(call)

    def close(self) -> None:
        """Close, with all calls cancelled."""
        self.cancel()
        self._transport.close()

    # What calls ask.

    async def send(self, call: Call, data: bytes) -> None:
        """Return when data of a call is on its way; its head goes before the first.

        Who is cancelled meanwhile cuts nothing: it goes on its way all the same. Raises ``Aborted``.
        """
        if call.number not in self._calls:
            raise Aborted(grpc.StatusCode.CANCELLED, "the call is over")
        start = b"" if call.begun else _of_head(call.number)
        call.begun = True
        size = len(data)
        fits = size <= frames.MOST_FRAME_BYTES and size <= self._window and size <= call.window
        if fits and not call.outgoing and not self._paused:
            self._window -= size
            call.window -= size
            self._transport.write(start + frames.frame(frames.DATA, 0, call.number, data))
            return
        if start:
            self._transport.write(start)
        gone = asyncio.get_running_loop().create_future()
        call.outgoing.append(Outgoing(data, gone))
        self._flush(call)
        await asyncio.shield(gone)

    def took(self, call: Call) -> None:
        """Let the peer send as much to the call as was read of it."""
        size, call.owed = call.owed, 0
        call.granted += size
        if not call.ended and call.number in self._calls:
            self._transport.write(frames.window_update(call.number, size))

    # Frames.

    def _take(self, found: Frame) -> None:
        kind, number = found.kind, found.stream
        if self._head_of is not None and (kind != frames.CONTINUATION or number != self._head_of[0]):
            raise BrokenConnection(Code.PROTOCOL_ERROR, "a head is cut")
        if kind == frames.DATA:
            self._data(found)
        elif kind == frames.HEADERS:
            self._headers(found)
        elif kind == frames.CONTINUATION:
            self._continuation(found)
        elif kind == frames.WINDOW_UPDATE:
            self._grant(number, frames.number_of(found.payload) & frames.MOST_WINDOW)
        elif kind == frames.SETTINGS:
            self._settings(found)
        elif kind == frames.PING:
            if not found.flags & frames.ACK:
                self._transport.write(frames.frame(frames.PING, frames.ACK, 0, found.payload))
        elif kind == frames.RST_STREAM:
            if (call := self._calls.get(number)) is not None:
                self._drop(call)
        elif kind == frames.PUSH_PROMISE:
            raise BrokenConnection(Code.PROTOCOL_ERROR, "a client promises nothing")

    def _headers(self, found: Frame) -> None:
        number, ends = found.stream, bool(found.flags & frames.END_STREAM)
        if not number % 2:
            raise BrokenConnection(Code.PROTOCOL_ERROR, "a call has the number of a server's")
        block = frames.without_padding(found)
        if found.flags & frames.END_HEADERS:
            self._begin(number, block, ends=ends)
        else:
            self._head_of = number, ends, [block]

    def _continuation(self, found: Frame) -> None:
        if self._head_of is None:
            raise BrokenConnection(Code.PROTOCOL_ERROR, "a head goes on that never began")
        number, ends, blocks = self._head_of
        blocks.append(found.payload)
        if sum(map(len, blocks)) > MOST_HEAD_BYTES:
            raise BrokenConnection(Code.PROTOCOL_ERROR, "a head is too large")
        if found.flags & frames.END_HEADERS:
            self._head_of = None
            self._begin(number, b"".join(blocks), ends=ends)

    def _begin(self, number: int, block: bytes, *, ends: bool) -> None:
        # Also of what is not served: the tables of the heads that follow depend on it.
        head = self._heads.read(block)
        if number <= self._last:
            # What comes after the messages of a call says nothing to us.
            if ends and (call := self._calls.get(number)) is not None:
                call.end()
            return
        self._last = number
        if self._leaving or len(self._calls) >= MOST_CALLS:
            self._transport.write(frames.reset(number, Code.REFUSED_STREAM))
            return
        call = Call(self, number, head, self._call_window, CALL_WINDOW, self._serving.most_bytes)
        self._calls[number] = call
        if ends:
            call.end()
        handler = self._serving.handler_of(head.method, call)
        call.task = asyncio.get_running_loop().create_task(self._serve(call, handler))
        # Also for the time that it takes to hear that its peer is gone.
        self._tasks.add(call.task)
        call.task.add_done_callback(self._tasks.discard)

    def _data(self, found: Frame) -> None:
        size = len(found.payload)
        self._taken += size
        if self._taken >= CONNECTION_WINDOW // 2:
            self._transport.write(frames.window_update(0, self._taken))
            self._taken = 0
        call = self._calls.get(found.stream)
        if call is None:
            if found.stream > self._last:
                raise BrokenConnection(Code.PROTOCOL_ERROR, "data of a call that never began")
            return
        if call.ended:
            raise BrokenConnection(Code.STREAM_CLOSED, "data after the end of a call")
        call.granted -= size
        call.owed += size
        if call.granted < 0:
            raise BrokenConnection(Code.FLOW_CONTROL_ERROR, "more was sent than there was room for")
        call.take(frames.without_padding(found))
        if found.flags & frames.END_STREAM:
            call.end()
        elif call.owed >= CALL_WINDOW // 2 and not call.waiting:
            self.took(call)

    def _grant(self, number: int, size: int) -> None:
        if number == 0:
            self._window += size
        elif (call := self._calls.get(number)) is not None:
            call.window += size
        self._wake()

    def _settings(self, found: Frame) -> None:
        if found.flags & frames.ACK:
            return
        for setting, value in frames.read_settings(found.payload):
            # We send no larger frames than all permit, and heads that no table is needed for.
            if setting == Setting.INITIAL_WINDOW_SIZE:
                if value > frames.MOST_WINDOW:
                    raise BrokenConnection(Code.FLOW_CONTROL_ERROR, "a window is too large")
                for call in self._calls.values():
                    call.window += value - self._call_window
                self._call_window = value
        self._transport.write(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self._wake()

    # Calls.

    async def _serve(self, call: Call, handler: Handler | None) -> None:
        try:
            if handler is None:
                raise Aborted(grpc.StatusCode.UNIMPLEMENTED, "no such method")
            call.serve_as(handler.request_deserializer, handler.response_serializer)
            answer = await _served(call, handler)
            if answer is not None and call.code is grpc.StatusCode.OK:
                await self.send(call, answer)
            self._finish(call, call.code, call.details)
        except Aborted as error:
            self._finish(call, error.status, error.details)
        except asyncio.CancelledError:
            self._finish(call, grpc.StatusCode.CANCELLED, "the call was given up")
            raise
        except Exception as error:
            # Its message may quote what was sent.
            log.error("a call failed: %s", type(error).__name__)  # noqa: TRY400
            self._finish(call, grpc.StatusCode.UNKNOWN, "the call failed")

    def _finish(self, call: Call, status: grpc.StatusCode, details: str) -> None:
        """End a call with this status, if it still goes on, after what is on its way."""
        if call.number not in self._calls:
            return
        fields = ALL_IS_WELL if status is grpc.StatusCode.OK else trailers(status, details)
        call.last = frames.frame(
            frames.HEADERS,
            frames.END_HEADERS | frames.END_STREAM,
            call.number,
            fields if call.begun else HEAD + fields,
        )
        self._flush(call)

    def _flush(self, call: Call) -> None:
        """Send of what waits as much as there is room for."""
        while call.outgoing and not self._paused:
            first = call.outgoing[0]
            if left := first.left:
                room = min(self._window, call.window, frames.MOST_FRAME_BYTES)
                if room <= 0:
                    return
                piece = left[:room]
                first.left = left[room:]
                self._window -= len(piece)
                call.window -= len(piece)
                self._transport.write(frames.frame(frames.DATA, 0, call.number, bytes(piece)))
                continue
            call.outgoing.popleft()
            if not first.gone.done():
                first.gone.set_result(None)
        if call.last and not call.outgoing:
            self._transport.write(call.last if call.ended else call.last + frames.reset(call.number, Code.NO_ERROR))
            del self._calls[call.number]
            self._close_if_done()

    def _drop(self, call: Call) -> None:
        """The peer is gone, or wants no answer any more."""
        self._calls.pop(call.number, None)
        if call.task is not None:
            call.task.cancel()
        for each in call.outgoing:
            each.gone.cancel()
        call.outgoing.clear()
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._leaving and not self._calls:
            self._transport.close()

    def _wake(self) -> None:
        """There may be room for what waits."""
        for call in [call for call in self._calls.values() if call.outgoing]:
            self._flush(call)


async def _served(call: Call, handler: Handler) -> bytes | None:
    """Have a call served; return its one answer, ``None`` where answers were written by themselves."""
    method = _method(handler)
    if handler.request_streaming:
        asked: Any = call.requests()
    else:
        asked = await call.read()
        if asked is grpc.aio.EOF:
            raise Aborted(grpc.StatusCode.INTERNAL, "a call without a message")
    served = method(asked, call)
    if hasattr(served, "__aiter__"):
        # Also when it is cancelled here, between two answers.
        async with aclosing(served):
            async for each in served:
                await call.write(each)
        return None
    answer = await served
    return None if handler.response_streaming else call.answer(answer)


def _method(handler: Handler) -> Callable[[Any, Call], Any]:
    one, many = (
        (handler.stream_unary, handler.stream_stream)
        if handler.request_streaming
        else (handler.unary_unary, handler.unary_stream)
    )
    found: Any = many if handler.response_streaming else one
    return cast(Callable[[Any, Call], Any], found)


def _of_head(number: int) -> bytes:
    return frames.frame(frames.HEADERS, frames.END_HEADERS, number, HEAD)
