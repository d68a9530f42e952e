"""What a browser or a message carries for us: sealed for one purpose, good until a moment."""

from __future__ import annotations

import base64
import binascii
import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from countersign.runtime.sealing import Unsealable, derived

_NONCE_BYTES = 12
_MOST_CHARACTERS = 8 * 1024

Entry = str | int | list[str]


class Over(Unsealable):
    """It was sealed here, and its time is over; ``entries`` are what it held."""

    def __init__(self, entries: list[Entry]) -> None:
        super().__init__("its time is over")
        self.entries = entries


class Box:
    """Seals (AES-256-GCM) with a key of its own for ``purpose``, derived from the deployment's ``key``.

    ``bound`` is what must be the same when it is opened, and is not in what is sealed.
    """

    def __init__(self, key: bytes, purpose: str) -> None:
        self._aead = AESGCM(derived(key, b"countersign " + purpose.encode(), 32))

    def seal(self, entries: list[Entry], until_us: int, *bound: str) -> str:
        """Return visible ASCII (base64url), good until ``until_us`` (microseconds since the epoch)."""
        nonce = os.urandom(_NONCE_BYTES)
        plain = json.dumps([until_us, *entries]).encode()
        return base64.urlsafe_b64encode(nonce + self._aead.encrypt(nonce, plain, _bound(bound))).decode().rstrip("=")

    def open(self, sealed: str, now_us: int, *bound: str) -> list[Entry]:
        """Return the entries. Raises ``Over`` when its time is over, ``Unsealable`` when it was not sealed so here."""
        try:
            if len(sealed) > _MOST_CHARACTERS:
                raise Unsealable("too long")
            raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
            # One text, one meaning: the last character has bits to spare.
            if base64.urlsafe_b64encode(raw).decode().rstrip("=") != sealed:
                raise Unsealable("not as it was sealed")
            plain = self._aead.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound(bound))
        except (InvalidTag, ValueError, binascii.Error):
            raise Unsealable("not sealed here, or altered") from None
        until_us: int
        entries: list[Entry]
        until_us, *entries = json.loads(plain)
        if now_us >= until_us:
            raise Over(entries)
        return entries


def _bound(bound: tuple[str, ...]) -> bytes:
    return json.dumps(bound).encode()
