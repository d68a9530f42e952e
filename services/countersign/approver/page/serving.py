"""The page as a web server in the approver's process."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable

import httpx

from countersign.approver.deciding import Deciding
from countersign.approver.page.app import Pages
from countersign.approver.page.used_links import PostgresUsedLinks
from countersign.config import GatewayConfig
from countersign.runtime.listening import bound
from countersign.runtime.revocations import Revocations
from countersign.runtime.sealing import service_token
from countersign.runtime.trust import is_private
from countersign.runtime.web import WebServer


class PageRoom:
    """Serves the page on ``listen`` (``HOST:PORT`` or ``unix:/path``) while it runs; see ``countersign.approver.part``.

    ``key`` is the deployment's; ``config`` returns the version in force, which may change. On TCP it answers nobody but
    Envoy. Raises ``countersign.runtime.listening.CannotListen`` when made, and takes no connections before ``run``.
    """

    def __init__(
        self,
        listen: str,
        *,
        key: bytes,
        config: Callable[[], GatewayConfig],
        deciding: Deciding,
        revocations: Revocations,
        dsn: str,
        clock_us: Callable[[], int],
    ) -> None:
        self._listener = bound(listen)
        self._token = "" if is_private(listen) else service_token(key)
        self._server: WebServer | None = None
        self._task: asyncio.Task[None] | None = None
        self._client = httpx.AsyncClient()
        self._used = PostgresUsedLinks(dsn)
        self._pages = Pages(
            key=key,
            config=config,
            deciding=deciding,
            used=self._used,
            revocations=revocations,
            client=self._client,
            now_us=clock_us,
            monotonic=time.monotonic,
            random=lambda: secrets.token_urlsafe(32),
        )

    @property
    def serving(self) -> bool:
        """Whether it takes requests."""
        return self._server is not None and self._server.serving

    async def run(self) -> None:
        """Serve until closed or cancelled."""
        server = WebServer(self._pages.app(self._token), self._listener)
        self._server = server
        self._task = asyncio.ensure_future(server.listen())
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
