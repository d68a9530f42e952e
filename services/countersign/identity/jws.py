"""A signed JWT in compact form (RFC 7515 section 3.1, RFC 7519), read strictly: what two readers could read in two ways
is refused, and nothing that the token brings along helps to verify it.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from string import ascii_letters, digits
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.algorithms import get_default_algorithms

from countersign.identity.errors import Unidentified
from countersign.jsontext import JsonRefused, JsonValue, Number, parse

MAX_TOKEN_BYTES = 16 * 1024
MAX_TEXT = 512
"""Characters of a key id, a subject, a token id."""
_MAX_DEPTH = 16
_MAX_DIGITS = 20
_ALPHABET = frozenset(ascii_letters + digits + "-_")
# What would let a token say by which key it is verified (RFC 7515, sections 4.1.2 to 4.1.6).
_OWN_KEYS = ("jku", "jwk", "x5u", "x5c")
# Asymmetric only: with a shared secret, whoever can verify can also forge.
_CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_EDWARDS = "EdDSA"
ALGORITHMS = frozenset({*_CURVES, *_RSA, _EDWARDS})
_VERIFYING = MappingProxyType({name: each for name, each in get_default_algorithms().items() if name in ALGORITHMS})

Claims = Mapping[str, object]
"""What a token claims: JSON values as Python has them."""


@dataclass(frozen=True, slots=True, repr=False)
class Jws:
    """A token that was read, and not verified: nothing of it may be believed but by ``signed_by``, or shown."""

    header: Claims
    unverified: Claims
    _signed: bytes
    _signature: bytes

    @property
    def algorithm(self) -> str:
        """What it says it is signed with; one of ``ALGORITHMS``."""
        return str(self.header["alg"])

    @property
    def key_id(self) -> str | None:
        """The key that it says it is signed with."""
        found = self.header.get("kid")
        return found if isinstance(found, str) else None

    @property
    def typ(self) -> str:
        """Its type in small letters, without ``application/`` (RFC 7515, section 4.1.9); empty when it names none."""
        found = self.header.get("typ", "")
        return found.lower().removeprefix("application/") if isinstance(found, str) else "?"

    @property
    def digest(self) -> bytes:
        """SHA-256 of what is signed. Not of the signature, which whoever has the token can write in another way."""
        return hashlib.sha256(self._signed).digest()

    def signed_by(self, key: PyJWK, algorithms: Collection[str] = ()) -> Claims:
        """Return the claims, when the token is signed by ``key`` and with one of ``algorithms`` (empty: any).

        Raises ``Unidentified``.
        """
        algorithm = self.algorithm
        if algorithms and algorithm not in algorithms:
            raise Unidentified("the token's algorithm is not one that is accepted of its issuer")
        if not _fits(key, algorithm):
            raise Unidentified("the token's algorithm is not that of its key")
        try:
            genuine = _VERIFYING[algorithm].verify(self._signed, key.key, self._signature)
        except (ValueError, TypeError):
            genuine = False
        if not genuine:
            raise Unidentified("the token's signature is wrong")
        return self.unverified


def read_jws(token: str) -> Jws:
    """Read a token without believing it. Raises ``Unidentified``, which quotes nothing of it."""
    if len(token) > MAX_TOKEN_BYTES:
        raise Unidentified(f"the token is longer than {MAX_TOKEN_BYTES} bytes")
    parts = token.split(".")
    if len(parts) == 5:
        raise Unidentified("the token is encrypted: have its issuer sign tokens for this resource")
    if len(parts) != 3:
        raise Unidentified("the token is not a signed JWT")
    header = _read_object(parts[0])
    _check_header(header)
    return Jws(header, _read_object(parts[1]), f"{parts[0]}.{parts[1]}".encode(), _decoded(parts[2]))


def _check_header(header: Claims) -> None:
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise Unidentified("the token's algorithm is not accepted: use an asymmetric one, such as RS256 or ES256")
    if "crit" in header or "b64" in header:
        raise Unidentified("the token demands extensions that are not understood here")
    if any(name in header for name in _OWN_KEYS):
        raise Unidentified("the token brings its own key, or says where to fetch it")
    if key_id is not None and not (isinstance(key_id, str) and len(key_id) <= MAX_TEXT):
        raise Unidentified("the token's key id is malformed")


def _fits(key: PyJWK, algorithm: str) -> bool:
    """Whether the key is one for this algorithm (RFC 8725, section 3.1), and for no other that it names."""
    named = key._jwk_data.get("alg")  # noqa: SLF001 - PyJWK guesses algorithm_name when the key names none
    if named not in (None, algorithm):
        return False
    public = key.key
    if algorithm in _RSA:
        return isinstance(public, RSAPublicKey)
    if algorithm == _EDWARDS:
        return isinstance(public, Ed25519PublicKey | Ed448PublicKey)
    return isinstance(public, EllipticCurvePublicKey) and public.curve.name == _CURVES[algorithm]


def _decoded(part: str) -> bytes:
    """base64url without padding (RFC 7515, section 2), in the one way that these bytes are written."""
    if not _ALPHABET.issuperset(part) or not part:
        raise Unidentified("the token is not a signed JWT")
    try:
        raw = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise Unidentified("the token is not a signed JWT") from None
    if urlsafe_b64encode(raw).rstrip(b"=") != part.encode():
        raise Unidentified("the token is not a signed JWT")
    return raw


def _read_object(part: str) -> Claims:
    raw = _decoded(part)
    try:
        root = parse(raw, max_depth=_MAX_DEPTH).root
    except JsonRefused:
        root = None
    if not isinstance(root, dict):
        # Out here, so that no exception that holds the token rides along.
        raise Unidentified("the token is not a signed JWT, or says something twice")
    return {name: _plain(value) for name, value in root.items()}


def _plain(value: JsonValue) -> object:
    if isinstance(value, Number):
        if len(value) > _MAX_DIGITS:
            raise Unidentified("the token holds a number beyond all bounds")
        return float(value) if set(value) & set(".eE") else int(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
