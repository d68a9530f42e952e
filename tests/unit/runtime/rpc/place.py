"""A server of bytes on a Unix socket, and a client of ``grpc.aio`` for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from countersign.runtime.rpc import Server

SERVICE = "test.Service"
MOST_BYTES = 8 << 20
DEADLINE_S = 30.0


@asynccontextmanager
async def serving(
    folder: Path, methods: Mapping[str, Any], *, most_bytes: int = MOST_BYTES
) -> AsyncIterator[tuple[Server, Any]]:
    """Serve methods by their names, handlers of ``grpc`` for bytes; yield the server, and a ``grpc.aio.Channel``."""
    server = Server(most_bytes=most_bytes)
    handler = grpc.method_handlers_generic_handler(SERVICE, dict(methods))
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(f"unix:{folder / 's'}")
    await server.start()
    options = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
    try:
        async with grpc.aio.insecure_channel(f"unix:{folder / 's'}", options=options) as channel:
            yield server, channel
    finally:
        await server.stop(0)


async def within(waited: Any) -> Any:
    """What comes of it, in time."""
    return await asyncio.wait_for(waited, DEADLINE_S)


def path_of(method: str) -> str:
    """The path of a method."""
    return f"/{SERVICE}/{method}"
