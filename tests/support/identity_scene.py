"""All ways to be identified, and to be told of logouts: two issuers, a SAML provider, a token server, one gateway.

Whatever lets somebody in can be noted as it passes, to be searched for afterwards.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import grpc
import httpx

from countersign.api.access.v1 import revocations_pb2
from countersign.api.access.v1.revocations_pb2_grpc import RevocationServiceStub
from countersign.demo.codes import Client
from countersign.demo.issuer import SigningKey
from countersign.demo.people import PEOPLE, Person
from countersign.portal.hears.logouts import LOGOUT_EVENT
from countersign.portal.hears.room import LOGOUT_PATH, SIGNALS_PATH
from countersign.portal.signing_in import callback_of
from tests.support.browser_cookies import BrowserCookies
from tests.support.clients import call, post
from tests.support.collector import Collector
from tests.support.gateway import Gateway, Setup, Upstream, free_port
from tests.support.in_turn import InTurn
from tests.support.issuer import RunningIssuer, running_issuer
from tests.support.saml_idp import Idp, running_idp
from tests.support.token_server import CLIENT_ID, TokenServer, running_token_server

CLIENT = "countersign"
AUDIENCE = "urn:example:gateway"
RULES = ({"name": "analysts ask", "allow": {"groups": ["analysts"], "targets": ["orders"], "tools": ["query"]}},)
SHORTEST = 8
SECRET_FIELDS = ("access_token", "refresh_token", "id_token", "device_code", "user_code")


@dataclass
class Noted:
    """What lets somebody in, by what it is; and what was said to those who were not let in."""

    secrets: dict[str, str] = field(default_factory=dict)
    refusals: list[tuple[str, str]] = field(default_factory=list)

    def note(self, what: str, secret: str) -> str:
        assert len(secret) >= SHORTEST, what
        self.secrets[secret] = what
        return secret

    async def look(self, response: httpx.Response) -> None:
        """Note what an answer gives; to be called for each."""
        await response.aread()
        for cookie in response.headers.get_list("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            if len(value) >= SHORTEST:
                self.note(f"cookie {name}", value)
        for code in parse_qs(urlsplit(response.headers.get("location", "")).query).get("code", []):
            self.note("code", code)
        if response.headers.get("content-type", "").startswith("application/json"):
            said = response.json()
            for name in SECRET_FIELDS:
                if isinstance(said, dict) and name in said:
                    self.note(name, said[name])
        if response.status_code >= 400:
            self.refusals.append((f"{response.status_code} {response.url.path}", f"{response.headers} {response.text}"))

    def canaries(self) -> dict[bytes, str]:
        """Return what to search for: all of it, and of what is signed each part but the header."""
        parts = dict(self.secrets)
        parts |= {part: f"part of {what}" for secret, what in self.secrets.items() for part in secret.split(".")[1:]}
        parts |= {secret.replace("-", ""): what for secret, what in self.secrets.items() if what == "user_code"}
        return {part.encode(): what for part, what in parts.items() if len(part) >= SHORTEST}


@dataclass
class Scene:
    """A gateway that hears of logouts from two issuers, and of events of the first's people from the second."""

    gateway: Gateway
    issuer: RunningIssuer
    other: RunningIssuer
    idp: Idp
    tokens: TokenServer
    bearer: str
    client_secret: str
    port: int
    noted: Noted = field(default_factory=Noted)

    @property
    def orders(self) -> str:
        return self.gateway.endpoint("orders")

    def at(self, path: str) -> str:
        return f"{self.gateway.url}{path}"

    def client(self) -> httpx.AsyncClient:
        """A client, be it a browser or a program, of which all that lets somebody in is noted."""
        cookies = BrowserCookies()

        async def show(request: httpx.Request) -> None:
            cookies.show(request)

        async def take(response: httpx.Response) -> None:
            cookies.take(response)

        return httpx.AsyncClient(event_hooks={"request": [show], "response": [take, self.noted.look]}, timeout=20)

    def token(self, person: str, **claims: object) -> str:
        return self.issuer.token(person, self.orders, **claims)

    async def calls(self, token: str) -> httpx.Response:
        return await post(self.orders, token, call("query"))

    async def logout(self, by: RunningIssuer, **changed: object) -> httpx.Response:
        return await self.logout_signed(by, None, changed)

    async def logout_signed(
        self, by: RunningIssuer, key: SigningKey | None, changed: Mapping[str, object]
    ) -> httpx.Response:
        now_s = int(time.time())
        claims = {
            "iss": self.issuer.url,
            "aud": CLIENT,
            "iat": now_s,
            "exp": now_s + 120,
            "jti": uuid.uuid4().hex,
            "events": {LOGOUT_EVENT: {}},
            **changed,
        }
        token = self.noted.note("logout token", by.issuer.sign(claims, headers={"typ": "logout+jwt"}, key=key))
        async with self.client() as http:
            return await http.post(f"{self.gateway.url}{LOGOUT_PATH}", data={"logout_token": token})

    async def signal(self, event_type: str, subject: Mapping[str, str], *, bearer: str | None = None) -> httpx.Response:
        claims = {
            "iss": self.other.url,
            "aud": AUDIENCE,
            "iat": int(time.time()),
            "jti": uuid.uuid4().hex,
            "sub_id": subject,
            "events": {event_type: {}},
        }
        token = self.noted.note("event token", self.other.issuer.sign(claims, headers={"typ": "secevent+jwt"}))
        headers = {"content-type": "application/secevent+jwt", "authorization": f"Bearer {bearer or self.bearer}"}
        async with self.client() as http:
            return await http.post(f"{self.gateway.url}{SIGNALS_PATH}", content=token, headers=headers)

    async def listed(self, value: str) -> list[revocations_pb2.Revocation]:
        metadata = (("authorization", f"Bearer {self.issuer.token('carol', self.gateway.url)}"),)
        async with grpc.aio.insecure_channel(urlsplit(self.gateway.url).netloc) as channel:
            asked = revocations_pb2.ListRevocationsRequest(value=value)
            answer = await RevocationServiceStub(channel).ListRevocations(asked, metadata=metadata, timeout=15)
        return list(answer.revocations)


@contextmanager
def scene_of(in_turn: InTurn, folder: Path) -> Iterator[Scene]:
    """All of it; secrets that gateway.yaml names are kept in ``folder``. In the end no span may hold what was noted."""
    port, bearer, client_secret = free_port(), secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    people = (*PEOPLE, Person("olga", ("operators",)))
    with (
        running_issuer(people) as issuer,
        running_issuer(people) as other,
        running_token_server() as tokens,
        running_idp(folder, sign="both") as idp,
    ):
        sign_in = {"issuer": issuer.url, "client_id": CLIENT, "client_secret": _private(folder / "c", client_secret)}
        signals = {
            "issuer": other.url,
            "audience": AUDIENCE,
            "subjects_of": issuer.url,
            "jwks": f"{other.url}/jwks",
            "token": _private(folder / "b", bearer),
        }
        exchange = {
            "token_url": f"{tokens.url}/token",
            "client_id": CLIENT_ID,
            "client_secret": _private(folder / "t", tokens.client_secret),
            "audience": "orders",
        }
        extra = {
            "identity": {"oidc": [{"issuer": each.url, "clock_skew": "1s"} for each in (issuer, other)]},
            "portal": {
                "oidc": [sign_in],
                "saml": [idp.entry()],
                "logout": [{"issuer": each.url, "client_id": CLIENT} for each in (issuer, other)],
                "signals": [signals],
            },
            "operators": {"groups": ["operators"]},
        }
        upstream = Upstream(f"http://127.0.0.1:{port}/mcp", extra={"credential": {"exchange": exchange}})
        gateway = in_turn.take(Setup(issuer.url, {"orders": upstream}, RULES, {}, extra))
        idp.know(httpx.get(f"{gateway.url}/portal/saml/company/metadata").raise_for_status().content)
        back = f"{gateway.url}{callback_of(issuer.url)}"
        issuer.issuer.codes.clients[CLIENT] = Client(CLIENT, (back,), client_secret)
        scene = Scene(gateway, issuer, other, idp, tokens, bearer, client_secret, port)
        in_turn.once_stopped.append(lambda: _check_spans(in_turn.collector, scene.noted))
        yield scene


def _check_spans(collector: Collector, noted: Noted) -> None:
    exported = "\n".join(collector.received).encode()
    assert {service for service, _ in collector.spans} >= {"countersign-authz", "countersign-envoy"}
    assert {what for canary, what in noted.canaries().items() if canary in exported} == set()


def _private(file: Path, secret: str) -> dict[str, str]:
    file.touch(mode=0o600)
    file.write_text(secret)
    return {"file": str(file)}
