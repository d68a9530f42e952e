"""Bodies encrypted at rest: AES-256-GCM with a key for each event, derived from that of the month.

What is kept is the month (two bytes, big-endian: months since the year 0), a random nonce (12 bytes) and the ciphertext
with its tag. The key is HMAC-SHA-256(key of the month, event id), so that no key meets the bound of random nonces (NIST
SP 800-38D, section 8.3) however much a month holds. The event's id and the month are authenticated with the body: who
writes to the database cannot pass one event's body off as another's.
"""

from __future__ import annotations

import hmac
import os
import struct
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from countersign.runtime.body_keys import BodyKeys

NONCE_BYTES = 12

_MONTH = struct.Struct(">H")
_HEAD_BYTES = _MONTH.size + NONCE_BYTES


class Tampered(Exception):
    """What is kept was not encrypted here, for this event, with this key."""


def cipher_of(folder: Callable[[], str]) -> Callable[[], BodyCipher | None]:
    """Return what gives the cipher by the keys of a folder, which may change; ``None`` while its name is empty."""
    made: dict[str, BodyCipher] = {}

    def cipher() -> BodyCipher | None:
        name = folder()
        if name and name not in made:
            made.clear()
            made[name] = BodyCipher(BodyKeys(Path(name)))
        return made.get(name)

    return cipher


class BodyCipher:
    """Encrypts with the key of the month that ``clock`` (seconds since the epoch) is in."""

    def __init__(
        self,
        keys: BodyKeys,
        *,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._random = random

    def encrypt(self, event_id: UUID, plain: bytes) -> bytes:
        """Return what is kept of ``plain``. Raises ``NoBodyKey``."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        head = _MONTH.pack(now.year * 12 + now.month - 1)
        cipher = self._cipher(date(now.year, now.month, 1), event_id)
        nonce = self._random(NONCE_BYTES)
        return head + nonce + cipher.encrypt(nonce, plain, event_id.bytes + head)

    def decrypt(self, event_id: UUID, kept: bytes) -> bytes:
        """Return what was encrypted for the event. Raises ``NoBodyKey``, ``Tampered``."""
        head, nonce = kept[: _MONTH.size], kept[_MONTH.size : _HEAD_BYTES]
        if len(nonce) != NONCE_BYTES:
            raise Tampered
        [months] = _MONTH.unpack(head)
        if months < 12:
            raise Tampered
        cipher = self._cipher(date(months // 12, months % 12 + 1, 1), event_id)
        try:
            return cipher.decrypt(nonce, kept[_HEAD_BYTES:], event_id.bytes + head)
        except InvalidTag:
            raise Tampered from None

    def _cipher(self, month: date, event_id: UUID) -> AESGCM:
        return AESGCM(hmac.digest(self._keys.of(month), event_id.bytes, "sha256"))
