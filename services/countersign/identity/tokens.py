"""Bearer tokens (RFC 6750, RFC 7519) verified with the issuers' keys, on every call."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import httpx
from jwt import PyJWK

from countersign.config import Issuer
from countersign.config.types_identity import Machine
from countersign.identity.checks import check_audience, check_id_token, check_times, check_use
from countersign.identity.errors import IdentityUnavailable, Unidentified
from countersign.identity.jws import MAX_TOKEN_BYTES, Claims, Jws, read_jws
from countersign.identity.keys import IssuerKeys, Keys
from countersign.identity.keys_file import FileKeys
from countersign.identity.own import OwnKeys, OwnTrust
from countersign.identity.trust import Trust
from countersign.model.principal import Principal
from countersign.model.revocation import RevocationKind
from countersign.runtime.revocations import NotKnown, Revocations, Revoked, check

OWN_AHEAD_S = 5
"""How far the clock of the host that runs the portal may be ahead; a token is used in the moment that it is issued."""


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: Principal
    keys: Keys
    key: PyJWK
    not_after_s: float


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in by an ID token, and until when (seconds since the epoch) it says so."""

    principal: Principal
    until_s: float


class TokenVerifier:
    """Verifies tokens of the configured issuers; remembers good ones until they expire or their key goes.

    ``revocations`` are asked each time, also of what is remembered. ``clock`` gives seconds since the epoch,
    ``monotonic`` seconds that only grow. The rest is as ``configure`` says.
    """

    def __init__(
        self,
        issuers: Sequence[Issuer],
        client: httpx.AsyncClient,
        *,
        revocations: Revocations,
        cached: int,
        machines: Sequence[Machine] = (),
        own: OwnKeys | None = None,
        sign_ins: Collection[str] = (),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._revocations = revocations
        self._clock = clock
        self._monotonic = monotonic
        self._keys: dict[tuple[str, str], Keys] = {}
        self._cache: OrderedDict[tuple[bytes, str], _Verified] = OrderedDict()
        self.configure(issuers, cached=cached, machines=machines, own=own, sign_ins=sign_ins)

    def configure(
        self,
        issuers: Sequence[Issuer],
        *,
        cached: int,
        machines: Sequence[Machine] = (),
        own: OwnKeys | None = None,
        sign_ins: Collection[str] = (),
    ) -> None:
        """Trust these issuers from now on, and no others; what was remembered is verified anew.

        ``machines`` are named by what their tokens claim. ``own`` are the keys of the gateway's portal, whose tokens
        are taken of people who signed in at one of ``issuers`` or of ``sign_ins``. ``cached`` tokens are remembered.
        """
        self._keys = {
            (each.issuer, each.keys_file): self._keys.get((each.issuer, each.keys_file)) or self._keys_of(each)
            for each in issuers
        }
        reserved = frozenset(machine.name for machine in machines)
        self._trusts: dict[str, Trust] = {
            each.issuer: Trust(each, self._keys[each.issuer, each.keys_file], machines, reserved) for each in issuers
        }
        people = {each.issuer for each in issuers if not each.only_machines}
        self._own = None if own is None else (own.issuer, OwnTrust(own, people | set(sign_ins), reserved))
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
        return self._admitted(await self._identified(bearer_of(authorization), audience))

    def subject_claim(self, issuer: str) -> str:
        """Return by which claim people of ``issuer`` are named; empty when it is not trusted."""
        trust = self._trusts.get(issuer)
        return "" if trust is None else trust.issuer.subject_claim

    async def verify_id_token(self, token: str, *, issuer: str, client_id: str, nonce: str) -> SignedIn:
        """Return who signed in at ``issuer`` for this client and this attempt (OpenID Connect Core 1.0, 3.1.3.7).

        Such a token is for the client alone: ``Issuer.audiences`` do not count. ``nonce`` is what was sent along.
        Raises as ``verify`` does.
        """
        jws = read_jws(token)
        trusts = self._trusts
        trust = trusts.get(issuer)
        if trust is None or jws.unverified.get("iss") != issuer:
            raise Unidentified("the token is of another issuer")
        check_id_token(jws)
        claims, _ = await self._signed(jws, trust)
        if self._trusts is not trusts:
            # Issuers changed while keys were fetched.
            return await self.verify_id_token(token, issuer=issuer, client_id=client_id, nonce=nonce)
        until_s = check_times(claims, self._clock(), trust.issuer.clock_skew_s)
        if "iat" not in claims:
            raise Unidentified("the token lacks the claim iat")
        check_audience(claims, (client_id,))
        # Where several audiences leave it open to whom it was given, it must say so.
        alone = claims["aud"] in (client_id, [client_id])
        if claims.get("azp", client_id if alone else None) != client_id:
            raise Unidentified("the token was given to another client")
        said = claims.get("nonce")
        if not isinstance(said, str) or said != nonce:
            raise Unidentified("the token is of another attempt to sign in")
        return SignedIn(self._admitted(trust.principal(jws, claims)), until_s)

    def still(self, principal: Principal, session_id: str = "") -> None:
        """Return when ``principal``, who was verified, may still call, in this session where one is given.

        Raises ``Unidentified`` when either was revoked, ``IdentityUnavailable`` while that is not known.
        """
        try:
            check(self._revocations, principal, int(self._clock() * 1_000_000), session_id)
        except Revoked as revoked:
            one = revoked.revocation
            recorded = f"{revoked} (revocation {one.revocation_id})"
            of_session = one.kind is RevocationKind.SESSION
            raise Unidentified(str(revoked), recorded=recorded, of_session=of_session) from None
        except NotKnown as unknown:
            raise IdentityUnavailable(str(unknown)) from None

    def _admitted(self, principal: Principal) -> Principal:
        """Return ``principal``, unless it was revoked: nobody leaves this class otherwise."""
        self.still(principal)
        return principal

    async def _identified(self, token: str, audience: str) -> Principal:
        cache_key = (hashlib.sha256(token.encode()).digest(), audience)
        known = self._cache.get(cache_key)
        if known is not None and known.not_after_s > self._clock() and known.keys.trusts(known.key):
            self._cache.move_to_end(cache_key)
            return known.principal
        trusts = self._trusts
        verified = await self._verify(read_jws(token), audience)
        if self._trusts is not trusts:
            # Issuers changed while keys were fetched: what was verified by the old ones must not be remembered.
            return await self._identified(token, audience)
        self._cache[cache_key] = verified
        while len(self._cache) > self._cached:
            self._cache.popitem(last=False)
        return verified.principal

    async def _verify(self, jws: Jws, audience: str) -> _Verified:
        name = jws.unverified.get("iss")
        if not isinstance(name, str):
            raise Unidentified("the token does not name its issuer")
        if self._own is not None and name == self._own[0]:
            own = self._own[1]
            claims, key = await self._signed(jws, own)
            check_use(jws, claims, id_tokens=False)
            ends_s = check_times(claims, self._clock(), 0, OWN_AHEAD_S)
            check_audience(claims, (audience,))
            return _Verified(own.principal(jws, claims), own.keys, key, ends_s)
        trust = self._trusts.get(name)
        if trust is None:
            raise Unidentified("the token's issuer is not one of this gateway's")
        issuer = trust.issuer
        claims, key = await self._signed(jws, trust)
        check_use(jws, claims, id_tokens=issuer.id_tokens)
        ends_s = check_times(claims, self._clock(), issuer.clock_skew_s)
        check_audience(claims, issuer.audiences or (audience,))
        return _Verified(trust.principal(jws, claims), trust.keys, key, ends_s + issuer.clock_skew_s)

    async def _signed(self, jws: Jws, trust: Trust | OwnTrust) -> tuple[Claims, PyJWK]:
        """Return the claims, and the key by which they are signed. Raises ``Unidentified``, ``IdentityUnavailable``."""
        key = await trust.keys.find(jws.key_id)
        if key is None:
            raise Unidentified("the token is signed with a key that its issuer does not publish")
        return jws.signed_by(key, trust.issuer.algorithms if isinstance(trust, Trust) else ("ES256",)), key

    def _keys_of(self, issuer: Issuer) -> Keys:
        if issuer.keys_file:
            return FileKeys(issuer.keys_file, self._monotonic)
        return IssuerKeys(issuer.issuer, self._client, self._monotonic)


def bearer_of(authorization: str | None) -> str:
    """Return the token of an ``Authorization`` header. Raises ``Unidentified``."""
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
