"""Where a caller stands in a list of many targets: sealed into the cursor that it holds, so the hub keeps nothing."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from countersign.model.principal import Principal
from countersign.runtime.sealing import derived

LONGEST_CURSOR = 2_048
"""Characters of a target's own cursor."""
MOST_PAGES = 1_000
"""Pages that one target may have in one list."""
_NONCE_BYTES = 12


class NoCursor(ValueError):
    """Not a cursor of this caller and this list. ``str()`` quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a target was listed: its own cursor, ``None`` when it was not asked yet, and how many pages it gave."""

    cursor: str | None = None
    pages: int = 0


class Cursors:
    """Seals and opens cursors with a key derived from ``key``, the deployment's."""

    def __init__(self, key: bytes) -> None:
        self._box = AESGCM(derived(key, b"countersign hub cursor", 32))

    def seal(self, principal: Principal, method: str, standing: Mapping[str, Standing]) -> str:
        """Return the cursor for the targets that are not listed to their end."""
        plain = json.dumps({target: [each.cursor, each.pages] for target, each in standing.items()}).encode()
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._box.encrypt(nonce, plain, _whose(principal, method))
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, principal: Principal, method: str, cursor: str) -> dict[str, Standing]:
        """Open what ``seal`` made for this very principal and list, else raise ``NoCursor``."""
        try:
            sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            plain = self._box.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _whose(principal, method))
        except (InvalidTag, ValueError, binascii.Error, UnicodeEncodeError):
            raise NoCursor("not a cursor that was given to this caller for this list") from None
        return {target: Standing(own, pages) for target, (own, pages) in json.loads(plain).items()}


def _whose(principal: Principal, method: str) -> bytes:
    return json.dumps([principal.issuer, principal.subject, method]).encode()
