"""The portal, an issuer and browsers, joined without a network; what the portal keeps is in a real Postgres."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from countersign.config import GatewayConfig, Target
from countersign.config import Issuer as ConfiguredIssuer
from countersign.config.types import Portal as PortalSection
from countersign.config.types import PortalClient, SignInClient
from countersign.demo.codes import Client
from countersign.demo.issuer import Issuer
from countersign.demo.people import Person as Somebody
from countersign.model.principal import Principal
from countersign.model.revocation import Revocation, RevocationList
from countersign.portal.app import Portal
from countersign.portal.devices import LETTERS
from countersign.portal.hears.applying import NotApplied
from countersign.portal.hears.told import Heard
from countersign.portal.signing_in import callback_of
from countersign.portal.store import PostgresSignIns
from countersign.portal.used import PostgresUsedOnce
from tests.support.forms import Forms

GATEWAY, ISSUER = "https://gateway.test", "https://issuer.test"
ORDERS, STOCK = f"{GATEWAY}/orders/mcp", f"{GATEWAY}/stock/mcp"
CLI, EDITOR = "countersign-cli", "editor"
BACK = "http://127.0.0.1:7777/callback"
KEY = bytes(range(32))
SECOND = 1_000_000
PEOPLE = (
    Somebody("alice", ("analysts",)),
    Somebody("bob", ("ops",)),
    Somebody("<script>alert(1)</script>", ()),
    Somebody("many", tuple(f"group-{number:04}-{'x' * 40}" for number in range(180))),
)


class Told:
    """What is revoked: what the portal applied, and what a test says."""

    def __init__(self) -> None:
        self.fresh = True
        self.away = False
        self.known = RevocationList()
        self.heard: list[Heard] = []

    def of_principal(self, principal: Principal, now_us: int) -> Revocation | None:
        return self.known.of_principal(principal, now_us)

    def of_session(self, session_id: str, now_us: int) -> Revocation | None:
        return self.known.of_session(session_id, now_us)

    def on_change(self, callback: object) -> None:
        """Nobody is told."""

    async def apply(self, heard: Heard) -> None:
        if self.away:
            raise NotApplied("away")
        self.heard.append(heard)
        for number, one in enumerate(heard.revocations):
            self.known.put(
                Revocation(
                    f"{len(self.heard)}-{number}", one.kind, one.issuer, one.value, one.reason, 0, None, one.until_us
                )
            )

    async def close(self) -> None:
        """Nothing is open."""


class World:
    """Everything of one test. ``later_s`` moves the clock."""

    def __init__(self, dsn: str) -> None:
        self.later_s = 0.0
        self.told = Told()
        self.issuer = Issuer(ISSUER, PEOPLE)
        self.issuer.codes.clients["portal"] = Client("portal", (GATEWAY + callback_of(ISSUER),), None)
        self.config = config()
        self.store, self.used = PostgresSignIns(dsn), PostgresUsedOnce(dsn)
        self.issuer_app = httpx.ASGITransport(self.issuer.app())
        self._client = httpx.AsyncClient(transport=self.issuer_app)
        self.portal = Portal(
            key=KEY,
            config=lambda: self.config,
            store=self.store,
            used=self.used,
            revocations=self.told,
            applying=self.told,
            client=self._client,
            now_us=self.now_us,
            monotonic=lambda: time.monotonic() + self.later_s,
            random=lambda: secrets.token_urlsafe(32),
            letters=lambda count: "".join(secrets.choice(LETTERS) for _ in range(count)),
        )
        self.app = httpx.ASGITransport(self.portal.app())

    def now_us(self) -> int:
        return int((time.time() + self.later_s) * SECOND)

    def browser(self) -> Browser:
        return Browser(self)

    async def close(self) -> None:
        await self._client.aclose()
        await self.store.close()
        await self.used.close()


def config(**portal: Any) -> GatewayConfig:
    targets = {
        name: Target(name=name, mcp_url=f"https://{name}.test/mcp", credential=None, resource=f"{GATEWAY}/{name}/mcp")
        for name in ("orders", "stock")
    }
    section = PortalSection(
        oidc=(SignInClient(ISSUER, "portal"),),
        clients=(PortalClient(EDITOR, ("https://editor.test/back?x=1",)),),
        **portal,
    )
    return GatewayConfig(
        version="v1",
        url=GATEWAY,
        issuers=(ConfiguredIssuer(ISSUER),),
        targets=MappingProxyType(targets),
        rules=(),
        masks={},
        auditors=(),
        postgres_dsn=None,
        portal=section,
    )


@dataclass
class Pkce:
    """What a program keeps while its person signs in."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")


def asked(pkce: Pkce, **other: str) -> str:
    """The path of an authorization request; a field that is empty is left out."""
    fields = {
        "response_type": "code",
        "client_id": CLI,
        "redirect_uri": BACK,
        "resource": ORDERS,
        "state": "the-state",
        "code_challenge": pkce.challenge,
        "code_challenge_method": "S256",
        **other,
    }
    return "/portal/authorize?" + urlencode({name: value for name, value in fields.items() if value})


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


class Browser:
    """What keeps cookies and follows links, of one person at one machine. Programs' requests go without its cookies."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.http = httpx.AsyncClient(transport=world.app, mounts={ISSUER: world.issuer_app}, base_url=GATEWAY)

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(path)

    async def to_issuer(self, path: str = "/portal/oidc/begin?at=" + ISSUER) -> str:
        """Follow our redirects until the issuer's page; return its URL."""
        while not path.startswith(ISSUER):
            answer = await self.get(path)
            assert answer.status_code == 303, (answer.status_code, answer.text)
            path = answer.headers["location"]
        return path

    async def back_from_issuer(self, place: str, name: str) -> str:
        """Say who one is at the issuer; return where the browser is sent back to."""
        return (await self.http.get(f"{place}&{urlencode({'login_hint': name})}")).headers["location"]

    async def sign_in(self, name: str, path: str = "/portal/oidc/begin?at=" + ISSUER) -> httpx.Response:
        """Sign in as somebody; return the answer to the issuer's."""
        return await self.get(await self.back_from_issuer(await self.to_issuer(path), name))

    async def form(self, page: httpx.Response, action: str) -> dict[str, str]:
        return Forms.of(page.text)[action]

    async def agree(self, path: str, answer: str = "yes") -> httpx.Response:
        """Open the page that asks, and answer it."""
        fields = await self.form(await self.get(path), "/portal/authorize")
        return await self.http.post("/portal/authorize", data={**fields, "answer": answer})

    async def code(self, pkce: Pkce, **other: str) -> str:
        """Let a program in, signed in already; return its code."""
        return query_of((await self.agree(asked(pkce, **other))).headers["location"])["code"]

    async def token(self, **form: str) -> httpx.Response:
        """A program's token request."""
        async with httpx.AsyncClient(transport=self.world.app, base_url=GATEWAY) as program:
            return await program.post("/portal/token", data=form)

    async def redeem(self, pkce: Pkce, code: str, **other: str) -> httpx.Response:
        fields = {
            "grant_type": "authorization_code",
            "client_id": CLI,
            "redirect_uri": BACK,
            "code": code,
            "code_verifier": pkce.verifier,
        }
        return await self.token(**{**fields, **other})

    async def refresh(self, token: str, **other: str) -> httpx.Response:
        return await self.token(**{"grant_type": "refresh_token", "client_id": CLI, "refresh_token": token, **other})

    async def let_in(self, name: str = "alice", **other: str) -> dict[str, Any]:
        """Sign in and let the command line in; return its tokens."""
        pkce = Pkce()
        await self.sign_in(name, asked(pkce, **other))
        answer = await self.redeem(pkce, await self.code(pkce, **other))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def post(self, path: str, **form: str) -> httpx.Response:
        return await self.http.post(path, data=form)
