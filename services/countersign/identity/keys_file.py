"""The public keys of an issuer in a file, for issuers that cannot be asked: clusters, SPIFFE bundles."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

from jwt import PyJWK

from countersign.config import files
from countersign.identity.errors import IdentityUnavailable
from countersign.identity.keyset import KeySet, keys_of

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""A change of the file counts within this many seconds."""
_MAX_BYTES = 1 << 20


class FileKeys:
    """The keys in the JWKS at ``path``, read anew when it changes; none while it cannot be read.

    ``clock`` gives monotonic seconds.
    """

    def __init__(self, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = Path(path)
        self._clock = clock
        self._looked_at = -math.inf
        self._seen: tuple[int, ...] | None = None
        self._keys: KeySet | None = None

    async def find(self, key_id: str | None) -> PyJWK | None:
        """Return the key with this id (the only key when a token names none), or ``None``.

        Raises ``IdentityUnavailable`` while the file cannot be read, ``Unidentified`` for a key that is too weak.
        """
        keys = self._current()
        if keys is None:
            raise IdentityUnavailable(f"the keys in {self._path} cannot be read")
        return keys.pick(key_id)

    def trusts(self, key: PyJWK) -> bool:
        """Whether ``key``, found earlier, is still in the file."""
        keys = self._current()
        return keys is not None and keys.holds(key)

    def refresh_soon(self) -> None:
        """Look at the file."""
        self._current()

    def _current(self) -> KeySet | None:
        if self._clock() - self._looked_at >= LOOK_S:
            self._looked_at = self._clock()
            try:
                state = os.stat(self._path)
                # Copies may keep size and time of what they replace, but not when that was done.
                seen = (state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino, state.st_dev)
                if seen != self._seen or self._keys is None:
                    keys = keys_of(files.read(self._path, _MAX_BYTES).data, self._keys or KeySet())
                    if not keys.keys:
                        raise ValueError("no keys")
                    self._keys, self._seen = keys, seen
            except Exception as error:
                # Whatever is wrong with it; its message may quote it.
                log.warning("keys in %s could not be read: %s", self._path, type(error).__name__)
                self._keys = None
        return self._keys
