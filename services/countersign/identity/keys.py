"""The public keys of one issuer, found by OpenID Connect Discovery and kept fresh without blocking any call."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

import httpx
from jwt import PyJWK

from countersign.identity.errors import IdentityUnavailable
from countersign.identity.keyset import KeySet, keys_of
from countersign.jsontext import JsonRefused, parse

log = logging.getLogger(__name__)

FRESH_S = 600.0
"""Keys older than this are fetched again in the background."""
FLOOR_S = 10.0
"""Not more often than this, however many unknown key ids come."""
STALE_S = 24 * 3600.0
"""Keys of an issuer that does not answer are trusted for so long after they were last fetched."""
_FETCH_TIMEOUT_S = 5.0
_MAX_BYTES = 1 << 20
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Keys(Protocol):
    """Where the keys of an issuer come from."""

    async def find(self, key_id: str | None) -> PyJWK | None:
        """Return the key with this id; see ``IssuerKeys.find``."""

    def trusts(self, key: PyJWK) -> bool:
        """Whether ``key``, found earlier, still counts."""

    def refresh_soon(self) -> None:
        """Begin to have the keys, so that no call need wait for them."""


class IssuerKeys:
    """The keys of ``issuer``. ``clock`` gives monotonic seconds. One fetch at a time, whoever asks.

    Its discovery document may name keys on another host, as Google's does, but only by https; by http only where the
    issuer itself is reached so, on this machine. No redirect is followed.
    """

    def __init__(self, issuer: str, client: httpx.AsyncClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._client = client
        self._clock = clock
        self._keys = KeySet()
        self._fetched_at = -math.inf
        self._tried_at = -math.inf
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None) -> PyJWK | None:
        """Return the key with this id (the only key when a token names none), or ``None`` when the issuer has none.

        Raises ``IdentityUnavailable`` when no keys could be fetched, or none within ``STALE_S``, and ``Unidentified``
        for a key that is too weak.
        """
        age = self._clock() - self._fetched_at
        if age > STALE_S:
            await self._fetch_unless_just_tried()
            if self._clock() - self._fetched_at > STALE_S:
                raise IdentityUnavailable(f"the keys of {self._issuer} cannot be fetched")
        elif age > FRESH_S:
            self._start_fetch()
        found = self._keys.pick(key_id)
        if found is None:
            await self._fetch_unless_just_tried()
            found = self._keys.pick(key_id)
        return found

    def trusts(self, key: PyJWK) -> bool:
        """Whether ``key``, found earlier, is still among the keys, and those not too old.

        Begins a fetch when they are not fresh: where all that call are remembered, nobody else would.
        """
        self.refresh_soon()
        return self._clock() - self._fetched_at <= STALE_S and self._keys.holds(key)

    def refresh_soon(self) -> None:
        """Begin a fetch in the background when the keys are not fresh."""
        if self._clock() - self._fetched_at > FRESH_S:
            self._start_fetch()

    async def _fetch_unless_just_tried(self) -> None:
        self._start_fetch()
        if self._fetching is not None:
            # A caller that goes away must not take the fetch of all others along.
            await asyncio.shield(self._fetching)

    def _start_fetch(self) -> None:
        if self._fetching is not None or self._clock() - self._tried_at < FLOOR_S:
            return
        self._tried_at = self._clock()
        self._fetching = asyncio.ensure_future(self._fetch())
        self._fetching.add_done_callback(self._fetch_ended)

    def _fetch_ended(self, _: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _fetch(self) -> None:
        try:
            # httpx bounds each wait alone: of an answer that drips, everybody would wait for the end.
            async with asyncio.timeout(2 * _FETCH_TIMEOUT_S):
                self._keys = keys_of(await self._get(await self._where()), self._keys)
        except Exception as error:
            # Whatever comes of what others write; its message may quote it.
            log.warning("keys of %s could not be fetched: %s", self._issuer, type(error).__name__)
            return
        self._fetched_at = self._clock()

    async def _where(self) -> str:
        """Return the URL of the keys. Raises ``ValueError``, and what HTTP raises."""
        discovery = _object(await self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"))
        if discovery.get("issuer") != self._issuer:
            raise ValueError("the discovery document names another issuer")
        return self._checked_url(discovery.get("jwks_uri"))

    async def _get(self, url: str) -> bytes:
        # Not compressed: a small answer must not become a large one.
        asked = {"accept": "application/json", "accept-encoding": "identity"}
        async with self._client.stream(
            "GET", url, headers=asked, timeout=_FETCH_TIMEOUT_S, follow_redirects=False
        ) as response:
            if (
                response.status_code != httpx.codes.OK
                or response.headers.get("content-encoding", "identity") != "identity"
            ):
                raise ValueError(f"status {response.status_code}")
            body = b""
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > _MAX_BYTES:
                    raise ValueError("too large")
        return body

    def _checked_url(self, url: object) -> str:
        """Return ``jwks_uri`` when it may be fetched."""
        if not isinstance(url, str):
            raise ValueError("no jwks_uri")  # noqa: TRY004 - about data, not about a type of ours
        parts, own = urlsplit(url), urlsplit(self._issuer)
        if parts.scheme == "https" or (parts.scheme == own.scheme == "http" and parts.hostname in _LOOPBACK):
            return url
        raise ValueError("jwks_uri is not https")


class JwksKeys(IssuerKeys):
    """The keys at a URL that gateway.yaml itself names, of somebody whose discovery document is not asked."""

    async def _where(self) -> str:
        return self._issuer


def _object(data: bytes) -> dict[str, object]:
    try:
        root = parse(data).root
    except JsonRefused:
        root = None
    if not isinstance(root, dict):
        raise ValueError("not an object")  # noqa: TRY004 - about data, not about a type of ours
    return dict(root)
