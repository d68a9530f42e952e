"""The portal's SAML as browsers and programs meet it, without Postgres."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit
from zlib import MAX_WBITS, decompress

import httpx
import jwt
from lxml import etree
from starlette.applications import Starlette

from countersign.config import GatewayConfig
from countersign.config.types_portal import Portal, SamlProvider
from countersign.identity import TokenVerifier
from countersign.portal.desk import Desk
from countersign.portal.hears.applying import Applying
from countersign.portal.issuing import Issuing, TokenAnswer
from countersign.portal.ports import Shared
from countersign.portal.saml.room import GRANT_TYPE, Saml
from countersign.portal.store import PostgresSignIns, SignIn
from countersign.runtime.guarded import Guarded
from tests.support.memory_used import MemoryUsedOnce
from tests.support.revoking import FakeRevocations
from tests.support.saml_documents import NOW_S, REQUEST_ID, Signer, Told, posted

URL = "https://gateway.example.com"
COMPANY = "/portal/saml/company"


class MemorySignIns:
    """Those of ``PostgresSignIns`` that signing in needs."""

    def __init__(self) -> None:
        self.begun: list[SignIn] = []

    async def begin(self, sign_in: SignIn, now_us: int) -> None:
        self.begun.append(sign_in)


@dataclass
class Browser:
    """A browser that was sent to the provider: with what, and what it keeps meanwhile."""

    request_id: str
    state: str
    cookie: str


@dataclass
class World:
    """A portal at ``URL`` whose first provider is ``provider``; ``now_s`` is its clock."""

    provider: SamlProvider
    others: tuple[SamlProvider, ...] = ()
    portal: Portal = field(default_factory=Portal)
    now_s: float = NOW_S
    revocations: FakeRevocations = field(default_factory=FakeRevocations)
    used: MemoryUsedOnce = field(default_factory=MemoryUsedOnce)
    sign_ins: MemorySignIns = field(default_factory=MemorySignIns)

    def __post_init__(self) -> None:
        self.portal = replace(self.portal, saml=(self.provider, *self.others))
        self.config = GatewayConfig(
            version="v1",
            url=URL,
            issuers=(),
            targets={},
            rules=(),
            masks={},
            auditors=(),
            postgres_dsn=None,
            portal=self.portal,
        )
        key, client = secrets.token_bytes(32), httpx.AsyncClient(transport=httpx.MockTransport(_nowhere))
        issuing = Issuing(key, lambda: self.config, self.revocations, self.now_us, self._random)
        store = cast(PostgresSignIns, self.sign_ins)
        self.room = Saml(
            Shared(
                key=key,
                config=lambda: self.config,
                used=self.used,
                client=client,
                verifier=TokenVerifier((), client, revocations=self.revocations, cached=0),
                revocations=self.revocations,
                # Nothing is revoked by SAML.
                applying=cast(Applying, None),
                desk=Desk(key, lambda: self.config, store, issuing, self.now_us, self._random),
                issuing=issuing,
                now_us=self.now_us,
                monotonic=lambda: self.now_s,
                random=self._random,
            )
        )
        app = Guarded(Starlette(routes=list(self.room.routes())), lambda: True, "", "")
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL)

    def now_us(self) -> int:
        return int(self.now_s * 1_000_000)

    def _random(self) -> str:
        return secrets.token_urlsafe(32)

    async def begin(self, then: str = "") -> Browser:
        """Have a browser sent to the provider."""
        answer = await self.http.get(f"{COMPANY}/login", params={"then": then} if then else {})
        assert answer.status_code == 303
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        request = etree.fromstring(decompress(urlsafe_standard(query["SAMLRequest"][0]), -MAX_WBITS))
        cookie = answer.headers["set-cookie"]
        self.http.cookies.clear()
        return Browser(request.get("ID") or "", query["RelayState"][0], cookie)

    async def post(self, document: bytes, browser: Browser, **changes: Any) -> httpx.Response:
        """Post an answer as the provider's page has the browser do; ``changes`` are of form and cookie."""
        form = {"SAMLResponse": posted(document), "RelayState": browser.state, **changes.pop("form", {})}
        pair = changes.pop("cookie", browser.cookie).partition(";")[0]
        headers = {"cookie": pair, "origin": "https://idp.example.com", "sec-fetch-site": "cross-site"}
        return await self.http.post(f"{COMPANY}/acs", data=form, headers=headers)

    async def sign_in(self, signer: Signer, told: Told | None = None) -> httpx.Response:
        """Sign in from beginning to end."""
        browser = await self.begin()
        return await self.post(answering(browser, signer, told), browser)

    async def grant(self, form: Mapping[str, str]) -> TokenAnswer:
        """Ask for a token."""
        return await self.room.grants()[GRANT_TYPE](form)


def answering(browser: Browser, signer: Signer, told: Told | None = None) -> bytes:
    """Return a good answer to a browser's request."""
    told = told or Told()
    asked = {
        name: browser.request_id
        for name in ("in_response_to", "confirmed_request")
        if getattr(told, name) == REQUEST_ID
    }
    return told.but(**asked).signed(signer)


def claims_of(answer: TokenAnswer) -> dict[str, Any]:
    """Return what a token says."""
    return jwt.decode(answer.access_token, options={"verify_signature": False})


def urlsafe_standard(text: str) -> bytes:
    """Return what base64 holds."""
    return urlsafe_b64decode(text.replace("+", "-").replace("/", "_"))


def _nowhere(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"{request.url} was fetched")
