"""The way to one witness: HTTP with a certificate that somebody whom gateway.yaml names vouches for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import httpx

from countersign.runtime.tls import MAX_FILE_BYTES, BadCertificate, trusting

TIMEOUT_S: Final = 5.0
"""For all that one checkpoint takes, also where the witness must first say what it saw last."""
_CONNECT_S: Final = 3.0


class NoWay(Exception):
    """The witness cannot be asked as gateway.yaml says; the message says why."""


class Way:
    """Connections to one witness: for its certificate one in the PEM file ``ca`` vouches, else one of the system's.

    The file is read with each request: another content means other connections, and without one there is none.
    """

    def __init__(self, ca: str = "") -> None:
        self._ca = ca
        self._believed: bytes | None = None
        self._client: httpx.AsyncClient | None = None

    async def client(self) -> httpx.AsyncClient:
        """Return what to ask with, for one request at a time. Raises ``NoWay``."""
        believed = await asyncio.to_thread(self._read) if self._ca else None
        if self._client is None or believed != self._believed:
            await self.close()
            try:
                verify = trusting(believed)
            except BadCertificate as problem:
                raise NoWay(f"its `ca` {self._ca} cannot be used: {problem}") from None
            timeout = httpx.Timeout(TIMEOUT_S, connect=_CONNECT_S)
            self._client = httpx.AsyncClient(verify=verify, timeout=timeout, follow_redirects=False)
            self._believed = believed
        return self._client

    async def close(self) -> None:
        """Let go of the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _read(self) -> bytes:
        path = Path(self._ca)
        try:
            # Asked before it is opened: opening a pipe would wait for ever.
            if not path.is_file():
                raise NoWay(f"its `ca` {path} is no file")
            with path.open("rb") as file:
                return file.read(MAX_FILE_BYTES)
        except OSError as error:
            raise NoWay(f"its `ca` {path} cannot be read ({error.strerror})") from None
