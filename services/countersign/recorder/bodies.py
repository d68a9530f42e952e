"""How bodies are kept on their shelves: the only code that knows the forms of their content."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from uuid import UUID

from countersign.recorder.body_cipher import BodyCipher, Tampered
from countersign.runtime.body_keys import NoBodyKey
from countersign.runtime.postgres import DatabaseUnavailable

log = logging.getLogger(__name__)

SALT_BYTES = 32
COMPRESSED, ENCRYPTED = 1, 2
"""Forms of content, which may be joined: what is encrypted was compressed before."""
# Less than this is not worth the time.
_COMPRESS_FROM_BYTES = 200
_LEAST_SAVED_BYTES = 32
_LEVEL = 1
# Window and memory (zlib's deflateInit2): to prepare the usual ones takes longer than to squeeze a few hundred bytes.
_SMALL, _USUAL = (-12, 5), (-15, 8)
_SMALL_BYTES = 16 * 1024


class BodyUnreadable(Exception):
    """A body cannot be had; the message says why, and never shows it."""


@dataclass(frozen=True, slots=True)
class Shelved:
    """A body as it is kept: ``size_bytes`` is that of the body itself, ``form`` says how to open ``content``."""

    size_bytes: int
    form: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """A body with the salt of its commitment."""

    salt: bytes
    body: bytes


def commitment(salt: bytes, body: bytes) -> str:
    """Return what a leaf says of a body, in hex: SHA-256(salt || body)."""
    return sha256(salt + body).hexdigest()


class NotShut(DatabaseUnavailable):
    """A body cannot be shut away as it must be: nothing may be recorded. The message says why, and what to do."""


class BodyKeeper:
    """Shuts bodies away and opens them again. ``cipher`` gives what encrypts them now, ``None`` while nothing does."""

    def __init__(self, cipher: Callable[[], BodyCipher | None] = lambda: None) -> None:
        self._cipher = cipher
        self._missing: date | None = None

    def shut(self, event_id: UUID, salt: bytes, body: bytes) -> Shelved:
        """Return what is kept of a body. Raises ``NotShut``."""
        form, kept = _squeezed(body)
        cipher = self._cipher()
        if cipher is None:
            return Shelved(len(body), form, salt + kept)
        try:
            return Shelved(len(body), form | ENCRYPTED, cipher.encrypt(event_id, salt + kept))
        except NoBodyKey as error:
            raise NotShut(str(error)) from None

    def open(self, event_id: UUID, shelved: Shelved) -> Opened:
        """Return the body that was shut away for the event. Raises ``BodyUnreadable``."""
        content, form = shelved.content, shelved.form
        if form & ENCRYPTED:
            content, form = self._decrypted(event_id, content), form & ~ENCRYPTED
        salt, kept = content[:SALT_BYTES], content[SALT_BYTES:]
        if len(salt) != SALT_BYTES or form & ~COMPRESSED:
            raise BodyUnreadable("the body is kept in a form that this version of countersign does not know")
        body = _inflated(kept, shelved.size_bytes) if form & COMPRESSED else kept
        if len(body) != shelved.size_bytes:
            raise BodyUnreadable("the body is damaged: it has another size than it had")
        return Opened(salt, body)

    def _decrypted(self, event_id: UUID, content: bytes) -> bytes:
        cipher = self._cipher()
        if cipher is None:
            raise BodyUnreadable("the body is encrypted: name the folder of its key (recording.encryption)")
        try:
            return cipher.decrypt(event_id, content)
        except NoBodyKey as error:
            if error.month != self._missing:
                # Once, and again when another is missed meanwhile: a page may hold hundreds of such bodies.
                self._missing = error.month
                log.warning("bodies cannot be read, and are told to be erased: %s", error)
            raise BodyUnreadable(str(error)) from None
        except Tampered:
            raise BodyUnreadable("the body is damaged, or was encrypted with another key of that month") from None

    def beginning(self, shelved: Shelved, at_most: int) -> bytes | None:
        """Return the first bytes of a body; of its content only the beginning need be given.

        ``None`` when it is encrypted: what is searched shall not be read elsewhere. Raises ``BodyUnreadable``.
        """
        if shelved.form & ~COMPRESSED:
            return None
        kept = shelved.content[SALT_BYTES:]
        return _inflated(kept, at_most - 1) if shelved.form & COMPRESSED else kept[:at_most]


def _squeezed(body: bytes) -> tuple[int, bytes]:
    """Return the form, ``COMPRESSED`` or 0, and the body in it."""
    if len(body) >= _COMPRESS_FROM_BYTES:
        squeezer = zlib.compressobj(_LEVEL, zlib.DEFLATED, *(_SMALL if len(body) <= _SMALL_BYTES else _USUAL))
        squeezed = squeezer.compress(body) + squeezer.flush()
        if len(squeezed) + _LEAST_SAVED_BYTES <= len(body):
            return COMPRESSED, squeezed
    return 0, body


def _inflated(kept: bytes, size_bytes: int) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # One more than there can be tells what is damaged, and no more is ever held.
        return inflater.decompress(kept, size_bytes + 1)
    except zlib.error:
        raise BodyUnreadable("the body is damaged: it cannot be unpacked") from None
