"""Puts the parts of authz together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import grpc
import httpx
from envoy.service.auth.v3 import external_auth_pb2_grpc as pb_grpc

from countersign.authz.audit import AuditDoor
from countersign.authz.identity import TokenVerifier
from countersign.authz.judge import Judge
from countersign.authz.server import AuthzService
from countersign.runtime.moments import new_id, now_us
from countersign.runtime.recording import Recorder
from countersign.runtime.rulebook import InForce, Rulebook
from countersign.runtime.sealing import Sealer

SERVICE = "envoy.service.auth.v3.Authorization"


class AuthzPart:
    """Authz in a process; see ``countersign.runtime.serving.Part``."""

    available = True

    def __init__(self, rulebook: Rulebook, recorder: Recorder, sealer: Sealer) -> None:
        self._rulebook = rulebook
        self._recorder = recorder
        config = rulebook.current.config
        self._client = httpx.AsyncClient()
        self._verifier = TokenVerifier(config.issuers, self._client, cached=config.limits.tokens_cached)
        self._judge = Judge(rulebook, self._verifier, recorder, sealer, now_us, new_id)
        self._service = AuthzService(self._judge, AuditDoor(rulebook, self._verifier, sealer, self._judge, now_us))

    async def open(self) -> None:
        """Connect to the recorder, and begin to fetch the issuers' keys."""
        await self._recorder.start()
        self._verifier.prefetch()

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add ext_authz to ``server``."""
        pb_grpc.add_AuthorizationServicer_to_server(self._service, server)
        return (SERVICE,)

    async def run(self, _on_available: Callable[[bool], Awaitable[None]]) -> None:
        """Follow gateway.yaml, and keep the record of refused attempts up to date."""
        await asyncio.gather(self._rulebook.follow(self._reconfigure), self._judge.follow())

    def drain(self) -> None:
        """Do nothing: a Check is short."""

    async def close(self) -> None:
        """Record what is left to say, then let go of the recorder and of the issuers."""
        await self._judge.close()
        await self._recorder.close()
        await self._client.aclose()

    def _reconfigure(self, in_force: InForce) -> None:
        self._verifier.configure(in_force.config.issuers, cached=in_force.config.limits.tokens_cached)
