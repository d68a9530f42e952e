"""A JWK Set (RFC 7517, section 5), and which of its keys may verify tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWKSet

from countersign.identity.errors import Unidentified
from countersign.jsontext import parse

_MIN_RSA_BITS = 2048
_MOST_KEYS = 200
_MAX_DEPTH = 16
# SPIFFE bundles (SPIFFE Trust Domain and Bundle, section 4.2.2) say for what in a way of their own.
_USES = (None, "sig", "jwt-svid")
_TYPES = ("RSA", "EC", "OKP")


@dataclass(frozen=True, slots=True)
class KeySet:
    """Keys by their ids; ``weak`` are the ids of those that are too weak to be taken."""

    keys: Mapping[str, PyJWK] = field(default_factory=dict)
    weak: frozenset[str] = frozenset()

    def pick(self, key_id: str | None) -> PyJWK | None:
        """Return the key with this id, the only key for ``None``; ``None`` when there is none.

        Raises ``Unidentified`` for a weak one.
        """
        if key_id is None:
            return next(iter(self.keys.values())) if len(self.keys) == 1 and not self.weak else None
        if key_id in self.weak:
            raise Unidentified(f"the token's key is too weak: RSA needs {_MIN_RSA_BITS} bits")
        return self.keys.get(key_id)

    def holds(self, key: PyJWK) -> bool:
        """Whether this very key is among them."""
        return any(key is known for known in self.keys.values())


def keys_of(data: bytes, known: KeySet) -> KeySet:
    """Read a JWK Set. A key that is unchanged since ``known`` stays the same object, as what it verified stays good.

    An empty one has no keys. Raises what it must (it is others' text) when nothing of it is usable.
    """
    document = parse(data, max_depth=_MAX_DEPTH).root
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > _MOST_KEYS:
        raise ValueError("no JWK Set")
    if not listed:
        # An issuer may take all its keys back.
        return KeySet()
    public = [each for each in listed if isinstance(each, dict) and "d" not in each and each.get("kty") in _TYPES]
    keys: dict[str, PyJWK] = {}
    weak: set[str] = set()
    for key in PyJWKSet.from_dict({"keys": public}).keys:
        if key.public_key_use not in _USES or not _verifies(key):
            continue
        key_id = key.key_id if isinstance(key.key_id, str) else ""
        if isinstance(key.key, RSAPublicKey) and key.key.key_size < _MIN_RSA_BITS:
            weak.add(key_id)
        else:
            before = known.keys.get(key_id)
            keys[key_id] = before if before is not None and _same(before, key) else key
    return KeySet(keys, frozenset(weak - keys.keys()))


def _verifies(key: PyJWK) -> bool:
    operations = key._jwk_data.get("key_ops")  # noqa: SLF001 - PyJWK shows no other members
    return not isinstance(operations, list) or "verify" in operations


def _same(one: PyJWK, other: PyJWK) -> bool:
    """Whether they are one key, and for the same algorithms and uses."""
    return one.key == other.key and one._jwk_data == other._jwk_data  # noqa: SLF001 - PyJWK shows no other members
