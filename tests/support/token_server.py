"""Authorization servers, Vault and Kubernetes, as far as a gateway asks them: strict about what they are asked.

What is asked is that of RFC 6749 (4.4), RFC 8693, RFC 7523 and the ID-JAG draft; of Vault's HTTP API, KV version 2
(``GET /v1/{mount}/data/{path}``) and its logins; and of Kubernetes' API for secrets. Who asks otherwise is refused.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from countersign.demo.serving import ThreadedServer

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
BY_ASSERTION = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"
CLIENT_ID = "gateway"


@dataclass(slots=True)
class Given:
    """A token that was given: for whom, and whether targets take it."""

    subject: str
    good: bool = True


@dataclass(slots=True)
class TokenServer:
    """Gives tokens; ``lie`` takes the place of an answer once it is set. ``asked`` are the forms that came.

    Targets take none of its tokens while it is ``refusing``.
    """

    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    vault_token: str = field(default_factory=lambda: "hvs." + secrets.token_urlsafe(24))
    life_s: int | None = 3600
    lie: Callable[[Request], Response] | None = None
    slow_s: float = 0.0
    refusing: bool = False
    asked: list[Mapping[str, str]] = field(default_factory=list)
    given: dict[str, Given] = field(default_factory=dict)
    stored: dict[str, Mapping[str, str]] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    subjects: Callable[[str], str] = lambda token: str(jwt.decode(token, options={"verify_signature": False})["sub"])
    url: str = ""

    def takes(self, authorization: str | None) -> str | None:
        """Whose token this is, if a target would take it."""
        given = self.given.get((authorization or "").removeprefix("Bearer "))
        return given.subject if given is not None and given.good and not self.refusing else None

    def spoil(self) -> None:
        """Have targets refuse all tokens that were given so far."""
        for given in self.given.values():
            given.good = False

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/token", self._token, methods=["POST"]),
                Route("/v1/{path:path}", self._vault, methods=["GET", "POST"]),
                Route("/api/v1/namespaces/{namespace}/secrets/{name}", self._kubernetes),
            ]
        )

    async def _token(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        self.asked.append(form)
        if self.slow_s:
            await asyncio.sleep(self.slow_s)
        if self.lie is not None:
            return self.lie(request)
        expected = base64.b64encode(f"{CLIENT_ID}:{self.client_secret}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            return JSONResponse({"error": "invalid_client"}, 401)
        answers = {
            "client_credentials": self._own,
            EXCHANGE: self._exchanged,
            BY_ASSERTION: self._asserted,
        }
        found = answers.get(form.get("grant_type", ""))
        return JSONResponse({"error": "unsupported_grant_type"}, 400) if found is None else found(form)

    def _own(self, form: Mapping[str, str]) -> Response:
        return self._give(CLIENT_ID)

    def _exchanged(self, form: Mapping[str, str]) -> Response:
        subject = self.subjects(form["subject_token"])
        if form["requested_token_type"] == ID_JAG:
            assertion = self._give(subject, "N_A", ID_JAG)
            return assertion if form.get("audience") == "https://as.test" else JSONResponse({"error": "invalid"}, 400)
        return self._give(subject, kind=ACCESS_TOKEN)

    def _asserted(self, form: Mapping[str, str]) -> Response:
        given = self.given.get(form["assertion"])
        return JSONResponse({"error": "invalid_grant"}, 400) if given is None else self._give(given.subject)

    def _give(self, subject: str, token_type: str = "Bearer", kind: str | None = None) -> Response:
        token = "given-" + secrets.token_urlsafe(24)
        self.given[token] = Given(subject, good=token_type == "Bearer")
        members: dict[str, object] = {"access_token": token, "token_type": token_type}
        members |= {} if self.life_s is None else {"expires_in": self.life_s}
        return JSONResponse(members | ({} if kind is None else {"issued_token_type": kind}))

    async def _vault(self, request: Request) -> Response:
        path = request.path_params["path"]
        self.read.append(path)
        if self.lie is not None:
            return self.lie(request)
        if request.headers.get("x-vault-request") != "true":
            return JSONResponse({"errors": ["missing X-Vault-Request"]}, 412)
        if request.method == "POST":
            return self._login(path, json.loads(await request.body()))
        if request.headers.get("x-vault-token") != self.vault_token:
            return JSONResponse({"errors": ["permission denied"]}, 403)
        if path not in self.stored:
            return JSONResponse({"errors": []}, 404)
        return JSONResponse({"data": {"data": self.stored[path], "metadata": {"version": 1, "destroyed": False}}})

    def _login(self, path: str, body: Mapping[str, str]) -> Response:
        wanted = {
            "auth/approle/login": {"role_id": "role", "secret_id": self.client_secret},
            "auth/kubernetes/login": {"role": "role", "jwt": self.client_secret},
        }
        if body != wanted.get(path):
            return JSONResponse({"errors": ["invalid role or proof"]}, 400)
        return JSONResponse({"auth": {"client_token": self.vault_token, "lease_duration": 60, "renewable": True}})

    async def _kubernetes(self, request: Request) -> Response:
        name = f"{request.path_params['namespace']}/{request.path_params['name']}"
        self.read.append(name)
        if request.headers.get("authorization") != f"Bearer {self.client_secret}":
            return JSONResponse({"kind": "Status", "code": 401}, 401)
        if name not in self.stored:
            return JSONResponse({"kind": "Status", "code": 404}, 404)
        data = {key: base64.b64encode(value.encode()).decode() for key, value in self.stored[name].items()}
        return JSONResponse({"kind": "Secret", "data": data})


@contextmanager
def running_token_server() -> Iterator[TokenServer]:
    """A server at a free port of 127.0.0.1, on a thread of its own."""
    server = TokenServer()
    with ThreadedServer(server.app()) as threaded:
        server.url = threaded.url
        yield server
