"""Prepared statements, many in one round trip, by libpq itself.

For small transactions that are made all the time: there psycopg's cursors and adapters take most of the time that a
process spends on one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

Parameter = bytes | str | None
"""``bytes`` are in Postgres's binary format of the parameter's type, ``str`` in its text format; ``None`` is NULL."""

_BINARY, _TEXT = 1, 0
_LOOK_AGAIN_S = 0.1


class Command(NamedTuple):
    """A statement with ``$1``, ``$2`` and so on in it, and what stands for these."""

    statement: bytes
    parameters: Sequence[Parameter] = ()


class Pipelined:
    """Runs statements on one connection (autocommit); each is prepared when it is first used. One caller at a time."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        # Where psycopg itself prepared something, it has the server forget all that is prepared, ours, too, whenever it
        # sees a transaction rolled back.
        connection.prepare_threshold = None
        self.connection = connection
        self._names: dict[bytes, bytes] = {}

    async def run(self, *commands: Command) -> list[PGresult]:
        """Run commands in order; return the result of each, its values in binary format.

        Raises ``psycopg.Error``, of the first command that failed: none after it was carried out. Whatever is raised,
        cancellation included, the connection is of no use any more and must be closed.
        """
        pgconn = self.connection.pgconn
        pgconn.enter_pipeline_mode()
        is_answer: list[bool] = []
        for command in commands:
            name = self._names.get(command.statement)
            if name is None:
                name = self._names[command.statement] = b"countersign_%d" % len(self._names)
                pgconn.send_prepare(name, command.statement)
                is_answer.append(False)
            values = [_text(one) if isinstance(one, str) else one for one in command.parameters]
            formats = [_TEXT if isinstance(one, str) else _BINARY for one in command.parameters]
            pgconn.send_query_prepared(name, values, formats, result_format=_BINARY)
            is_answer.append(True)
        pgconn.pipeline_sync()
        results = await _results(pgconn)
        pgconn.exit_pipeline_mode()
        return [result for result, wanted in zip(results, is_answer, strict=True) if wanted]


async def _results(pgconn: PGconn) -> list[PGresult]:
    """Send what is written, and read up to the end of the pipeline. Raises ``psycopg.Error``."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    socket = pgconn.socket
    loop.add_reader(socket, ready.set)
    try:
        if pgconn.flush():
            loop.add_writer(socket, ready.set)
            # The server may say so much meanwhile that it waits for us to read.
            while pgconn.flush():
                await _until(ready)
                pgconn.consume_input()
            loop.remove_writer(socket)
        results: list[PGresult] = []
        ended = False
        while True:
            while pgconn.is_busy():
                await _until(ready)
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                if ended:
                    # Each command's results end once: a second end comes of a connection that is lost.
                    raise psycopg.OperationalError("the connection is lost")
                ended = True
                continue
            ended = False
            if result.status == ExecStatus.PIPELINE_SYNC:
                return results
            if result.status == ExecStatus.FATAL_ERROR:
                raise error_from_result(result)
            results.append(result)
    finally:
        loop.remove_reader(socket)
        loop.remove_writer(socket)


async def _until(ready: asyncio.Event) -> None:
    """Return when the socket is ready, or may be.

    uvloop tells of a socket's error once, and of nothing that is to be read after it: the server's last words may come
    first, and only who looks again learns that they were the last. (psycopg waits in the same way.)
    """
    ready.clear()
    with suppress(TimeoutError):
        async with asyncio.timeout(_LOOK_AGAIN_S):
            await ready.wait()


def _text(value: str) -> bytes:
    data = value.encode()
    if b"\0" in data:
        # To libpq, a parameter in text format would end there.
        raise psycopg.DataError("a text holds a NUL")
    return data
