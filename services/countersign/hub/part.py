"""The hub in a process: its web server, and what it asks inside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import grpc

from countersign.config import GatewayConfig, Target
from countersign.hub.app import HubApp
from countersign.hub.cursors import Cursors
from countersign.hub.dismissals import Dismissals
from countersign.hub.door import Door
from countersign.hub.inside import Caller, Inside
from countersign.hub.listing import Listing
from countersign.hub.peers import Owners, Peers
from countersign.hub.relay import Relay
from countersign.hub.sessions import Sessions
from countersign.hub.streams import Streams
from countersign.policy import Policy
from countersign.runtime.aside import Aside
from countersign.runtime.guarded import Guarded
from countersign.runtime.listening import bound
from countersign.runtime.live import Live
from countersign.runtime.moments import new_id, now_us
from countersign.runtime.revocations import Followed
from countersign.runtime.sealing import Sealer, service_token
from countersign.runtime.trust import is_private
from countersign.runtime.web import WebServer

AT_ONCE = 4_096
"""Requests under way at once, streams among them."""
# To read a larger message, and to put it into the door's words, would hold up everybody else: 8 MiB take 0.7 s.
_ASIDE_FROM_BYTES = 32 * 1024
_ASIDE_AT_ONCE = 2


class Usable:
    """Which targets a caller may use anything of, by the rules in force: no other is asked for them."""

    def __init__(self, config: Callable[[], GatewayConfig]) -> None:
        self._config = config
        self._made: tuple[GatewayConfig, Policy] | None = None

    def __call__(self, caller: Caller) -> list[Target]:
        """Return them in the order of gateway.yaml."""
        config = self._config()
        if self._made is None or self._made[0] is not config:
            # Arguments and conditions aside: those are for the judge.
            rules = [replace(rule, args=(), when="") for rule in config.rules]
            self._made = (config, Policy(rules, version=config.version))
        policy = self._made[1]
        return [target for target in config.targets.values() if policy.admits(caller.principal, target.name)]


class HubPart:
    """Serves the one door on ``listen`` (``HOST:PORT`` or ``unix:/path``); see ``countersign.runtime.serving.Part``.

    ``inner`` is where Envoy listens to it. ``key`` is the deployment's; ``config`` returns the version in force, which
    may change; ``revocations`` end what waits for a client while nothing is under way inside. On TCP it answers nobody
    but Envoy. Raises ``countersign.runtime.listening.CannotListen`` when made.
    """

    def __init__(
        self, listen: str, inner: str, *, key: bytes, config: Callable[[], GatewayConfig], revocations: Followed
    ) -> None:
        self._listener = bound(listen)
        self._revocations = revocations
        token = service_token(key)
        self._inside = Inside(inner, token, config)
        sealer = Sealer(key)
        aside = Aside(from_bytes=_ASIDE_FROM_BYTES, at_once=_ASIDE_AT_ONCE)
        peers = Peers(self._inside, config, aside, time.monotonic)
        live = Live(revocations, now_us)
        dismissals = Dismissals(self._inside, peers)
        self._relay = relay = Relay(self._inside, peers, dismissals, config, aside, live)
        door = Door(
            config,
            Usable(config),
            peers,
            Sessions(sealer, Owners(), new_id),
            Listing(peers, Cursors(key), config, aside),
            relay,
            Streams(self._inside, peers, relay, live),
            dismissals,
            aside,
        )
        app = HubApp(door, sealer, lambda: config().limits.request_bytes)
        guarded = Guarded(app, lambda: config().hub, "" if is_private(listen) else token, "There is no hub.\n")
        self._server = WebServer(guarded, self._listener, at_once=AT_ONCE)
        self._task: asyncio.Task[None] | None = None

    @property
    def available(self) -> bool:
        """Whether it takes requests."""
        return self._server.serving

    async def open(self) -> None:
        """Begin to follow what is revoked; whoever else is away is so for the calls that need it."""
        await self._revocations.start()

    def register(self, _: grpc.aio.Server) -> tuple[str, ...]:
        """Add nothing: over gRPC there are health and status only."""
        return ()

    async def run(self) -> None:
        """Serve until closed or cancelled."""
        self._task = asyncio.ensure_future(self._server.listen())
        try:
            await asyncio.shield(self._task)
        finally:
            self._server.end()

    def drain(self) -> None:
        """Take no more requests."""
        self._server.end()

    async def close(self) -> None:
        """Let requests under way end, and let go of everything."""
        self._server.end()
        if self._task is not None:
            await asyncio.wait({self._task})
        self._listener.close()
        await self._relay.close()
        await self._inside.close()
        await self._revocations.close()
