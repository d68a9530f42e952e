"""Where secrets come from, behind one small interface: variables, files, and stores that are asked."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from countersign.config import Secret
from countersign.config.secrets import Unreadable, from_file
from countersign.config.types_credentials import Stated
from countersign.credentials.errors import CredentialUnavailable
from countersign.credentials.kept import Fetched, Kept, Value

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""A file that looks the same is read again after so long: not all file systems tell of every change."""
GRACE_S = 2.0
"""A file that cannot be read, such as one that is just being written, may still be so for as long."""

Check = Callable[[str], Secret]
"""Says that a text may be used as it is to be used. Raises ``Unreadable``."""


class Source(Protocol):
    """Gives a secret."""

    async def get(self) -> Value:
        """Return the secret as it is now. Raises ``CredentialUnavailable``."""

    def refused(self, serial: int) -> None:
        """Hear that the value with this serial was refused by whom it was shown to."""

    def close(self) -> None:
        """Let go of what is under way."""


class Fixed:
    """A secret that stays as it is."""

    def __init__(self, secret: Secret) -> None:
        self._value = Value(secret, 1)

    async def get(self) -> Value:
        """Return it."""
        return self._value

    def refused(self, serial: int) -> None:
        """Nothing can be done about it."""

    def close(self) -> None:
        """Nothing is under way."""


class InFile:
    """The secret in a file, as it is now; ``clock`` gives monotonic seconds."""

    def __init__(
        self, path: Path, check: Check, clock: Callable[[], float], *, whole: bool = False, shared: bool = False
    ) -> None:
        self._path = path
        self._check = check
        self._clock = clock
        self._whole, self._shared = whole, shared
        self._value: Value | None = None
        self._seen: tuple[int, ...] = ()
        self._read_at = -math.inf
        self._failed_at: float | None = None

    async def get(self) -> Value:
        """Return what the file holds. Raises ``CredentialUnavailable``."""
        now = self._clock()
        seen = _look_of(self._path)
        if self._value is not None and seen == self._seen and now - self._read_at < LOOK_S:
            return self._value
        try:
            secret = self._check(from_file(self._path, whole=self._whole, shared=self._shared))
        except Unreadable as error:
            return self._unreadable(error.what, now)
        self._seen, self._read_at, self._failed_at = seen, now, None
        if self._value is None or self._value.secret != secret:
            self._value = Value(secret, 1 if self._value is None else self._value.serial + 1)
        return self._value

    def refused(self, serial: int) -> None:
        """Look again at once."""
        self._read_at = -math.inf

    def close(self) -> None:
        """Nothing is under way."""

    def _unreadable(self, what: str, now: float) -> Value:
        if self._failed_at is None:
            self._failed_at = now
            log.warning("the file of a credential: %s", what)
        if self._value is None or now - self._failed_at >= GRACE_S:
            raise CredentialUnavailable("the file of the target's credential cannot be used")
        return self._value


def stated(source: Stated, check: Check, clock: Callable[[], float], *, whole: bool = False) -> Source:
    """Return the source of what gateway.yaml states by a variable or a file."""
    if source.file is None:
        return Fixed(source.secret)
    return InFile(source.file, check, clock, whole=whole, shared=source.mounted)


def stored(
    read: Callable[[], Awaitable[str]],
    check: Check,
    fresh_s: float,
    clock: Callable[[], float],
    chance: Callable[[], float],
    name: str = "what a store holds",
) -> Source:
    """Return the source of what a store gives: ``read`` raises ``CredentialUnavailable``; logs call it ``name``.

    It is read again after ``fresh_s``, and used for as long again while the store does not answer.
    """

    async def fetch() -> Fetched:
        text = await read()
        try:
            secret = check(text)
        except Unreadable:
            problem = "what the store holds for the target is no credential"
        else:
            return Fetched(secret, fresh_s, 2 * fresh_s)
        raise CredentialUnavailable(problem)

    return Kept(fetch, clock, chance, name)


def _look_of(path: Path) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
