"""Takes what issuers tell: who may tell what, verified, understood, and in force before it is acknowledged."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from countersign.config import GatewayConfig, Issuer
from countersign.config.types_portal import LogoutSource, SignalSource
from countersign.config.types_secret import Secret
from countersign.portal.hears.applying import Applying
from countersign.portal.hears.logouts import read_logout
from countersign.portal.hears.signals import read_signal
from countersign.portal.hears.signed import Keys, opened, verified
from countersign.portal.hears.told import Err, Heard, NotTaken

AT_ONCE = 64
"""Tokens of one sender looked at at once; anybody may send some that say to be of it."""
APPLIED_AT_ONCE = 16
"""Verified ones brought to the recorder at once; the others wait for their turn."""
TURN_S = 5.0


class Busy(Exception):
    """There is more under way than is taken at once: to be sent again."""


class KeysOfTellers(Protocol):
    """Where the keys of those who tell come from: ``telling_keys.TellersKeys``, and what tests put in its place."""

    def of_issuer(self, issuer: str) -> Keys:
        """Return the keys of an issuer that gateway.yaml names."""

    def at(self, jwks_url: str) -> Keys:
        """Return the keys at a URL that gateway.yaml names."""


class Listener:
    """Hears what the issuers under ``portal:`` tell, each of its own principals alone.

    ``config`` returns the version in force, ``now_s`` seconds since the epoch. Both methods return when all that
    follows is in force, and raise ``NotTaken``; ``IdentityUnavailable``, ``NotApplied`` and ``Busy`` when it must be
    sent again.
    """

    def __init__(
        self, config: Callable[[], GatewayConfig], keys: KeysOfTellers, feed: Applying, now_s: Callable[[], float]
    ) -> None:
        self._config = config
        self._keys = keys
        self._feed = feed
        self._now_s = now_s
        self._looked_at: Counter[str] = Counter()
        self._turns = asyncio.Semaphore(APPLIED_AT_ONCE)

    async def logout(self, token: bytes) -> Heard:
        """Take a logout token."""
        jws, issuer = opened(token)
        source = self._logout_source(issuer)
        with self._slot(source.issuer):
            claims = await verified(jws, self._keys.of_issuer(source.issuer))
            skew_s = self._issuer(source.issuer).clock_skew_s
            heard = read_logout(jws.typ, claims, source, skew_s=skew_s, now_s=self._now_s())
            return await self._applied(heard)

    async def signal(self, token: bytes, bearer: str) -> Heard:
        """Take a security event token that came with this bearer token (empty: with none)."""
        jws, issuer = opened(token)
        source = self._signal_source(issuer)
        _check_bearer(source, bearer)
        with self._slot(source.issuer):
            claims = await verified(jws, self._keys.at(source.jwks_url))
            of = self._issuer(source.subjects_of)
            heard = read_signal(
                jws.typ,
                claims,
                source,
                by_mail=of.subject_claim == "email",
                skew_s=of.clock_skew_s,
                now_s=self._now_s(),
            )
            return await self._applied(heard)

    @contextmanager
    def _slot(self, issuer: str) -> Iterator[None]:
        """Each issuer of gateway.yaml has its own: while one does not show its keys, others are heard."""
        if self._looked_at[issuer] >= AT_ONCE:
            raise Busy
        self._looked_at[issuer] += 1
        try:
            yield
        finally:
            self._looked_at[issuer] -= 1

    def _logout_source(self, issuer: str) -> LogoutSource:
        portal = self._config().portal
        return _of_issuer(issuer, portal.logouts if portal is not None else ())

    def _signal_source(self, issuer: str) -> SignalSource:
        portal = self._config().portal
        return _of_issuer(issuer, portal.signals if portal is not None else ())

    def _issuer(self, name: str) -> Issuer:
        """Return what gateway.yaml says of an issuer; what is so by default of a SAML provider."""
        return next((one for one in self._config().issuers if one.issuer == name), Issuer(name))

    async def _applied(self, heard: Heard) -> Heard:
        if heard.empty:
            return heard
        try:
            async with asyncio.timeout(TURN_S):
                await self._turns.acquire()
        except TimeoutError:
            raise Busy from None
        try:
            await self._feed.apply(heard)
        finally:
            self._turns.release()
        return heard


_Source = TypeVar("_Source", LogoutSource, SignalSource)


def _of_issuer(issuer: str, sources: Sequence[_Source]) -> _Source:
    for source in sources:
        if source.issuer == issuer:
            return source
    raise NotTaken(Err.ISSUER, "the token's issuer is none of whom this gateway hears")


def _check_bearer(source: SignalSource, bearer: str) -> None:
    if source.token is not None and not source.token == Secret(bearer):
        raise NotTaken(Err.AUTHENTICATION, "the transmitter must send the bearer token that gateway.yaml has for it")
