"""Bearer tokens (RFC 6750, RFC 7519) verified with the issuers' keys."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
from jwt import PyJWK

from countersign.config import Issuer
from countersign.identity.errors import Unidentified
from countersign.identity.keys import IssuerKeys
from countersign.model.principal import Principal, PrincipalKind

MAX_TOKEN_BYTES = 16 * 1024
_LEEWAY_S = 10
_MAX_GROUPS = 500
_MAX_TEXT = 512
_MAX_ACTORS = 4
_OF_ACCESS_TOKENS = ("iss", "aud", "exp", "nbf", "sub")
# OpenID Connect Core 1.0, section 2: nothing says from when they are good.
_OF_ID_TOKENS = ("iss", "aud", "exp", "iat", "sub", "nonce")
# Asymmetric only: with a shared secret, whoever can verify can also forge.
_KEY_TYPES = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
}


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: Principal
    issuer: str
    key: PyJWK
    not_after_s: float


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in by an ID token, and until when (seconds since the epoch) it says so."""

    principal: Principal
    until_s: float


class TokenVerifier:
    """Verifies tokens of the configured issuers; remembers good ones until they expire or their key goes.

    ``clock`` gives seconds since the epoch, ``monotonic`` seconds that only grow.
    """

    def __init__(
        self,
        issuers: Sequence[Issuer],
        client: httpx.AsyncClient,
        *,
        cached: int,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._clock = clock
        self._monotonic = monotonic
        self._issuers: dict[str, Issuer] = {}
        self._keys: dict[str, IssuerKeys] = {}
        self._cache: OrderedDict[tuple[bytes, str], _Verified] = OrderedDict()
        self._cached = cached
        self.configure(issuers, cached=cached)

    def configure(self, issuers: Sequence[Issuer], *, cached: int) -> None:
        """Trust these issuers from now on, and no others; what was remembered is verified anew."""
        self._issuers = {issuer.issuer: issuer for issuer in issuers}
        self._keys = {
            name: self._keys.get(name) or IssuerKeys(name, self._client, self._monotonic) for name in self._issuers
        }
        self._cached = cached
        self._cache.clear()

    def prefetch(self) -> None:
        """Begin to fetch the issuers' keys, so that the first call need not wait."""
        for keys in self._keys.values():
            keys.refresh_soon()

    async def verify(self, authorization: str | None, audience: str) -> Principal:
        """Return who calls, from the ``Authorization`` header, for the resource ``audience``.

        Raises ``Unidentified`` for a missing or bad token, ``IdentityUnavailable`` when that cannot be told now.
        """
        token = _bearer(authorization)
        cache_key = (hashlib.sha256(token.encode()).digest(), audience)
        known = self._cache.get(cache_key)
        if known is not None and known.not_after_s > self._clock() and self._keys[known.issuer].trusts(known.key):
            self._cache.move_to_end(cache_key)
            return known.principal
        issuers = self._issuers
        verified = await self._verify(token, audience, cache_key[0])
        if self._issuers is not issuers:
            # Issuers changed while keys were fetched: what was verified by the old ones must not be remembered.
            return await self.verify(authorization, audience)
        self._cache[cache_key] = verified
        while len(self._cache) > self._cached:
            self._cache.popitem(last=False)
        return verified.principal

    async def verify_id_token(self, token: str, *, issuer: str, client_id: str, nonce: str) -> SignedIn:
        """Return who signed in at ``issuer`` for this client and this attempt (OpenID Connect Core 1.0, 3.1.3.7).

        Such a token is for the client alone: ``Issuer.audiences`` do not count. ``nonce`` is what was sent along.
        Raises as ``verify`` does.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise Unidentified(f"the token is longer than {MAX_TOKEN_BYTES} bytes")
        header, found = self._unverified(token)
        if found.issuer != issuer:
            raise Unidentified("the token is of another issuer")
        key, algorithm = await self._key_of(header, found)
        claims = self._decode(token, key, algorithm, found, (client_id,), _OF_ID_TOKENS)
        # Where several audiences leave it open to whom it was given, it must say so.
        alone = claims["aud"] in (client_id, [client_id])
        if claims.get("azp", client_id if alone else None) != client_id:
            raise Unidentified("the token was given to another client")
        said = claims.get("nonce")
        if not isinstance(said, str) or said != nonce:
            raise Unidentified("the token is of another attempt to sign in")
        principal = _principal(claims, found, hashlib.sha256(token.encode()).digest())
        return SignedIn(principal, float(claims["exp"]))

    async def _verify(self, token: str, audience: str, digest: bytes) -> _Verified:
        header, issuer = self._unverified(token)
        key, algorithm = await self._key_of(header, issuer)
        claims = self._decode(token, key, algorithm, issuer, issuer.audiences or (audience,), _OF_ACCESS_TOKENS)
        return _Verified(
            principal=_principal(claims, issuer, digest),
            issuer=issuer.issuer,
            key=key,
            not_after_s=float(claims["exp"]) + _LEEWAY_S,
        )

    async def _key_of(self, header: Mapping[str, object], issuer: Issuer) -> tuple[PyJWK, str]:
        """Return the key by which a token with this header must be signed, and by which algorithm."""
        algorithm = header.get("alg")
        key_type = _KEY_TYPES.get(algorithm) if isinstance(algorithm, str) else None
        if key_type is None or not isinstance(algorithm, str):
            raise Unidentified("the token's algorithm is not accepted: use an asymmetric one, such as RS256 or ES256")
        if "crit" in header:
            raise Unidentified("the token demands extensions that are not understood here")
        key_id = header.get("kid")
        if key_id is not None and not (isinstance(key_id, str) and len(key_id) <= _MAX_TEXT):
            raise Unidentified("the token's key id is malformed")
        key = await self._keys[issuer.issuer].find(key_id)
        if key is None:
            raise Unidentified("the token is signed with a key that its issuer does not publish")
        if key.key_type != key_type or (key.algorithm_name != algorithm and _names_algorithm(key)):
            raise Unidentified("the token's algorithm is not that of its key")
        return key, algorithm

    def _unverified(self, token: str) -> tuple[Mapping[str, object], Issuer]:
        """Read what tells which key to verify with; nothing of it is believed."""
        try:
            header = jwt.get_unverified_header(token)
            claims = jwt.decode(token, options={"verify_signature": False})
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Unidentified("the token is not a signed JWT") from None
        name = claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise Unidentified("the token's issuer is not one of this gateway's")
        return header, issuer

    def _decode(
        self,
        token: str,
        key: PyJWK,
        algorithm: str,
        issuer: Issuer,
        accepted: Sequence[str],
        required: Sequence[str],
    ) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                issuer=issuer.issuer,
                audience=list(accepted),
                leeway=_LEEWAY_S,
                options={"require": list(required)},
            )
        except jwt.ExpiredSignatureError:
            raise Unidentified(f"the token expired {self._ago(token)} ago") from None
        except jwt.ImmatureSignatureError:
            raise Unidentified("the token is not valid yet") from None
        except jwt.InvalidAudienceError:
            raise Unidentified(f"the token is for another audience; this resource is {accepted[0]}") from None
        except jwt.MissingRequiredClaimError as error:
            raise Unidentified(f"the token lacks the claim {error.claim}") from None
        except jwt.InvalidSignatureError:
            raise Unidentified("the token's signature is wrong") from None
        except (jwt.PyJWTError, ValueError, TypeError):
            raise Unidentified("the token is not good here") from None

    def _ago(self, token: str) -> str:
        # Its signature is verified by now, only its time is over.
        expired = jwt.decode(token, options={"verify_signature": False}).get("exp", 0)
        seconds = max(0, int(self._clock() - expired))
        return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"


def _bearer(authorization: str | None) -> str:
    if not authorization:
        raise Unidentified("no bearer token", presented=False)
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unidentified("the Authorization header holds no bearer token", presented=False)
    if "," in token:
        raise Unidentified("more than one Authorization header")
    if len(token) > MAX_TOKEN_BYTES:
        raise Unidentified(f"the token is longer than {MAX_TOKEN_BYTES} bytes")
    return token


def _names_algorithm(key: PyJWK) -> bool:
    return "alg" in key._jwk_data  # noqa: SLF001 - PyJWK guesses algorithm_name when the key names none


def _principal(claims: Mapping[str, object], issuer: Issuer, digest: bytes) -> Principal:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_TEXT:
        raise Unidentified("the token's subject is missing or too long")
    token_id = claims.get("jti")
    if not isinstance(token_id, str) or not 0 < len(token_id) <= _MAX_TEXT:
        token_id = f"sha256:{digest.hex()[:32]}"
    own = _is_client(claims, subject)
    actors = _actors(claims, issuer.issuer)
    return Principal(
        issuer=issuer.issuer,
        subject=subject,
        groups=_groups(claims.get(issuer.groups_claim)),
        kind=PrincipalKind.AGENT if actors else PrincipalKind.MACHINE if own else PrincipalKind.PERSON,
        token_id=token_id,
        actors=actors,
    )


def _is_client(claims: Mapping[str, object], subject: str) -> bool:
    """Whether a client authenticated by itself, and no person is behind it.

    It is its own subject (RFC 9068 section 2.2), or its issuer says so in a way of its own: Okta by ``cid``, Auth0 by
    ``gty`` and the subject, Entra ID by ``idtyp``, Keycloak by the name of the account that it gives to a client.
    """
    clients = [client for client in map(claims.get, ("client_id", "azp", "cid")) if isinstance(client, str) and client]
    if subject in clients or claims.get("gty") == "client-credentials" or claims.get("idtyp") == "app":
        return True
    username = claims.get("preferred_username")
    return any(subject == f"{client}@clients" or username == f"service-account-{client}" for client in clients)


def _actors(claims: Mapping[str, object], issuer: str) -> tuple[str, ...]:
    """Return who acts for the subject, the one that acts now first (RFC 8693, section 4.1)."""
    found: list[str] = []
    holder: Mapping[str, object] = claims
    while "act" in holder:
        actor = holder["act"]
        if not isinstance(actor, dict):
            raise Unidentified("the token's actor is not a set of claims")
        subject = actor.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_TEXT:
            raise Unidentified("the subject of the token's actor is missing or too long")
        # Actors are told apart by their subjects alone, which mean something else elsewhere.
        if actor.get("iss", issuer) != issuer:
            raise Unidentified("the token's actor is of another issuer")
        if len(found) == _MAX_ACTORS:
            raise Unidentified(f"the token names more than {_MAX_ACTORS} actors")
        found.append(subject)
        holder = actor
    return tuple(found)


def _groups(claim: object) -> tuple[str, ...]:
    if claim is None:
        return ()
    listed = [claim] if isinstance(claim, str) else claim
    if not isinstance(listed, list) or not all(isinstance(group, str) for group in listed):
        raise Unidentified("the token's groups are not a list of names")
    if len(listed) > _MAX_GROUPS:
        raise Unidentified(f"the token names more than {_MAX_GROUPS} groups")
    return tuple(sorted(set(listed)))
