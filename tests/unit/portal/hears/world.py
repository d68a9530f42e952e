"""A listener with its room, over tellers whose keys are at hand and a recorder that can fail."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import httpx
from starlette.applications import Starlette

from countersign.config import GatewayConfig, Issuer
from countersign.config.types_portal import LogoutSource, Portal, SignalSource
from countersign.config.types_secret import Secret
from countersign.demo.issuer import SigningKey
from countersign.identity.errors import IdentityUnavailable
from countersign.portal.hears.applying import NotApplied
from countersign.portal.hears.listener import Listener
from countersign.portal.hears.room import LOGOUT_PATH, SIGNALS_PATH, Hears
from countersign.portal.hears.told import Heard
from tests.support.telling import AUDIENCE, CLIENT, ISSUER, NOW_S, TRANSMITTER, KeysOf

OTHER = "https://other.example"
BEARER = "-".join(("transmitters", "own"))
KEY, OTHERS_KEY, TRANSMITTERS_KEY = (SigningKey.new("ES256", "k1") for _ in range(3))
PORTAL = Portal(
    logouts=(LogoutSource(ISSUER, CLIENT), LogoutSource(OTHER, CLIENT)),
    signals=(
        SignalSource(TRANSMITTER, AUDIENCE, ISSUER, f"{TRANSMITTER}/keys"),
        SignalSource(OTHER, AUDIENCE, OTHER, f"{OTHER}/keys", Secret(BEARER)),
    ),
)
CONFIG = GatewayConfig(
    version="v1",
    url="https://gateway.example",
    issuers=(Issuer(ISSUER, clock_skew_s=7), Issuer(OTHER)),
    targets={},
    rules=(),
    masks={},
    auditors=(),
    postgres_dsn=None,
    portal=PORTAL,
)


class Feed:
    """Remembers what it was brought; ``fails`` has it refuse, ``held`` has it wait."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.fails = False
        self.held: asyncio.Event | None = None
        self.reached = asyncio.Event()
        self.at_once = 0
        self.most_at_once = 0

    async def apply(self, heard: Heard) -> None:
        self.reached.set()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.held is not None:
                await self.held.wait()
            if self.fails:
                raise NotApplied("UNAVAILABLE")
            self.heard.append(heard)
        finally:
            self.at_once -= 1


class Tellers:
    """The keys of those who tell; ``away`` has none of them to be had, ``held`` has all wait."""

    def __init__(self) -> None:
        self.keys = {
            ISSUER: KeysOf(KEY),
            f"{TRANSMITTER}/keys": KeysOf(TRANSMITTERS_KEY),
            OTHER: KeysOf(OTHERS_KEY),
            f"{OTHER}/keys": KeysOf(OTHERS_KEY),
        }
        self.away = False

    @property
    def asked(self) -> int:
        return sum(keys.asked for keys in self.keys.values())

    def of_issuer(self, issuer: str) -> KeysOf:
        return self.at(issuer)

    def at(self, jwks_url: str) -> KeysOf:
        if self.away:
            raise IdentityUnavailable("away")
        return self.keys[jwks_url]


@dataclass
class World:
    config: GatewayConfig = CONFIG
    now_s: float = NOW_S
    feed: Feed = field(default_factory=Feed)
    tellers: Tellers = field(default_factory=Tellers)

    def __post_init__(self) -> None:
        listener = Listener(lambda: self.config, self.tellers, self.feed, lambda: self.now_s)
        self.room = Hears(listener)
        transport = httpx.ASGITransport(Starlette(routes=self.room.routes()))
        self.client = httpx.AsyncClient(transport=transport, base_url="https://gateway.example")

    def without_portal(self) -> None:
        self.config = replace(self.config, portal=None)

    async def logout(self, token: str) -> httpx.Response:
        return await self.client.post(LOGOUT_PATH, data={"logout_token": token})

    async def signal(self, token: str, **headers: str) -> httpx.Response:
        sent = {"content-type": "application/secevent+jwt", **headers}
        return await self.client.post(SIGNALS_PATH, content=token, headers=sent)
