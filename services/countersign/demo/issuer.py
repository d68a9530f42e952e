"""Demo only: an OpenID Connect issuer for three invented people, for `countersign demo` and for tests.

It serves what a gateway needs of an issuer: discovery (OpenID Connect Discovery 1.0, section 4), keys (RFC 7517), a
token endpoint (RFC 6749, section 4.4, with the person's name as the client id) that honours the ``resource``
parameter (RFC 8707) as the token's audience, and sign-in on web pages by codes (see ``codes``), where everybody is who
they say they are. Run alone: ``python -m countersign.demo.issuer --port 8090``.
"""

from __future__ import annotations

import hmac
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import typer
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from countersign.demo.codes import Client, Codes, NotAsked, Refused
from countersign.demo.people import PEOPLE, SHARED_SECRET, Person
from countersign.demo.serving import serve_in_foreground

PAGE_CLIENT = "countersign-page"
"""The name by which the demo's page of approvals is known to its issuer: a public client."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with the key id and the algorithm it signs by. Never leaves the process."""

    kid: str
    algorithm: str
    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    @staticmethod
    def new(algorithm: str = "ES256", kid: str | None = None) -> SigningKey:
        """Make a fresh key for ES256 or RS256; the key id is random unless given.

        Raises:
            ValueError: for any other algorithm.
        """
        name = kid if kid is not None else uuid.uuid4().hex[:12]
        if algorithm == "ES256":
            return SigningKey(name, algorithm, ec.generate_private_key(ec.SECP256R1()))
        if algorithm == "RS256":
            return SigningKey(name, algorithm, rsa.generate_private_key(public_exponent=65537, key_size=2048))
        raise ValueError(f"the demo issuer signs by ES256 or RS256, not {algorithm}")

    def public_jwk(self) -> dict[str, object]:
        """The public half as a JWK for signatures (RFC 7517, section 4)."""
        if isinstance(self.private, rsa.RSAPrivateKey):
            jwk = RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        else:
            jwk = ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**jwk, "kid": self.kid, "alg": self.algorithm, "use": "sig"}


class Issuer:
    """Keys, tokens and the pages of one issuer at ``url`` (no slash at its end); safe to change while it is served.

    ``fetches`` counts the requests for each page: ``discovery``, ``jwks``, ``authorize`` and ``token``.
    ``codes.clients`` are the applications that people sign in to, by their ids.
    """

    def __init__(
        self,
        url: str,
        people: Sequence[Person] = PEOPLE,
        *,
        algorithm: str = "ES256",
        token_life_s: int = 3600,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url = url
        self.fetches: Counter[str] = Counter()
        self._people = {person.name: person for person in people}
        self._token_life_s = token_life_s
        self._clock = clock
        self._keys = [SigningKey.new(algorithm)]
        self.codes = Codes(lambda: self.url, clock)

    @property
    def key(self) -> SigningKey:
        """The key that signs new tokens."""
        return self._keys[-1]

    def rotate(self, *, keep_old: bool = True, algorithm: str | None = None) -> SigningKey:
        """Sign by a new key from now on; the old ones stay published unless ``keep_old`` is false."""
        new = SigningKey.new(algorithm or self.key.algorithm)
        self._keys = [*self._keys, new] if keep_old else [new]
        return new

    def claims(self, person: str, audience: str | Sequence[str]) -> dict[str, object]:
        """The claims of a good token for a known person, valid from now on.

        Raises:
            KeyError: when nobody of that name exists.
        """
        now = int(self._clock())
        return {
            "iss": self.url,
            "sub": self._people[person].name,
            "aud": audience if isinstance(audience, str) else list(audience),
            "iat": now,
            "nbf": now,
            "exp": now + self._token_life_s,
            "jti": uuid.uuid4().hex,
            "groups": list(self._people[person].groups),
        }

    def token(self, person: str, audience: str | Sequence[str]) -> str:
        """A good token for a known person.

        Raises:
            KeyError: when nobody of that name exists.
        """
        return self.sign(self.claims(person, audience))

    def id_token(self, person: str, client_id: str, nonce: str) -> str:
        """What tells a client who signed in (OpenID Connect Core 1.0, section 2); like most, it says no ``nbf``.

        Raises:
            KeyError: when nobody of that name exists.
        """
        claims = {name: value for name, value in self.claims(person, client_id).items() if name != "nbf"}
        return self.sign({**claims, **({"nonce": nonce} if nonce else {})}, headers={"typ": "JWT"})

    def sign(
        self,
        claims: Mapping[str, object],
        *,
        headers: Mapping[str, object] | None = None,
        key: SigningKey | None = None,
    ) -> str:
        """A JWT of any claims, by any key (the current one unless given); ``headers`` override ``kid`` and ``typ``."""
        signer = key or self.key
        merged = {"kid": signer.kid, "typ": "at+jwt", **(headers or {})}
        return jwt.encode(dict(claims), signer.private, algorithm=signer.algorithm, headers=merged)

    def discovery(self) -> dict[str, object]:
        """The provider's metadata document."""
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "grant_types_supported": ["authorization_code", "client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "scopes_supported": ["openid"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": sorted({key.algorithm for key in self._keys}),
        }

    def jwks(self) -> dict[str, list[dict[str, object]]]:
        """The published keys."""
        return {"keys": [key.public_jwk() for key in self._keys]}

    def app(self) -> Starlette:
        """The issuer as an ASGI application."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._serve_discovery),
                Route("/jwks", self._serve_jwks),
                Route("/authorize", self._serve_authorize),
                Route("/token", self._serve_token, methods=["POST"]),
            ]
        )

    async def _serve_discovery(self, _: Request) -> JSONResponse:
        self.fetches["discovery"] += 1
        return JSONResponse(self.discovery())

    async def _serve_jwks(self, _: Request) -> JSONResponse:
        self.fetches["jwks"] += 1
        return JSONResponse(self.jwks())

    async def _serve_authorize(self, request: Request) -> Response:
        self.fetches["authorize"] += 1
        query = {name: values[0] for name, values in parse_qs(request.url.query).items() if len(values) == 1}
        try:
            asked = self.codes.asked(query)
        except NotAsked as error:
            return PlainTextResponse(str(error), status_code=400)
        except Refused as error:
            return RedirectResponse(error.location, 302, _NO_STORE)
        if not asked.person:
            return HTMLResponse(_who_are_you(query, list(self._people)), headers=_NO_STORE)
        if asked.person not in self._people:
            return RedirectResponse(
                self.codes.answer(asked.redirect_uri, asked.state, error="access_denied"), 302, _NO_STORE
            )
        return RedirectResponse(self.codes.grant(asked), 302, _NO_STORE)

    def _by_code(self, request: Request, form: Mapping[str, str]) -> JSONResponse:
        """RFC 6749, section 4.1.3, and OpenID Connect Core 1.0, section 3.1.3.3."""
        client = self.codes.authenticated(request.headers.get("authorization", ""), form)
        if client is None:
            return _token_error("invalid_client", "no such client, or not its secret", status=401)
        asked = self.codes.redeem(client, form)
        if asked is None:
            return _token_error("invalid_grant", "the code is not good for this client, or no longer")
        answer = {
            "access_token": self.token(asked.person, self.url),
            "id_token": self.id_token(asked.person, client.client_id, asked.nonce),
            "token_type": "Bearer",
            "expires_in": self._token_life_s,
        }
        return JSONResponse(answer, headers=_NO_STORE)

    async def _serve_token(self, request: Request) -> JSONResponse:
        self.fetches["token"] += 1
        # Parsed by the standard library: starlette's own form parser needs one more dependency.
        form = parse_qs((await request.body()).decode("ascii", "replace"), keep_blank_values=True)
        one = {name: values[0] for name, values in form.items() if len(values) == 1}
        if one.get("grant_type") == "authorization_code":
            return self._by_code(request, one)
        if one.get("grant_type") != "client_credentials":
            return _token_error("unsupported_grant_type", "this issuer knows client_credentials, authorization_code")
        person = one.get("client_id", "")
        secret_fits = hmac.compare_digest(one.get("client_secret", "").encode(), SHARED_SECRET.encode())
        if person not in self._people or not secret_fits:
            return _token_error("invalid_client", "no such person, or a wrong client_secret", status=401)
        resources = form.get("resource", [])
        if not resources or not all(_is_resource(resource) for resource in resources):
            return _token_error("invalid_target", "give resource= as an absolute URL without a fragment")
        token = self.token(person, resources[0] if len(resources) == 1 else resources)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": self._token_life_s}
        return JSONResponse(answer, headers=_NO_STORE)


_NO_STORE = {"cache-control": "no-store"}


def _is_resource(value: str) -> bool:
    """RFC 8707, section 2: an absolute URI without a fragment."""
    parts = urlsplit(value)
    return bool(parts.scheme and parts.netloc and not parts.fragment)


def _token_error(code: str, description: str, status: int = 400) -> JSONResponse:
    """RFC 6749, section 5.2."""
    return JSONResponse({"error": code, "error_description": description}, status_code=status, headers=_NO_STORE)


def _who_are_you(query: Mapping[str, str], people: Sequence[str]) -> str:
    """A page on which somebody says who they are."""
    links = (
        f'<li><a href="/authorize?{escape(urlencode({**query, "login_hint": name}))}">{escape(name)}</a></li>'
        for name in people
    )
    return f"<!doctype html><title>Demo issuer</title><h1>Who are you?</h1><ul>{''.join(links)}</ul>"


def main(port: int = 8090, token_life_s: int = 12 * 3600, page: str = "") -> None:
    """Serve the demo issuer on 127.0.0.1 until a signal ends it, or the process that started it is gone.

    ``page`` is where a gateway's page of approvals takes sign-ins: its URL and ``/approvals/signed-in``.
    """
    url = f"http://127.0.0.1:{port}"
    issuer = Issuer(url, token_life_s=token_life_s)
    if page:
        issuer.codes.clients[PAGE_CLIENT] = Client(PAGE_CLIENT, (page,))
    serve_in_foreground(issuer.app(), port, ready=f"ready: issuer at {url}")


if __name__ == "__main__":
    typer.run(main)
