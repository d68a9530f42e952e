"""The portal in a process: its web server, its tables, what was revoked, and the recorder that it tells."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence

import grpc
import httpx

from countersign.config import GatewayConfig
from countersign.portal.app import Portal
from countersign.portal.devices import LETTERS
from countersign.portal.hears.applying import RecorderFeed
from countersign.portal.ports import Room, Shared
from countersign.portal.store import PostgresSignIns
from countersign.portal.tables import make_tables
from countersign.portal.used import PostgresUsedOnce
from countersign.runtime.listening import bound
from countersign.runtime.moments import now_us
from countersign.runtime.postgres import DatabaseUnavailable
from countersign.runtime.revocations import RevocationView
from countersign.runtime.sealing import service_token
from countersign.runtime.trust import is_private
from countersign.runtime.web import WebServer

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0


class PortalPart:
    """Serves the portal on ``listen`` (``HOST:PORT`` or ``unix:/path``); see ``countersign.runtime.serving.Part``.

    ``key`` is the deployment's; ``config`` returns the version in force, which may change. On TCP it answers nobody but
    Envoy. Raises ``countersign.runtime.listening.CannotListen`` when made, and takes no connections before ``run``.
    """

    def __init__(
        self,
        listen: str,
        *,
        key: bytes,
        config: Callable[[], GatewayConfig],
        dsn: str,
        recorder: str,
        revocations: RevocationView,
        rooms: Sequence[Callable[[Shared], Room]] = (),
    ) -> None:
        self._listener = bound(listen)
        self._token = "" if is_private(listen) else service_token(key)
        self._dsn = dsn
        self._revocations = revocations
        self._feed = RecorderFeed(recorder, service_token="" if is_private(recorder) else service_token(key))
        self._client = httpx.AsyncClient()
        self._store, self._used = PostgresSignIns(dsn), PostgresUsedOnce(dsn)
        self._portal = Portal(
            key=key,
            config=config,
            store=self._store,
            used=self._used,
            revocations=revocations,
            applying=self._feed,
            client=self._client,
            now_us=now_us,
            monotonic=time.monotonic,
            random=lambda: secrets.token_urlsafe(32),
            letters=lambda count: "".join(secrets.choice(LETTERS) for _ in range(count)),
            rooms=rooms,
        )
        self._migrated = False
        self._server: WebServer | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def available(self) -> bool:
        """Whether people can sign in, as far as that depends on the gateway."""
        return self._migrated and self._server is not None and self._server.serving

    async def open(self) -> None:
        """Make the tables; a database that is away is waited for later, in ``run``.

        Raises ``MigrationRefused`` or ``DatabaseMisconfigured`` when waiting would not help.
        """
        await self._revocations.start()
        await self._migrate()

    def register(self, _: grpc.aio.Server) -> tuple[str, ...]:
        """Add nothing: over gRPC there are health and status only."""
        return ()

    async def run(self) -> None:
        """Serve until closed or cancelled."""
        pause_s = FIRST_PAUSE_S
        while not await self._migrate():
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        server = self._server = WebServer(self._portal.app(self._token), self._listener)
        self._task = asyncio.ensure_future(server.listen())
        try:
            await asyncio.shield(self._task)
        finally:
            server.end()

    def drain(self) -> None:
        """Take no more requests."""
        if self._server is not None:
            self._server.end()

    async def close(self) -> None:
        """Let requests under way end, and let go of everything."""
        if self._server is not None and self._task is not None:
            self._server.end()
            await asyncio.wait({self._task})
        self._listener.close()
        await self._portal.close()
        await self._feed.close()
        await self._client.aclose()
        await self._revocations.close()
        await self._store.close()
        await self._used.close()

    async def _migrate(self) -> bool:
        if not self._migrated:
            try:
                await make_tables(self._dsn)
            except DatabaseUnavailable as error:
                log.warning("the portal waits for the database: %s", error)
            else:
                self._migrated = True
        return self._migrated
