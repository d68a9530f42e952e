"""A proxy before Postgres that loses the acknowledgement of a COMMIT and the connection with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# In PostgreSQL's protocol: CommandComplete of COMMIT ('C', length, tag). It leaves the server after the commit.
COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"


@dataclass
class Lossy:
    """``lose`` counts the acknowledgements still to lose; ``lost`` those that were."""

    lose: int = 0
    lost: int = 0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if answers and self.lose and COMMITTED in data:
                    self.lose -= 1
                    self.lost += 1
                    break
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def lossy_proxy(folder: Path, real: str) -> AsyncIterator[Lossy]:
    """Listen in ``folder`` as Postgres would, and pass everything to the socket ``real``."""
    lossy = Lossy()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(real)
        await asyncio.wait(
            [
                asyncio.ensure_future(lossy.carry(reader, far_writer, answers=False)),
                asyncio.ensure_future(lossy.carry(far_reader, writer, answers=True)),
            ],
            return_when=asyncio.FIRST_COMPLETED,
        )
        writer.close()
        far_writer.close()

    server = await asyncio.start_unix_server(serve, folder / ".s.PGSQL.5432")
    try:
        yield lossy
    finally:
        server.close()
