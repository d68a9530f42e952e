"""One call as its service sees it: of ``grpc.aio.ServicerContext`` what our services use."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn, Protocol

import grpc

from countersign.runtime.rpc.heads import Head, Metadata
from countersign.runtime.rpc.messages import BadMessage, MessageReader, framed


class Aborted(Exception):
    """The call ends with a status; raised by ``abort``, as ``grpc.aio`` raises ``AbortError``."""

    def __init__(self, status: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.status = status
        self.details = details


class Outgoing:
    """Data that waits for room; ``gone`` is told when it has gone."""

    __slots__ = ("gone", "left")

    def __init__(self, data: bytes, gone: asyncio.Future[None]) -> None:
        self.left = memoryview(data)
        self.gone = gone


class Way(Protocol):
    """The connection as a call needs it."""

    async def send(self, call: Call, data: bytes) -> None:
        """Return when ``data`` is on its way to the peer, who had room for it."""

    def took(self, call: Call) -> None:
        """Let the peer send more to this call."""


class Call:
    """What came of a call, and what goes back. Messages are read in their order, and one is written at a time."""

    __slots__ = (
        *("_ahead_s", "_arrived_s", "_decode", "_encode", "_head", "_reader", "_reading", "_unread", "_way"),
        *(
            "begun",
            "broken",
            "code",
            "details",
            "ended",
            "granted",
            "last",
            "number",
            "outgoing",
            "owed",
            "task",
            "window",
        ),
    )

    def __init__(self, way: Way, number: int, head: Head, window: int, granted: int, most_bytes: int) -> None:
        self._way = way
        self._head = head
        self._arrived_s = asyncio.get_running_loop().time()
        self._reader = MessageReader(most_bytes)
        self._unread: deque[bytes] = deque()
        self._reading: asyncio.Future[None] | None = None
        self._decode: Callable[[bytes], Any] = bytes
        self._encode: Callable[[Any], bytes] = bytes
        self.number = number
        self.window = window
        """How many bytes the peer lets us send."""
        self.granted = granted
        """How many bytes the peer may send."""
        self.owed = 0
        """How many of those that it sent it is not let send anew, as nobody has read them."""
        self.begun = self.ended = False
        """Whether our head was sent; whether the peer has sent all."""
        self.outgoing: deque[Outgoing] = deque()
        """What there was no room for yet."""
        self.last = b""
        """The frame that ends the call, once it is known."""
        self.broken: BadMessage | None = None
        self.code, self.details = grpc.StatusCode.OK, ""
        self.task: asyncio.Task[None] | None = None

    def serve_as(self, decode: Callable[[bytes], Any] | None, encode: Callable[[Any], bytes] | None) -> None:
        """Say how messages are read and written; without, they are bytes."""
        self._decode, self._encode = decode or bytes, encode or bytes

    # What services use.

    def invocation_metadata(self) -> Metadata:
        """What the peer sent beside messages."""
        return self._head.metadata

    def time_remaining(self) -> float | None:
        """Seconds for which the peer still waits; ``None`` when it does not say."""
        timeout_s = self._head.timeout_s
        if timeout_s is None:
            return None
        return max(0.0, self._arrived_s + timeout_s - asyncio.get_running_loop().time())

    def set_code(self, code: grpc.StatusCode) -> None:
        """State with which status the call is to end."""
        self.code = code

    def set_details(self, details: str) -> None:
        """State what is said with that status."""
        self.details = details

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: object = ()) -> NoReturn:
        """End the call with a status. Raises ``Aborted``, always."""
        raise Aborted(code, details)

    async def read(self) -> Any:
        """Return the next message, or ``grpc.aio.EOF`` when there are no more. Raises ``Aborted`` for a bad one."""
        while not self._unread:
            if self.broken is not None:
                raise Aborted(self.broken.status, str(self.broken))
            if self.ended:
                return grpc.aio.EOF
            self._reading = asyncio.get_running_loop().create_future()
            await self._reading
        message = self._unread.popleft()
        if self.owed and not self._unread:
            self._way.took(self)
        return self._decoded(message)

    async def write(self, message: Any) -> None:
        """Return when a message is on its way."""
        await self._way.send(self, framed(self._encode(message)))

    async def requests(self) -> AsyncIterator[Any]:
        """Yield the messages until there are no more."""
        while (message := await self.read()) is not grpc.aio.EOF:
            yield message

    def answer(self, message: Any) -> bytes:
        """Return the bytes of the one answer to a call."""
        return framed(self._encode(message))

    # What the connection tells.

    @property
    def waiting(self) -> bool:
        """Whether whole messages came that nobody has read: then the peer need not send more."""
        return bool(self._unread)

    def take(self, piece: bytes) -> None:
        """Take in what came."""
        if self.broken is not None:
            return
        try:
            self._unread.extend(self._reader.take(piece))
        except BadMessage as error:
            self.broken = error
        self._wake()

    def end(self) -> None:
        """Hear that the peer has sent all."""
        self.ended = True
        if self._reader.halfway and self.broken is None:
            self.broken = BadMessage(grpc.StatusCode.INTERNAL, "a message is cut")
        self._wake()

    def _wake(self) -> None:
        if self._reading is not None and not self._reading.done():
            self._reading.set_result(None)

    def _decoded(self, message: bytes) -> Any:
        try:
            return self._decode(message)
        except Exception:
            # Its error may quote what was sent.
            problem = "a message cannot be read"
        raise Aborted(grpc.StatusCode.INTERNAL, problem)
