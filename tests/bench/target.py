"""The static target, a process of its own: prebuilt answers, chosen by a marker in the request's body.

``python -m tests.bench.target`` prints its port and serves until a signal ends it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import uvloop

from tests.bench.answers import SIZES_KB, answer, marker
from tests.bench.processes import started
from tests.bench.wire import response_bytes

PATH = "/mcp"
_HEAD_END = b"\r\n\r\n"


class _Static(asyncio.Protocol):
    def __init__(self, responses: list[tuple[bytes, bytes]]) -> None:
        self._responses = responses
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._data = self._data + data if self._data else data
        head_end = self._data.find(_HEAD_END)
        if head_end < 0:
            return
        length_at = self._data.lower().find(b"content-length:", 0, head_end)
        length = int(self._data[length_at + 15 :].split(b"\r\n", 1)[0])
        if len(self._data) < head_end + len(_HEAD_END) + length:
            return
        for mark, response in self._responses:
            if mark in self._data:
                self._transport.write(response)
        self._data = b""


async def _serve() -> None:
    responses = [(marker(size).encode(), response_bytes(answer(size).raw)) for size in SIZES_KB]
    server = await asyncio.get_running_loop().create_server(lambda: _Static(responses), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def running_target() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The target's process and port."""
    with started([sys.executable, "-m", "tests.bench.target"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())


if __name__ == "__main__":
    uvloop.run(_serve())
