"""Sign-in as a client of an issuer: OpenID Connect Core 1.0, authorization code (3.1) with PKCE (RFC 7636)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx

from countersign.config.types import SignInClient
from countersign.identity.errors import IdentityUnavailable, Unidentified
from countersign.identity.tokens import SignedIn, TokenVerifier

_TIMEOUT_S = 5.0
_FRESH_S = 600.0
_FLOOR_S = 5.0
_MAX_BYTES = 1 << 18
_MOST_METHODS = 10
_MOST_TEXT = 200
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class SignInFailed(Exception):
    """Nobody is signed in. The message is for the person, and quotes nothing that came from outside."""


class IssuerAway(Exception):
    """The issuer does not answer, or not as an issuer does. The message is safe to show."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where an issuer takes sign-ins, from its discovery document (OpenID Connect Discovery 1.0, section 3)."""

    authorization: str
    token: str
    says_iss: bool
    pairwise: bool
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proof(SignedIn):
    """Who signed in, and how, if the issuer told (``amr``, ``acr``: OpenID Connect Core 1.0, section 2)."""

    methods: tuple[str, ...] = ()
    context: str = ""


class Attempt(Protocol):
    """A sign-in under way in one browser: three texts that nobody guesses."""

    @property
    def state(self) -> str:
        """What the answer must bring back."""

    @property
    def nonce(self) -> str:
        """What the ID token must hold."""

    @property
    def verifier(self) -> str:
        """What the code is redeemed with (RFC 7636)."""


class OidcClient:
    """Asks issuers, with what ``verifier`` knows of them. ``clock`` gives monotonic seconds.

    ``back`` is always where the issuer is to send the browser, a URL in full.
    """

    def __init__(self, client: httpx.AsyncClient, verifier: TokenVerifier, clock: Callable[[], float]) -> None:
        self._client = client
        self._verifier = verifier
        self._clock = clock
        self._known: dict[str, tuple[Endpoints | IssuerAway, float]] = {}
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def place(self, sign_in: SignInClient, back: str, attempt: Attempt) -> str:
        """Return where to send the browser. Raises ``IssuerAway``."""
        endpoints = await self._endpoints(sign_in.issuer)
        query = {
            "response_type": "code",
            "client_id": sign_in.client_id,
            "redirect_uri": back,
            "scope": " ".join(["openid", *self._scopes(sign_in.issuer, endpoints)]),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge_of(attempt.verifier),
            "code_challenge_method": "S256",
        }
        return f"{endpoints.authorization}{'&' if '?' in endpoints.authorization else '?'}{urlencode(query)}"

    async def signed_in(self, sign_in: SignInClient, back: str, attempt: Attempt, code: str, iss: str | None) -> Proof:
        """Return who signed in, by the answer to ``attempt``: a ``code``, and who says so (RFC 9207).

        Raises ``SignInFailed``, ``IssuerAway``.
        """
        endpoints = await self._endpoints(sign_in.issuer)
        if iss != sign_in.issuer and (iss is not None or endpoints.says_iss):
            raise SignInFailed("the answer came from another issuer than the one that was asked")
        token = await self._redeem(endpoints, sign_in, back, attempt, code)
        try:
            found = await self._verifier.verify_id_token(
                token, issuer=sign_in.issuer, client_id=sign_in.client_id, nonce=attempt.nonce
            )
            return Proof(found.principal, found.until_s, *_how(token))
        except Unidentified as error:
            raise SignInFailed(f"the issuer's ID token is not good here: {error.description}") from None
        except IdentityUnavailable as error:
            raise IssuerAway(str(error)) from None

    def _scopes(self, issuer: str, endpoints: Endpoints) -> list[str]:
        """Return what must be asked for: some issuers tell claims only to who does, and refuse scopes they do not know.

        See OpenID Connect Core 1.0, section 5.4; so Entra ID has `oid` in `profile`.
        """
        claim = self._verifier.subject_claim(issuer)
        wanted = ("groups", {"sub": "", "email": "email"}.get(claim, "profile"))
        return [scope for scope in wanted if scope in endpoints.scopes]

    async def _redeem(self, endpoints: Endpoints, sign_in: SignInClient, back: str, attempt: Attempt, code: str) -> str:
        """Turn a code into the ID token (section 3.1.3)."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "code_verifier": attempt.verifier,
        }
        headers = {"accept": "application/json"}
        if sign_in.client_secret is None:
            form["client_id"] = sign_in.client_id
        else:
            headers["authorization"] = _basic(sign_in.client_id, sign_in.client_secret.reveal())
        status, answer = await self._ask("POST", endpoints.token, form, headers)
        token = answer.get("id_token")
        if status == httpx.codes.OK and isinstance(token, str):
            return token
        if status in (httpx.codes.BAD_REQUEST, httpx.codes.OK) and answer.get("error") == "invalid_grant":
            raise SignInFailed("the issuer does not take the code: it was used already, or too late")
        raise IssuerAway("the issuer does not turn the code into an ID token: check client_id and client_secret")

    async def _endpoints(self, issuer: str) -> Endpoints:
        """Return an issuer's endpoints. Anybody can have us look, so it is not asked more often than that."""
        # Issuers come of gateway.yaml alone, so there are few; one that does not answer holds up no other.
        async with self._asking[issuer]:
            known = self._known.get(issuer)
            if known is None or self._clock() >= known[1]:
                try:
                    found: Endpoints | IssuerAway = await self._discovered(issuer)
                except IssuerAway as error:
                    found = error
                good_s = _FRESH_S if isinstance(found, Endpoints) else _FLOOR_S
                self._known[issuer] = known = (found, self._clock() + good_s)
        if isinstance(known[0], IssuerAway):
            raise IssuerAway(str(known[0]))
        if known[0].pairwise and self._verifier.subject_claim(issuer) == "sub":
            # OpenID Connect Core 1.0, section 8: nobody could tell whether somebody agrees to their own call.
            raise IssuerAway("the issuer names the same person otherwise to each application (pairwise subjects)")
        return known[0]

    async def _discovered(self, issuer: str) -> Endpoints:
        status, found = await self._ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if status != httpx.codes.OK or found.get("issuer") != issuer:
            raise IssuerAway("the issuer's discovery document cannot be had, or names another issuer")
        subjects = found.get("subject_types_supported")
        scopes = found.get("scopes_supported")
        return Endpoints(
            authorization=_checked_url(found.get("authorization_endpoint")),
            token=_checked_url(found.get("token_endpoint")),
            says_iss=found.get("authorization_response_iss_parameter_supported") is True,
            pairwise=isinstance(subjects, list) and "public" not in subjects,
            scopes=tuple(scope for scope in scopes if isinstance(scope, str)) if isinstance(scopes, list) else (),
        )

    async def _ask(
        self, method: str, url: str, form: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, object]]:
        body = b""
        try:
            # httpx bounds each wait alone: an answer that drips would hold us for hours.
            async with (
                asyncio.timeout(_TIMEOUT_S),
                self._client.stream(
                    method, url, data=form, headers=headers, timeout=_TIMEOUT_S, follow_redirects=False
                ) as response,
            ):
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > _MAX_BYTES:
                        raise IssuerAway("the issuer's answer is too large")
            answer = json.loads(body)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
            raise IssuerAway(f"the issuer does not answer as it should ({type(error).__name__})") from None
        if not isinstance(answer, dict):
            raise IssuerAway("the issuer does not answer with an object")
        return response.status_code, answer


def _how(token: str) -> tuple[tuple[str, ...], str]:
    """Return ``amr`` and ``acr`` of an ID token that was verified."""
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    methods, context = claims.get("amr"), claims.get("acr")
    listed = methods if isinstance(methods, list) else []
    kept = tuple(one for one in listed[:_MOST_METHODS] if isinstance(one, str) and len(one) <= _MOST_TEXT)
    return kept, context if isinstance(context, str) and len(context) <= _MOST_TEXT else ""


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636, section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _basic(client_id: str, secret: str) -> str:
    """Return client_secret_basic: both form-encoded, then joined (RFC 6749, section 2.3.1)."""
    return "Basic " + base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


def _checked_url(url: object) -> str:
    """Return an endpoint when codes and secrets may go there: https, or http on this machine only."""
    if isinstance(url, str) and url.isascii() and url.isprintable() and "#" not in url:
        with suppress(ValueError):
            parts = urlsplit(url)
            if (parts.scheme == "https" and parts.hostname) or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
                return url
    raise IssuerAway("the issuer's discovery document lacks an endpoint, or has one that is not https")
