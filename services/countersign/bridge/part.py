"""The bridge in a process: its web server, its servers' processes, and what was revoked."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import grpc

from countersign.bridge.app import App
from countersign.bridge.sessions import Sessions, Whose
from countersign.config import GatewayConfig
from countersign.runtime.guarded import Guarded
from countersign.runtime.listening import bound
from countersign.runtime.moments import now_us
from countersign.runtime.parent import prctl
from countersign.runtime.revocations import Followed, NotKnown, Revoked, check
from countersign.runtime.sealing import Sealer, service_token
from countersign.runtime.trust import is_private
from countersign.runtime.web import WebServer

log = logging.getLogger(__name__)

SWEEP_S = 1.0
_AT_ONCE = 4_000
_PR_SET_DUMPABLE = 4


class BridgePart:
    """Serves stdio targets on ``listen`` (``HOST:PORT`` or ``unix:/path``); see ``countersign.runtime.serving.Part``.

    ``key`` is the deployment's; ``config`` returns the version in force, which may change; ``environment`` is this
    process's. On TCP it answers nobody but Envoy. Raises ``countersign.runtime.listening.CannotListen`` when made.
    """

    def __init__(
        self,
        listen: str,
        *,
        key: bytes,
        config: Callable[[], GatewayConfig],
        environment: Mapping[str, str],
        revocations: Followed,
        sweep_s: float = SWEEP_S,
    ) -> None:
        self._listener = bound(listen)
        self._revocations = revocations
        self._sweep_s = sweep_s
        self.sessions = Sessions(config, environment, time.monotonic, lambda: secrets.token_urlsafe(24))
        app = App(self.sessions, Sealer(key), config, is_revoked=self._is_revoked)
        token = "" if is_private(listen) else service_token(key)
        self._server = WebServer(Guarded(app, lambda: True, token, ""), self._listener, at_once=_AT_ONCE)
        self._task: asyncio.Task[None] | None = None

    @property
    def available(self) -> bool:
        """Whether calls can come."""
        return self._server.serving

    async def open(self) -> None:
        """Begin to follow what is revoked, and hide from the servers that run as the same user."""
        hide()
        self._revocations.on_change(self._look)
        await self._revocations.start()

    def register(self, _: grpc.aio.Server) -> tuple[str, ...]:
        """Add nothing: over gRPC there are health and status only."""
        return ()

    async def run(self) -> None:
        """Serve until closed or cancelled."""
        self._task = asyncio.ensure_future(self._server.listen())
        sweeping = asyncio.ensure_future(self._sweep())
        try:
            await asyncio.shield(self._task)
        finally:
            self._server.end()
            sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await sweeping

    def drain(self) -> None:
        """Take no more requests."""
        self._server.end()

    async def close(self) -> None:
        """End all servers, and let go of everything."""
        await self.sessions.close()
        if self._task is not None:
            self._server.end()
            await asyncio.wait({self._task})
        self._listener.close()
        await self._revocations.close()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._sweep_s)
            self.sessions.sweep()

    def _look(self) -> None:
        for session in self.sessions.all():
            if self._is_revoked(session.whose):
                self.sessions.end(session)

    def _is_revoked(self, whose: Whose) -> bool:
        try:
            check(self._revocations, whose.principal, now_us(), whose.recorded)
        except Revoked:
            return True
        except NotKnown:
            # Authz lets nobody in meanwhile, and masker ends what is open; the servers need not be ended.
            return False
        return False


def hide() -> None:
    """Keep other processes of our user from reading our memory and environment (``prctl(PR_SET_DUMPABLE)``).

    What they could read in files of ours is not changed by this. Raises ``OSError``.
    """
    prctl(_PR_SET_DUMPABLE, 0)
