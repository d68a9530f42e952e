"""Tokens from authorization servers: for the gateway itself, or for a caller in exchange for its own.

RFC 6749 section 4.4, RFC 7523, RFC 8693, RFC 8707; draft-ietf-oauth-identity-assertion-authz-grant.
"""

from __future__ import annotations

import asyncio
import base64
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from countersign.config import Secret
from countersign.config.types_credentials import Asked, ClientCredentials, IdJag, OAuthClient, TokenExchange
from countersign.credentials.asking import Answer, Asker
from countersign.credentials.errors import CredentialUnavailable
from countersign.credentials.kept import FIRST_BACKOFF_S, LONGEST_BACKOFF_S, Fetched
from countersign.credentials.sources import Source

UNTOLD_LIFE_S = 300.0
"""For how long a token is used of which nobody said when it expires."""
LONGEST_LIFE_S = 24 * 3_600.0
AT_ONCE = 32
"""Requests to one token endpoint."""

_WHO = "the token endpoint"
_ASSERTION_LIFE_S = 60
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_BY_ASSERTION = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a kind of token
_JWT = "urn:ietf:params:oauth:token-type:jwt"
_ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"
# b64token of RFC 6750, section 2.1; as long as a header may be for most servers.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,16384}=*\Z")
_NUMBER = re.compile(r"[0-9]{1,10}\Z")
# What RFC 6749 (5.2), RFC 8693 (2.2.2) and RFC 8707 (2) have servers say: nothing else of theirs is repeated.
_SAID = frozenset(
    {
        *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"),
        *("invalid_scope", "invalid_target", "access_denied", "temporarily_unavailable", "server_error"),
    }
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is passed in: monotonic seconds, seconds since the epoch, numbers from 0 to 1, and ids never used before."""

    clock: Callable[[], float]
    wall: Callable[[], float]
    chance: Callable[[], float]
    new_id: Callable[[], str]


class TokenEndpoint:
    """A client's token endpoint. One that fails is left alone for a while, by everybody."""

    def __init__(
        self, client: OAuthClient, secret: Source | None, key: Source | None, asker: Asker, around: Surroundings
    ) -> None:
        self._client = client
        self._secret = secret
        self._key = key
        self._asker = asker
        self._around = around
        self._places = asyncio.Semaphore(AT_ONCE)
        self._failures = 0
        self._retry_at = -math.inf

    async def ask(self, form: Mapping[str, str], asked: Asked) -> Answer:
        """Return a good answer to a request for a token. Raises ``CredentialUnavailable``."""
        named = {"scope": " ".join(asked.scopes), "resource": asked.resource, "audience": asked.audience}
        sent = {**form, **{name: value for name, value in named.items() if value}}
        async with self._places:
            if self._around.clock() < self._retry_at:
                raise CredentialUnavailable(f"{_WHO} failed just now")
            headers, proof = await self._proof()
            try:
                answer = await self._asker.ask(
                    _WHO, "POST", self._client.token_url, headers=headers, form={**sent, **proof}
                )
            except CredentialUnavailable:
                self._failed()
                raise
        if answer.status >= 500 or answer.status == 429:
            self._failed()
        elif answer.status == 200:
            self._failures = 0
        if answer.status != 200:
            said = answer.members.get("error")
            why = f", {said}" if isinstance(said, str) and said in _SAID else ""
            raise CredentialUnavailable(f"{_WHO} gives no token ({answer.status}{why})")
        return answer

    def _failed(self) -> None:
        self._retry_at = self._around.clock() + min(FIRST_BACKOFF_S * 2**self._failures, LONGEST_BACKOFF_S)
        self._failures = min(self._failures + 1, 10)

    async def _proof(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return headers and fields of the form that prove who asks (RFC 6749 section 2.3.1, RFC 7523 section 2.2)."""
        client_id = self._client.client_id
        if self._key is not None:
            assertion = self._assertion((await self._key.get()).secret)
            return {}, {
                "client_id": client_id,
                "client_assertion_type": _CLIENT_ASSERTION,
                "client_assertion": assertion,
            }
        if self._secret is None:
            raise CredentialUnavailable(f"{_WHO} would not know who asks")
        secret = (await self._secret.get()).secret.reveal()
        if self._client.in_form:
            return {}, {"client_id": client_id, "client_secret": secret}
        pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
        return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, {}

    def _assertion(self, pem: Secret) -> str:
        key = serialization.load_pem_private_key(pem.reveal().encode(), None)
        algorithm = "EdDSA"
        if isinstance(key, rsa.RSAPrivateKey):
            algorithm = "RS256"
        elif isinstance(key, ec.EllipticCurvePrivateKey):
            algorithm = "ES256"
        now = int(self._around.wall())
        claims = {
            **dict.fromkeys(("iss", "sub"), self._client.client_id),
            "aud": self._client.token_url,
            "jti": self._around.new_id(),
            "iat": now,
            "exp": now + _ASSERTION_LIFE_S,
        }
        headers = {"kid": self._client.key_id} if self._client.key_id else None
        return jwt.encode(claims, pem.reveal(), algorithm=algorithm, headers=headers)


async def by_client_credentials(endpoint: TokenEndpoint, how: ClientCredentials) -> Fetched:
    """Return a token of the gateway's own. Raises ``CredentialUnavailable``."""
    return _bearer(await endpoint.ask({"grant_type": "client_credentials"}, how.asked))


async def by_exchange(endpoint: TokenEndpoint, how: TokenExchange, token: Secret) -> Fetched:
    """Return the caller's token, for its own (RFC 8693 section 2). Raises ``CredentialUnavailable``."""
    form = {
        "grant_type": _EXCHANGE,
        "subject_token": token.reveal(),
        "subject_token_type": how.subject_token_type,
        "requested_token_type": _ACCESS_TOKEN,
    }
    answer = await endpoint.ask(form, how.asked)
    if answer.members.get("issued_token_type") not in (_ACCESS_TOKEN, _JWT):
        raise CredentialUnavailable(f"{_WHO} gives another kind of token than it was asked for")
    return _bearer(answer)


async def by_id_jag(provider: TokenEndpoint, server: TokenEndpoint, how: IdJag, token: Secret) -> Fetched:
    """Return the caller's token by an identity assertion (the draft, sections 4.3 and 4.4).

    Raises ``CredentialUnavailable``.
    """
    form = {
        "grant_type": _EXCHANGE,
        "requested_token_type": _ID_JAG,
        "subject_token": token.reveal(),
        "subject_token_type": how.subject_token_type,
    }
    answer = await provider.ask(form, how.asked)
    kind = answer.members.get("token_type")
    if answer.members.get("issued_token_type") != _ID_JAG or not isinstance(kind, str) or kind.lower() != "n_a":
        raise CredentialUnavailable("the identity provider gives no identity assertion")
    form = {"grant_type": _BY_ASSERTION, "assertion": _token_in(answer)}
    return _bearer(await server.ask(form, Asked(scopes=how.asked.scopes)))


def _bearer(answer: Answer) -> Fetched:
    kind = answer.members.get("token_type")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise CredentialUnavailable(f"{_WHO} gives no bearer token")
    life_s = _life_s(answer.members.get("expires_in"))
    # Shown a little before it expires, it may arrive after that.
    return Fetched(Secret(_token_in(answer)), 0.8 * life_s, life_s - min(5.0, 0.1 * life_s))


def _token_in(answer: Answer) -> str:
    token = answer.members.get("access_token")
    if not isinstance(token, str) or not _TOKEN.match(token):
        raise CredentialUnavailable(f"what {_WHO} gives is no token")
    return token


def _life_s(said: object) -> float:
    """Return the seconds of ``expires_in``; some servers say them as text."""
    if said is None:
        return UNTOLD_LIFE_S
    if isinstance(said, str) and _NUMBER.match(said):
        said = int(said)
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 < said <= 10**10:
        raise CredentialUnavailable(f"{_WHO} gives a token that is over, or does not say rightly when it is")
    return min(float(said), LONGEST_LIFE_S)
