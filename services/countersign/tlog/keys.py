"""Keys that sign notes, as text: verifier keys and signer keys (c2sp.org/signed-note, golang.org/x/mod/sumdb/note)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from countersign.tlog.encoding import from_base64, to_base64
from countersign.tlog.errors import BadEncoding, BadKey

SEED_BYTES: Final = 32
MAX_NAME_CHARACTERS: Final = 255

_KEY_BYTES: Final = 32
_PRIVATE: Final = "PRIVATE+KEY+"
_ID_DIGITS: Final = frozenset("0123456789abcdef")


class KeyKind(IntEnum):
    """What a key signs: the byte before a key (signed-note, "Signature types")."""

    NOTE = 0x01
    """Ed25519 over the text of a note: what a log's key makes."""
    COSIGNATURE = 0x04
    """Ed25519 over the text and a time (cosignature/v1): what a witness's key makes."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name that it signs as. Written by ``str``: ``<name>+<key id>+<base64>``."""

    name: str
    kind: KeyKind
    public: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.public) != _KEY_BYTES:
            raise BadKey(f"an Ed25519 key has {_KEY_BYTES} bytes")

    @property
    def key_id(self) -> int:
        """The first 32 bits of SHA-256(name || 0x0A || kind || public key)."""
        digest = sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()
        return int.from_bytes(digest[:4], "big")

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id:08x}+{to_base64(bytes([self.kind]) + self.public)}"

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Return whether the bare Ed25519 ``signature`` (64 bytes) over ``message`` was made by this key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class SignerKey:
    """A private key with the name that it signs as. Never shown: only ``secret_text`` writes it out."""

    __slots__ = ("_private", "verifier")

    verifier: VerifierKey
    """The public half: what others check signatures with."""

    def __init__(self, name: str, kind: KeyKind, seed: bytes) -> None:
        """Make the key of 32 random bytes. Raises ``BadKey``."""
        if len(seed) != SEED_BYTES:
            raise BadKey(f"the seed of a signer's key has {SEED_BYTES} bytes")
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = VerifierKey(name, kind, self._private.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"SignerKey({self.verifier.name!r}, {self.verifier.kind.name})"

    @property
    def name(self) -> str:
        """The name that it signs as."""
        return self.verifier.name

    def sign(self, message: bytes) -> bytes:
        """Return the bare Ed25519 signature (64 bytes)."""
        return self._private.sign(message)

    def secret_text(self) -> str:
        """Write the private key as text: ``PRIVATE+KEY+<name>+<key id>+<base64>``. For key files only."""
        verifier = self.verifier
        secret = to_base64(bytes([verifier.kind]) + self._private.private_bytes_raw())
        return f"{_PRIVATE}{verifier.name}+{verifier.key_id:08x}+{secret}"


def check_name(name: str) -> None:
    """Check the name of a key. Raises ``BadKey`` if it is empty, too long, or has blanks, pluses or controls in it."""
    if not 0 < len(name) <= MAX_NAME_CHARACTERS:
        raise BadKey(f"the name of a key has 1 to {MAX_NAME_CHARACTERS} characters")
    if any(char == "+" or char.isspace() or char < " " or "\ud800" <= char <= "\udfff" for char in name):
        raise BadKey("the name of a key has no blanks, no plus and no control characters")


def parse_verifier(text: str) -> VerifierKey:
    """Read a verifier key (vkey). Raises ``BadKey``."""
    name, key_id, kind, content = _parts(text)
    key = VerifierKey(name, kind, content)
    if f"{key.key_id:08x}" != key_id:
        raise BadKey("the id of the key is not that of its name and content")
    return key


def parse_signer(text: str) -> SignerKey:
    """Read a signer's key as ``secret_text`` writes it. Raises ``BadKey``, whose message does not hold the key."""
    if not text.startswith(_PRIVATE):
        raise BadKey(f"a signer's key begins with {_PRIVATE}")
    name, key_id, kind, seed = _parts(text.removeprefix(_PRIVATE))
    key = SignerKey(name, kind, seed)
    if f"{key.verifier.key_id:08x}" != key_id:
        raise BadKey("the id of the key is not that of its name and content")
    return key


def _parts(text: str) -> tuple[str, str, KeyKind, bytes]:
    """Take ``<name>+<key id>+<base64>`` apart; base64 may hold plus signs, a name does not."""
    name, first, rest = text.partition("+")
    key_id, second, encoded = rest.partition("+")
    if not (first and second):
        raise BadKey("a key is written <name>+<key id>+<base64>")
    if len(key_id) != 8 or not _ID_DIGITS.issuperset(key_id):
        raise BadKey("the id of a key is 8 lower-case hexadecimal digits")
    if len(encoded) > 64:
        raise BadKey("the key is too long: only Ed25519 keys are known here")
    try:
        content = from_base64(encoded)
    except BadEncoding:
        raise BadKey("the last part of a key is canonical base64") from None
    if content[:1] not in (bytes([kind]) for kind in KeyKind):
        raise BadKey("the kind of the key is unknown: only Ed25519 keys of logs (1) and witnesses (4) are known here")
    return name, key_id, KeyKind(content[0]), content[1:]
