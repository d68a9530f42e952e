"""The keys behind tokens: what a session's tokens are made with, found by, and sealed in.

All derive from the deployment's key and differ from session to session. Whoever holds the recorder's database, and not
that key, can neither read a value nor tell whether two sessions were shown the same one.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from countersign.masking.unmask import opening
from countersign.model.handoff import Handoff
from countersign.runtime.sealing import Unsealable, derived

MARK_BYTES, HEAD_BYTES = 16, 8


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """To whom tokens were shown: a session, and whose and of which target it is. Nobody else's turn into values."""

    session_id: str
    issuer: str
    subject: str
    target: str

    @classmethod
    def of(cls, handoff: Handoff) -> TokenOwner:
        """Return the owner of what the answer to a judged call shows."""
        principal = handoff.principal
        return cls(handoff.session_id, principal.issuer, principal.subject, handoff.target)


class TokenKeys:
    """Makes each owner's keys from the deployment's ``key`` (at least 32 bytes)."""

    def __init__(self, key: bytes) -> None:
        self._sessions = derived(key, b"countersign token sessions", 32)
        self._sealing = AESSIV(derived(key, b"countersign token values", 64))

    def of(self, owner: TokenOwner) -> OwnerKeys:
        """Return the keys of one owner."""
        bound = [owner.session_id.encode(), owner.issuer.encode(), owner.subject.encode(), owner.target.encode()]
        named = b"".join(len(part).to_bytes(4) + part for part in bound)
        return OwnerKeys(self._sessions, named, self._sealing, bound)


class OwnerKeys:
    """What is done to the tokens of one owner. Only ``TokenKeys`` makes one."""

    def __init__(self, key: bytes, name: bytes, sealing: AESSIV, bound: list[bytes]) -> None:
        self.mint = hmac.digest(key, b"mint" + name, "sha256")
        """The key of the session's ``Mint``."""
        self._marks = hmac.digest(key, b"mark" + name, "sha256")
        self._sealing = sealing
        self._bound: list[bytes | bytearray | memoryview] = [*bound]

    def mark(self, text: str) -> bytes:
        """Return what tells a token from all others, and nothing else of it."""
        return hmac.digest(self._marks, b"t" + _bytes(text), "sha256")[:MARK_BYTES]

    def head(self, opening: str) -> bytes:
        """Return the same of what a token begins with."""
        return hmac.digest(self._marks, b"w" + _bytes(opening), "sha256")[:HEAD_BYTES]

    def head_of(self, token: str) -> bytes:
        """Return ``head`` of that by which this token is looked for."""
        return self.head(opening(token))

    def seal(self, token: str, value: str) -> bytes:
        """Seal a token with its value (AES-SIV, RFC 5297: the same for the same two)."""
        return self._sealing.encrypt(json.dumps([token, value]).encode(), self._bound)

    def open(self, sealed: bytes) -> tuple[str, str]:
        """Return the token and the value that ``seal`` was given for this owner. Raises ``Unsealable``."""
        try:
            token, value = json.loads(self._sealing.decrypt(sealed, self._bound))
        except (InvalidTag, ValueError) as error:
            raise Unsealable("not a token of this session") from error
        return token, value


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
