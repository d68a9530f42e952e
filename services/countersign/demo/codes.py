"""Demo only: authorization codes (RFC 6749, section 4.1) with PKCE (RFC 7636), each good once and for a minute."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_plus, urlencode

CODE_LIFE_S = 60


@dataclass(frozen=True, slots=True)
class Client:
    """An application that people sign in to; a public one when it has no secret. ``redirect_uris`` are exact."""

    client_id: str
    redirect_uris: tuple[str, ...]
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """A good request for a code, but for the person, who may not be known (``login_hint``, may be empty)."""

    client: Client
    redirect_uri: str
    state: str
    nonce: str
    challenge: str
    person: str


class NotAsked(ValueError):
    """The request names no client and place to answer to that are known: nobody is redirected anywhere."""


class Refused(ValueError):
    """The request is refused by an error code (RFC 6749, section 4.1.2.1); its client is told at ``location``."""

    def __init__(self, location: str) -> None:
        super().__init__("refused")
        self.location = location


class Codes:
    """The codes of an issuer at ``issuer()``. ``clock`` gives seconds since the epoch."""

    def __init__(self, issuer: Callable[[], str], clock: Callable[[], float]) -> None:
        self.clients: dict[str, Client] = {}
        self._issuer = issuer
        self._clock = clock
        self._codes: dict[str, tuple[Asked, float]] = {}

    def asked(self, query: Mapping[str, str]) -> Asked:
        """Read a request for a code. Raises ``NotAsked``, ``Refused``."""
        client = self.clients.get(query.get("client_id", ""))
        redirect_uri = query.get("redirect_uri", "")
        if client is None or redirect_uri not in client.redirect_uris:
            raise NotAsked("no such client, or not its redirect_uri")
        state = query.get("state", "")
        if query.get("response_type") != "code":
            raise Refused(self.answer(redirect_uri, state, error="unsupported_response_type"))
        if "openid" not in query.get("scope", "").split():
            raise Refused(self.answer(redirect_uri, state, error="invalid_scope"))
        challenge = query.get("code_challenge", "")
        if query.get("code_challenge_method") != "S256" or len(challenge) != len(challenge_of("")):
            raise Refused(self.answer(redirect_uri, state, error="invalid_request"))
        return Asked(client, redirect_uri, state, query.get("nonce", ""), challenge, query.get("login_hint", ""))

    def grant(self, asked: Asked) -> str:
        """Return where to send the person's browser: back, with a code."""
        now = self._clock()
        self._codes = {code: entry for code, entry in self._codes.items() if entry[1] > now}
        code = secrets.token_urlsafe(16)
        self._codes[code] = (asked, now + CODE_LIFE_S)
        return self.answer(asked.redirect_uri, asked.state, code=code)

    def redeem(self, client: Client, form: Mapping[str, str]) -> Asked | None:
        """Return what a code was granted for, once; ``None`` when it is not good for this client and verifier."""
        asked, until_s = self._codes.pop(form.get("code", ""), (None, 0.0))
        if asked is None or until_s <= self._clock():
            return None
        proven = hmac.compare_digest(challenge_of(form.get("code_verifier", "")), asked.challenge)
        fits = asked.client == client and form.get("redirect_uri") == asked.redirect_uri
        return asked if proven and fits else None

    def authenticated(self, authorization: str, form: Mapping[str, str]) -> Client | None:
        """Return the client that asks: by client_secret_basic (RFC 6749, section 2.3.1), or by its name if public."""
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            client = self.clients.get(form.get("client_id", ""))
            return client if client is not None and client.secret is None else None
        try:
            name, _, secret = base64.b64decode(encoded).decode("ascii").partition(":")
        except ValueError:
            return None
        client = self.clients.get(unquote_plus(name))
        if client is None or client.secret is None:
            return None
        return client if hmac.compare_digest(unquote_plus(secret).encode(), client.secret.encode()) else None

    def answer(self, redirect_uri: str, state: str, **parameters: str) -> str:
        """The place to answer to, with the issuer's name in the answer (RFC 9207)."""
        said = {**parameters, "iss": self._issuer(), **({"state": state} if state else {})}
        return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(said)}"


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636, section 4.2)."""
    digest = hashlib.sha256(verifier.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
