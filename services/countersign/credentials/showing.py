"""What one target is shown: headers, made of secrets, for all callers alike or for each its own."""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from countersign.config import Secret
from countersign.config.secrets import header_safe, header_value, plain, private_key
from countersign.config.types_credentials import (
    Basic,
    Bearer,
    ClientCredentials,
    Credential,
    IdJag,
    OAuthClient,
    SecretFrom,
    SecretStore,
    Stated,
    TokenExchange,
)
from countersign.credentials.asking import Asker
from countersign.credentials.errors import CredentialUnavailable
from countersign.credentials.kept import Fetch, Kept
from countersign.credentials.oauth import (
    Surroundings,
    TokenEndpoint,
    by_client_credentials,
    by_exchange,
    by_id_jag,
)
from countersign.credentials.sources import Check, Source, stated, stored
from countersign.credentials.stores import Store
from countersign.model.principal import Principal

AUTHORIZATION = "authorization"
SWEEP_S = 60.0
CallerKey = tuple[str, str, bytes]
NOBODY: CallerKey = ("", "", b"")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and the token by which: it goes to token endpoints that gateway.yaml names, and nowhere else."""

    principal: Principal
    token: Secret

    @property
    def key(self) -> CallerKey:
        """What tells it from any other caller, and from itself with another token."""
        digest = hashlib.sha256(self.token.reveal().encode("utf-8", "surrogatepass")).digest()
        return self.principal.issuer, self.principal.subject, digest


@dataclass(frozen=True, slots=True)
class Shown:
    """Headers to show, which serials they are made of, and whose they are (``Caller.key``)."""

    headers: Mapping[str, Secret]
    serials: tuple[int, ...]
    key: CallerKey


class Part(Protocol):
    """One header of a credential."""

    async def show(self, caller: Caller) -> tuple[str, int]:
        """Return its value and the serial of that. Raises ``CredentialUnavailable``."""

    async def again(self, key: CallerKey) -> tuple[str, int]:
        """Return what ``show`` would for this caller, whose token is not at hand. Raises ``CredentialUnavailable``."""

    def refused(self, key: CallerKey, serial: int) -> None:
        """Hear that the target refused it."""

    def drop(self, struck: Callable[[Principal], bool]) -> None:
        """Forget what is kept for these callers."""

    def close(self) -> None:
        """Forget all."""


class Shared:
    """The same for all callers: ``form`` makes a header's value of the secret."""

    def __init__(self, source: Source, form: Callable[[str], str]) -> None:
        self._source = source
        self._form = form
        self._latest = 0

    async def show(self, caller: Caller) -> tuple[str, int]:
        """See ``Part``."""
        return await self.again(caller.key)

    async def again(self, key: CallerKey) -> tuple[str, int]:
        """See ``Part``; for any caller."""
        value = await self._source.get()
        self._latest = value.serial
        return self._form(value.secret.reveal()), value.serial

    def refused(self, key: CallerKey, serial: int) -> None:
        """See ``Part``."""
        self._source.refused(serial)

    def refused_elsewhere(self) -> None:
        """Hear that the target refused what another process showed it."""
        self._source.refused(self._latest)

    def drop(self, struck: Callable[[Principal], bool]) -> None:
        """Nothing is of one caller."""

    def close(self) -> None:
        """See ``Part``."""
        self._source.close()


class Own:
    """Each caller's own bearer token, for the last ``most`` that called."""

    def __init__(self, keep: Callable[[Caller], Kept], clock: Callable[[], float], most: int) -> None:
        self._keep = keep
        self._clock = clock
        self._most = max(most, 1)
        self._kept: OrderedDict[CallerKey, tuple[Caller, Kept]] = OrderedDict()
        self._sweep_at = clock() + SWEEP_S

    def __len__(self) -> int:
        return len(self._kept)

    async def show(self, caller: Caller) -> tuple[str, int]:
        """See ``Part``."""
        self._sweep()
        key = caller.key
        if key not in self._kept:
            self._kept[key] = caller, self._keep(caller)
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return await self.again(key)

    async def again(self, key: CallerKey) -> tuple[str, int]:
        """See ``Part``."""
        found = self._kept.get(key)
        if found is None:
            raise CredentialUnavailable("nothing is kept for this caller any more")
        value = await found[1].get()
        return _bearer(value.secret.reveal()), value.serial

    def refused(self, key: CallerKey, serial: int) -> None:
        """See ``Part``."""
        found = self._kept.get(key)
        if found is not None:
            found[1].refused(serial)

    def drop(self, struck: Callable[[Principal], bool]) -> None:
        """See ``Part``."""
        self._forget([key for key, (caller, _) in self._kept.items() if struck(caller.principal)])

    def close(self) -> None:
        """See ``Part``."""
        self._forget(list(self._kept))

    def _sweep(self) -> None:
        """Let go of tokens that are over, and of the callers' that they were had for."""
        if self._clock() >= self._sweep_at:
            self._sweep_at = self._clock() + SWEEP_S
            self._forget([key for key, (_, kept) in self._kept.items() if kept.idle])

    def _forget(self, keys: list[CallerKey]) -> None:
        for key in keys:
            self._kept.pop(key)[1].close()


class Presenter:
    """Shows a target its credential. ``renewable`` as of ``Credential``; ``shared`` is what is the same for all.

    ``closed`` once gateway.yaml says it no more.
    """

    def __init__(self, parts: Mapping[str, Part], *, renewable: bool) -> None:
        self._parts = parts
        self.renewable = renewable
        self.closed = False
        self.shared = all(isinstance(part, Shared) for part in parts.values())
        self._latest: tuple[Mapping[str, tuple[str, int]], Shown] | None = None

    async def show(self, caller: Caller) -> Shown:
        """Return what to show now. Raises ``CredentialUnavailable``."""
        if self.shared:
            # Whoever calls, so that nothing need be known of the token.
            return await self.again(NOBODY)
        return _shown({name: await part.show(caller) for name, part in self._parts.items()}, caller.key)

    async def again(self, key: CallerKey) -> Shown:
        """Return what ``show`` would for this caller, whose token is not at hand. Raises ``CredentialUnavailable``.

        What is the same for all is the same object for as long as it stays as it is.
        """
        values = {name: await part.again(key) for name, part in self._parts.items()}
        if not self.shared:
            return _shown(values, key)
        if self._latest is None or self._latest[0] != values:
            self._latest = values, _shown(values, NOBODY)
        return self._latest[1]

    def refused(self, shown: Shown) -> None:
        """Hear that the target refused what was shown."""
        for part, serial in zip(self._parts.values(), shown.serials, strict=True):
            part.refused(shown.key, serial)

    def refused_elsewhere(self) -> None:
        """Hear that the target refused what another process showed it: most likely, what this one shows now."""
        for part in self._parts.values():
            if isinstance(part, Shared):
                part.refused_elsewhere()

    def drop(self, struck: Callable[[Principal], bool]) -> None:
        """Forget what is kept for these callers."""
        for part in self._parts.values():
            part.drop(struck)

    def close(self) -> None:
        """Forget all."""
        self.closed = True
        self._latest = None
        for part in self._parts.values():
            part.close()


@dataclass(frozen=True, slots=True)
class Making:
    """Makes presenters for ``target``; ``store`` gives the clients of stores, ``most`` callers' own tokens are kept."""

    target: str
    asker: Asker
    store: Callable[[SecretStore], Store]
    around: Surroundings
    most: int

    def presenter(self, credential: Credential) -> Presenter:
        """Return what shows this credential."""
        parts: dict[str, Part] = {}
        how = credential.how
        if isinstance(how, Bearer):
            parts[AUTHORIZATION] = Shared(self._source(how.token, header_safe), _bearer)
        elif isinstance(how, Basic):
            username = how.username
            parts[AUTHORIZATION] = Shared(
                self._source(how.password, plain), lambda password: _basic(username, password)
            )
        elif isinstance(how, ClientCredentials):
            endpoint, asking = self._endpoint(how.client), how
            kept = self._kept(lambda: by_client_credentials(endpoint, asking))
            parts[AUTHORIZATION] = Shared(kept, _bearer)
        elif isinstance(how, TokenExchange | IdJag):
            parts[AUTHORIZATION] = self._own(how)
        for name, source in credential.headers.items():
            parts[name] = Shared(self._source(source, header_value), str)
        return Presenter(parts, renewable=credential.renewable)

    def _own(self, how: TokenExchange | IdJag) -> Own:
        if isinstance(how, TokenExchange):
            endpoint, exchange = self._endpoint(how.client), how

            def keep(caller: Caller) -> Kept:
                return self._kept(lambda: by_exchange(endpoint, exchange, caller.token))
        else:
            provider, server, asking = self._endpoint(how.provider), self._endpoint(how.server), how

            def keep(caller: Caller) -> Kept:
                return self._kept(lambda: by_id_jag(provider, server, asking, caller.token))

        return Own(keep, self.around.clock, self.most)

    def _kept(self, fetch: Fetch) -> Kept:
        return Kept(fetch, self.around.clock, self.around.chance, self._name)

    @property
    def _name(self) -> str:
        return f"what {self.target} is shown"

    def _endpoint(self, client: OAuthClient) -> TokenEndpoint:
        secret = self._source(client.secret, plain) if client.secret else None
        key = self._source(client.private_key, private_key, whole=True) if client.private_key else None
        return TokenEndpoint(client, secret, key, self.asker, self.around)

    def _source(self, source: SecretFrom, check: Check, *, whole: bool = False) -> Source:
        if isinstance(source, Stated):
            return stated(source, check, self.around.clock, whole=whole)
        store, path, key = self.store(source.store), source.path, source.key
        return stored(
            lambda: store.read(path, key), check, source.fresh_s, self.around.clock, self.around.chance, self._name
        )


def _shown(values: Mapping[str, tuple[str, int]], key: CallerKey) -> Shown:
    headers = {name: Secret(value) for name, (value, _) in values.items()}
    return Shown(headers, tuple(serial for _, serial in values.values()), key)


def _bearer(token: str) -> str:
    return f"Bearer {token}"


def _basic(username: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"
