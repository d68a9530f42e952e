"""The server: what ``add_…_to_server`` and ``runtime.serving`` need of ``grpc.aio.Server``."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import grpc

from countersign.runtime.rpc.call import Call
from countersign.runtime.rpc.connection import Connection, Handler
from countersign.runtime.rpc.heads import Metadata

_UNIX = "unix:"


@dataclass(frozen=True, slots=True)
class _Asked(grpc.HandlerCallDetails):
    """See ``grpc.HandlerCallDetails``."""

    method: str
    invocation_metadata: Metadata


class Server:
    """Serves gRPC on Unix sockets, to peers that the sockets' mode lets in. ``most_bytes`` bounds a message."""

    def __init__(self, *, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._handlers: list[grpc.GenericRpcHandler] = []
        self._found: dict[str, Handler] = {}
        self._sockets: list[socket.socket] = []
        self._listening: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Serve what these do."""
        self._handlers.extend(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Nothing: these are among the generic ones."""

    def add_insecure_port(self, address: str) -> int:
        """Take a Unix socket's path, which nobody has yet. Raises ``RuntimeError`` when it cannot be had."""
        if not address.startswith(_UNIX):
            raise RuntimeError("only Unix sockets are served")
        taken = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            taken.bind(address.removeprefix(_UNIX))
        except OSError as error:
            taken.close()
            raise RuntimeError("the socket cannot be had") from error
        self._sockets.append(taken)
        return 1

    async def start(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            each.setblocking(False)
            self._listening.append(await loop.create_unix_server(lambda: Connection(self), sock=each))

    async def stop(self, grace: float | None) -> None:
        """Take no new calls; return when those under way ended, or after ``grace`` seconds when they are cancelled."""
        for listening in self._listening:
            listening.close()
        for each in self._sockets:
            each.close()
        for connection in list(self._connections):
            connection.leave()
        try:
            async with asyncio.timeout(grace or 0):
                await self._empty.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.close()
            await self._empty.wait()

    # What connections ask.

    def handler_of(self, method: str, call: Call) -> Handler | None:
        """Return what serves a method; ``None`` for one that nobody serves."""
        found = self._found.get(method)
        if found is None:
            asked = _Asked(method, call.invocation_metadata())
            found = next((each for one in self._handlers if (each := one.service(asked)) is not None), None)
            if found is not None:
                self._found[method] = found
        return found

    def began(self, connection: Connection) -> None:
        """Hear of a connection."""
        self._connections.add(connection)
        self._empty.clear()

    def ended(self, connection: Connection) -> None:
        """Hear of its end."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()
