"""The keys by which the portal signs the gateway's own tokens. Derived, not stored: who holds the deployment's key
makes the same ones, so nobody fetches them over a network.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt import PyJWK

from countersign.config import GatewayConfig
from countersign.runtime.sealing import derived

ALGORITHM = "ES256"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068, section 2.1: a type, no token
_PURPOSE = b"countersign portal signing key"
# Order of P-256 (FIPS 186-5); 64 bits more than it has make the remainder even (its appendix A.2.1).
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SEED_BYTES = 40


@dataclass(frozen=True, slots=True)
class _Key:
    key_id: str
    private: ec.EllipticCurvePrivateKey
    public: PyJWK
    jwk: Mapping[str, str]


class PortalKeys:
    """The signing keys (ES256) of the portal that is ``issuer``.

    Key number ``n`` signs from ``n * key_s`` to ``(n + 1) * key_s`` seconds since the epoch (``clock``), and is taken
    one such span before and after, too: tokens must not live longer than ``key_s``. Another ``generation`` is another
    set of keys. ``key`` is the deployment's; raises ``ValueError`` when it is too short.
    """

    def __init__(self, key: bytes, issuer: str, *, key_s: int, generation: int, clock: Callable[[], float]) -> None:
        self.issuer = issuer
        self._key_s = key_s
        self._clock = clock
        purpose = b"%s %d %d " % (_PURPOSE, generation, key_s)

        @lru_cache(maxsize=4)
        def made(number: int) -> _Key:
            return _made(derived(key, purpose + b"%d" % number, _SEED_BYTES))

        made(self._number())
        self._made = made

    def find(self, key_id: str | None) -> PyJWK | None:
        """Return the public key with this id when tokens signed by it are taken now; ``None`` for every other."""
        return next((key.public for key in self._taken() if key.key_id == key_id), None)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return what is taken now, and what will be used next, as a JWK Set (RFC 7517, section 5)."""
        return {"keys": [dict(key.jwk) for key in self._taken()]}

    def sign(self, claims: Mapping[str, object]) -> str:
        """Return a JWT with these claims, signed by the key of this moment."""
        key = self._made(self._number())
        return jwt.encode(
            dict(claims), key.private, algorithm=ALGORITHM, headers={"typ": TOKEN_TYPE, "kid": key.key_id}
        )

    def _taken(self) -> list[_Key]:
        number = self._number()
        return [self._made(each) for each in (number - 1, number, number + 1)]

    def _number(self) -> int:
        return int(self._clock() // self._key_s)


def portal_keys(key: bytes, config: GatewayConfig, clock: Callable[[], float]) -> PortalKeys | None:
    """Return the keys of the portal that gateway.yaml has; ``None`` where it has none."""
    portal = config.portal
    if portal is None:
        return None
    return PortalKeys(key, config.own_issuer, key_s=portal.key_s, generation=portal.key_generation, clock=clock)


def _made(seed: bytes) -> _Key:
    private = ec.derive_private_key(int.from_bytes(seed, "big") % (_ORDER - 1) + 1, ec.SECP256R1())
    numbers = private.public_key().public_numbers()
    shown = {"crv": "P-256", "kty": "EC", "x": _coordinate(numbers.x), "y": _coordinate(numbers.y)}
    # RFC 7638, section 3: the required members alone, in the order of their names.
    key_id = _text(hashlib.sha256(json.dumps(shown, separators=(",", ":"), sort_keys=True).encode()).digest())
    jwk = {**shown, "alg": ALGORITHM, "kid": key_id, "use": "sig"}
    return _Key(key_id, private, PyJWK(jwk), jwk)


def _coordinate(number: int) -> str:
    return _text(number.to_bytes(32, "big"))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
