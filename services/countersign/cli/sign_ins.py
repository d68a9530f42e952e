"""Sign-ins that `countersign login` keeps: a private file, changed whole or not at all, by one process at a time."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from countersign.cli.access import USAGE, stop
from countersign.runtime.settings import state_directory

_FILE, _LOCK = "sign-ins.json", "sign-ins.lock"
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Kept:
    """A token, and until when it is good (seconds since the epoch)."""

    token: str
    until_s: float

    def __repr__(self) -> str:
        return f"Kept(until_s={self.until_s})"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sign-in at a gateway for ``resource``: the refresh token that is good, and tokens by their resources."""

    gateway: str
    resource: str
    refresh_token: str
    tokens: dict[str, Kept] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"SignedIn(gateway={self.gateway!r}, resource={self.resource!r})"

    def with_token(self, resource: str, kept: Kept, refresh_token: str) -> SignedIn:
        """Return it with another token, and the refresh token that came with it."""
        return replace(self, refresh_token=refresh_token, tokens={**self.tokens, resource: kept})


class SignIns:
    """What is kept in ``folder``. Raises ``typer.Exit`` after saying why it cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def changing(self) -> Iterator[dict[str, SignedIn]]:
        """Lend all sign-ins by their gateways, to nobody else meanwhile; what was changed is kept afterwards."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise stop(f"{self._folder} cannot be used: {error.strerror}", USAGE) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = self._read()
            before = dict(found)
            try:
                yield found
            finally:
                # Also when the block failed: a refresh token that came in it is the only one that is good now.
                if found != before:
                    self._write(found)
        finally:
            os.close(lock)

    def of(self, gateway: str) -> SignedIn | None:
        """Return what is kept of a gateway now."""
        if not (self._folder / _FILE).exists():
            return None
        with self.changing() as kept:
            return kept.get(gateway)

    def _read(self) -> dict[str, SignedIn]:
        path = self._folder / _FILE
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise stop(f"{path} cannot be read: {error.strerror}", USAGE) from None
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
                raise stop(f"{path} is open to others: remove it, and sign in again", USAGE)
            data = file.read(_MOST_BYTES)
        try:
            return {gateway: _read_one(gateway, one) for gateway, one in json.loads(data).items()}
        except (ValueError, TypeError, KeyError, AttributeError):
            raise stop(f"{path} is damaged: remove it, and sign in again", USAGE) from None

    def _write(self, sign_ins: dict[str, SignedIn]) -> None:
        text = json.dumps({gateway: asdict(one) for gateway, one in sign_ins.items()}, indent=1)
        temporary = self._folder / f"{_FILE}.{os.getpid()}"
        try:
            temporary.unlink(missing_ok=True)
            descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._folder / _FILE)
        except OSError as error:
            raise stop(f"{self._folder} cannot be written: {error.strerror}", USAGE) from None


def kept_sign_ins() -> SignIns:
    """Return those of this user. Raises ``typer.Exit`` when there is no place for them."""
    folder = state_directory()
    if folder is None:
        raise stop("there is no place for sign-ins: set HOME or XDG_STATE_HOME", USAGE)
    return SignIns(folder)


def _read_one(gateway: str, one: dict[str, object]) -> SignedIn:
    tokens = one["tokens"]
    if not isinstance(tokens, dict):
        raise TypeError("tokens")
    return SignedIn(
        gateway=gateway,
        resource=str(one["resource"]),
        refresh_token=str(one["refresh_token"]),
        tokens={resource: Kept(str(each["token"]), float(each["until_s"])) for resource, each in tokens.items()},
    )
