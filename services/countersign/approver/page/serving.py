"""The page as a web server in the approver's process."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn

from countersign.approver.deciding import Deciding
from countersign.approver.page.app import Pages
from countersign.approver.page.used_links import PostgresUsedLinks
from countersign.config import GatewayConfig
from countersign.runtime.sealing import service_token
from countersign.runtime.serving import CannotListen
from countersign.runtime.trust import is_private

_BACKLOG = 128
_DRAIN_S = 3
_AT_ONCE = 200
_HEAD_BYTES = 32 * 1024


class _Server(uvicorn.Server):
    """One among others in its process: the signals are not its own."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Take no signals."""
        yield

    def end(self) -> None:
        """Have it end once what is under way is done, or after some seconds."""
        self.should_exit = True


class PageRoom:
    """Serves the page on ``listen`` (``HOST:PORT`` or ``unix:/path``) while it runs; see ``countersign.approver.part``.

    ``key`` is the deployment's; ``config`` returns the version in force, which may change. On TCP it answers nobody but
    Envoy. Raises ``countersign.runtime.serving.CannotListen`` when made, and takes no connections before ``run``.
    """

    def __init__(
        self,
        listen: str,
        *,
        key: bytes,
        config: Callable[[], GatewayConfig],
        deciding: Deciding,
        dsn: str,
        clock_us: Callable[[], int],
    ) -> None:
        self._listener = bound(listen)
        self._token = "" if is_private(listen) else service_token(key)
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._client = httpx.AsyncClient()
        self._used = PostgresUsedLinks(dsn)
        self._pages = Pages(
            key=key,
            config=config,
            deciding=deciding,
            used=self._used,
            client=self._client,
            now_us=clock_us,
            monotonic=time.monotonic,
            random=lambda: secrets.token_urlsafe(32),
        )

    @property
    def serving(self) -> bool:
        """Whether it takes requests."""
        return self._server is not None and self._server.started and not self._server.should_exit

    async def run(self) -> None:
        """Serve until closed or cancelled."""
        self._listener.listen(_BACKLOG)
        server = _Server(
            uvicorn.Config(
                self._pages.app(self._token),
                http="h11",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                log_level="warning",
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_AT_ONCE,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=_DRAIN_S,
                h11_max_incomplete_event_size=_HEAD_BYTES,
            )
        )
        self._server = server
        self._task = asyncio.ensure_future(server.serve([self._listener]))
        try:
            await asyncio.shield(self._task)
        finally:
            server.end()

    async def close(self) -> None:
        """Take no more requests, let those under way end, and let go of the database and of the issuer."""
        if self._server is not None and self._task is not None:
            self._server.end()
            await asyncio.wait({self._task})
        self._listener.close()
        await self._client.aclose()
        await self._used.close()


def bound(address: str) -> socket.socket:
    """Take ``HOST:PORT`` or ``unix:/path``, where only this user connects. Raises ``CannotListen``."""
    try:
        if address.startswith("unix:"):
            return _unix(Path(address.removeprefix("unix:")))
        host, _, port = address.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not 0 < int(port) < 1 << 16:
            raise ValueError("no port")
        return _bound(socket.AF_INET6 if ":" in host else socket.AF_INET, (host, int(port)))
    except (OSError, ValueError):
        raise CannotListen(f"cannot listen on {address}: it is taken, or not an address of this machine") from None


def _unix(path: Path) -> socket.socket:
    # One that a killed process left behind would refuse us for ever.
    path.unlink(missing_ok=True)
    before = os.umask(0o077)
    try:
        return _bound(socket.AF_UNIX, str(path))
    finally:
        os.umask(before)


def _bound(family: socket.AddressFamily, where: str | tuple[str, int]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family is not socket.AF_UNIX:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
    except OSError:
        listener.close()
        raise
    return listener
