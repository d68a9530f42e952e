"""Puts the parts of authz together."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import Protocol

import grpc
import httpx
from envoy.service.auth.v3 import external_auth_pb2_grpc as pb_grpc
from envoy.service.ext_proc.v3 import external_processor_pb2_grpc as ext_proc_grpc

from countersign.authz.assembling import judging
from countersign.authz.audit import AuditDoor
from countersign.authz.hub import HubDoor
from countersign.authz.nameless import Nameless
from countersign.authz.renewing import SERVICE as RENEWALS
from countersign.authz.renewing import RenewalService
from countersign.authz.server import AuthzService
from countersign.config import GatewayConfig, NewTools
from countersign.config.offered import unoffered
from countersign.credentials import Surroundings, TargetCredentials
from countersign.identity import TokenVerifier
from countersign.identity.portal_keys import portal_keys
from countersign.runtime.approvals import Broker
from countersign.runtime.handles import RecorderHandles
from countersign.runtime.moments import new_id, now_us
from countersign.runtime.pins import PinnedTools
from countersign.runtime.recording import Recorder
from countersign.runtime.revocations import Followed, check
from countersign.runtime.rulebook import InForce, Rulebook
from countersign.runtime.sealing import Sealer
from countersign.runtime.tokens import TokenVault
from countersign.runtime.usage import UsageView

log = logging.getLogger(__name__)

WATCH_S = 1.0
_NOBODY_ACCEPTS = (
    "nobody can accept tools that are new or change at their targets, so they stay denied: name `operators.groups`, or "
    "give the targets `new_tools: allow`"
)
SERVICE = "envoy.service.auth.v3.Authorization"


class Approver(Broker, Protocol):
    """The approver's client; see ``runtime.approvals``."""

    async def start(self) -> None:
        """Begin to connect."""

    async def close(self) -> None:
        """Let go of it."""


class AuthzPart:
    """Authz in a process; see ``countersign.runtime.serving.Part``.

    It is available while it knows what was revoked, of all targets' tools what was accepted and, where that decides,
    what callers used.
    """

    def __init__(
        self,
        rulebook: Rulebook,
        recorder: Recorder,
        tools: PinnedTools,
        usage: UsageView,
        sealer: Sealer,
        vault: TokenVault,
        approver: Approver,
        revocations: Followed,
        handles: RecorderHandles,
        key: bytes,
    ) -> None:
        self._rulebook = rulebook
        self._recorder = recorder
        self._tools = tools
        self._usage = usage
        self._vault = vault
        self._handles = handles
        self._changes = 0
        self._warnings: tuple[str, ...] = ()
        tools.on_change(self._count_change)
        config = rulebook.current.config
        self._client = httpx.AsyncClient()
        self._revocations = revocations
        self._key = key
        self._verifier = TokenVerifier((), self._client, revocations=revocations, cached=0)
        self._trust(config)
        self._approver = approver
        around = Surroundings(time.monotonic, time.time, random.SystemRandom().random, new_id)
        self._credentials = TargetCredentials(around, most=config.limits.tokens_cached)
        revocations.on_change(self._drop_revoked)
        self._renewals = RenewalService(
            self._credentials,
            lambda principal, session_id: check(revocations, principal, now_us(), session_id),
            sealer.mark_shown,
        )
        assembled = judging(
            *(rulebook, self._verifier, recorder, tools, usage, vault, approver, revocations, self._credentials),
            *(handles, key, now_us, new_id),
        )
        self._judge, self._desk = assembled.judge, assembled.desk
        audit = AuditDoor(rulebook, self._verifier, sealer, self._judge, now_us)
        nameless = Nameless(recorder, sealer, assembled.aside, new_id)
        hub = HubDoor(rulebook, self._verifier, sealer, self._judge, nameless, assembled.aside, now_us)
        self._service = AuthzService(self._judge, audit, hub)

    @property
    def available(self) -> bool:
        """Whether calls can be judged now."""
        known = self._revocations.fresh and self._tools.fresh
        return known and (self._usage.fresh or not self._rulebook.current.judges_by_usage)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the rules in force may not do, as far as the targets' tools are known."""
        return self._warnings

    async def open(self) -> None:
        """Connect to the recorder, and begin to fetch the issuers' keys."""
        await self._revocations.start()
        await self._recorder.start()
        await self._tools.start()
        await self._usage.start()
        await self._vault.start()
        await self._handles.start()
        await self._approver.start()
        self._credentials.configure(self._rulebook.current.config.targets)
        self._credentials.prefetch()
        self._verifier.prefetch()

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add ext_authz, and what renews targets' credentials, to ``server``."""
        pb_grpc.add_AuthorizationServicer_to_server(self._service, server)
        ext_proc_grpc.add_ExternalProcessorServicer_to_server(self._renewals, server)
        return (SERVICE, RENEWALS)

    async def run(self) -> None:
        """Follow gateway.yaml, and keep the record of refused attempts up to date."""
        await asyncio.gather(self._rulebook.follow(self._reconfigure), self._judge.follow(), self._warn())

    def drain(self) -> None:
        """Answer the calls that are held; other Checks are short."""
        self._desk.drain()

    async def close(self) -> None:
        """Record what is left to say, then let go of the recorder and of the issuers."""
        await self._judge.close()
        await self._desk.close()
        await self._approver.close()
        await self._vault.close()
        await self._handles.close()
        await self._usage.close()
        await self._tools.close()
        await self._recorder.close()
        await self._revocations.close()
        await self._credentials.close()
        await self._client.aclose()

    def _reconfigure(self, in_force: InForce) -> None:
        self._trust(in_force.config)
        self._credentials.configure(in_force.config.targets)
        self._credentials.prefetch()

    def _drop_revoked(self) -> None:
        """Forget what targets are shown for those who are revoked."""
        now = now_us()
        self._credentials.drop(lambda principal: self._revocations.of_principal(principal, now) is not None)

    def _trust(self, config: GatewayConfig) -> None:
        """Take tokens of the issuers that ``config`` names, and of the gateway's own portal when there is one."""
        self._verifier.configure(
            config.issuers,
            cached=config.limits.tokens_cached,
            machines=config.machines,
            own=portal_keys(self._key, config, time.time),
            sign_ins=() if config.portal is None else [each.entity_id for each in config.portal.saml],
        )

    def _count_change(self, _targets: frozenset[str]) -> None:
        self._changes += 1

    async def _warn(self) -> None:
        """Log what the rules in force may not do, whenever that changes."""
        # Of which policy, and after how many changes of tools, the warnings are: to make them takes a while.
        warned: tuple[str, int] = ("", 0)
        while True:
            config = self._rulebook.current.config
            if warned != (config.version, self._changes):
                warned = (config.version, self._changes)
                before, self._warnings = self._warnings, await _warnings(config, self._tools)
                for warning in self._warnings:
                    if warning not in before:
                        log.warning("%s", warning)
            await asyncio.sleep(WATCH_S)


async def _warnings(config: GatewayConfig, tools: PinnedTools) -> tuple[str, ...]:
    offered = {name: names for name in config.targets if (names := tools.offered(name)) is not None}
    # In a thread: targets choose how many tools they offer, and how often those change.
    named = tuple(map(str, await asyncio.to_thread(unoffered, config.rules, offered)))
    pinning = any(target.new_tools is NewTools.DENY for target in config.targets.values())
    return named if config.operators or not pinning else (*named, _NOBODY_ACCEPTS)
