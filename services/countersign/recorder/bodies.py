"""How bodies are kept on their shelves: the only code that knows the forms of their content."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

SALT_BYTES = 32
COMPRESSED = 1
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


class BodyKeeper:
    """Shuts bodies away and opens them again."""

    def shut(self, event_id: UUID, salt: bytes, body: bytes) -> Shelved:
        """Return what is kept of a body."""
        if len(body) >= _COMPRESS_FROM_BYTES:
            squeezer = zlib.compressobj(_LEVEL, zlib.DEFLATED, *(_SMALL if len(body) <= _SMALL_BYTES else _USUAL))
            squeezed = squeezer.compress(body) + squeezer.flush()
            if len(squeezed) + _LEAST_SAVED_BYTES <= len(body):
                return Shelved(len(body), COMPRESSED, salt + squeezed)
        return Shelved(len(body), 0, salt + body)

    def open(self, event_id: UUID, shelved: Shelved) -> Opened:
        """Return the body that was shut away for the event. Raises ``BodyUnreadable``."""
        salt, kept = shelved.content[:SALT_BYTES], shelved.content[SALT_BYTES:]
        if len(salt) != SALT_BYTES or shelved.form & ~COMPRESSED:
            raise BodyUnreadable("the body is kept in a form that this version of countersign does not know")
        body = _inflated(kept, shelved.size_bytes) if shelved.form & COMPRESSED else kept
        if len(body) != shelved.size_bytes:
            raise BodyUnreadable("the body is damaged: it has another size than it had")
        return Opened(salt, body)

    def beginning(self, shelved: Shelved, at_most: int) -> bytes | None:
        """Return the first bytes of a body; of its content only the beginning need be given.

        ``None`` when it is encrypted: what is searched shall not be read elsewhere. Raises ``BodyUnreadable``.
        """
        if shelved.form & ~COMPRESSED:
            return None
        kept = shelved.content[SALT_BYTES:]
        return _inflated(kept, at_most - 1) if shelved.form & COMPRESSED else kept[:at_most]


def _inflated(kept: bytes, size_bytes: int) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # One more than there can be tells what is damaged, and no more is ever held.
        return inflater.decompress(kept, size_bytes + 1)
    except zlib.error:
        raise BodyUnreadable("the body is damaged: it cannot be unpacked") from None
