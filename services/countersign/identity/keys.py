"""The public keys of one issuer, found by OpenID Connect Discovery and kept fresh without blocking any call."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWKError, PyJWKSet, PyJWKSetError

from countersign.identity.errors import IdentityUnavailable

log = logging.getLogger(__name__)

FRESH_S = 600.0
"""Keys older than this are fetched again in the background."""
FLOOR_S = 10.0
"""Not more often than this, however many unknown key ids come."""
STALE_S = 24 * 3600.0
"""Keys of an issuer that does not answer are trusted for so long after they were last fetched."""
_FETCH_TIMEOUT_S = 5.0
_MAX_BYTES = 1 << 20
_MIN_RSA_BITS = 2048
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class IssuerKeys:
    """The keys of ``issuer``. ``clock`` gives monotonic seconds. One fetch at a time, whoever asks."""

    def __init__(self, issuer: str, client: httpx.AsyncClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._client = client
        self._clock = clock
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = -math.inf
        self._tried_at = -math.inf
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None) -> PyJWK | None:
        """Return the key with this id (the only key when a token names none), or ``None`` when the issuer has none.

        Raises ``IdentityUnavailable`` when no keys could be fetched, or none within ``STALE_S``.
        """
        age = self._clock() - self._fetched_at
        if age > STALE_S:
            await self._fetch_unless_just_tried()
            if self._clock() - self._fetched_at > STALE_S:
                raise IdentityUnavailable(f"the keys of {self._issuer} cannot be fetched")
        elif age > FRESH_S:
            self._start_fetch()
        found = self._pick(key_id)
        if found is None:
            await self._fetch_unless_just_tried()
            found = self._pick(key_id)
        return found

    def trusts(self, key: PyJWK) -> bool:
        """Whether ``key``, found earlier, is still among the keys, and those not too old."""
        return self._clock() - self._fetched_at <= STALE_S and any(key is known for known in self._keys.values())

    def refresh_soon(self) -> None:
        """Begin a fetch in the background when the keys are not fresh."""
        if self._clock() - self._fetched_at > FRESH_S:
            self._start_fetch()

    def _pick(self, key_id: str | None) -> PyJWK | None:
        if key_id is not None:
            return self._keys.get(key_id)
        return next(iter(self._keys.values())) if len(self._keys) == 1 else None

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
            discovery = await self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            if discovery.get("issuer") != self._issuer:
                raise ValueError("the discovery document names another issuer")
            fetched = PyJWKSet.from_dict(await self._get(_checked_url(discovery.get("jwks_uri"))))
            usable = {(key.key_id or ""): key for key in fetched.keys if _usable(key)}
        except (httpx.HTTPError, ValueError, PyJWKError, PyJWKSetError) as error:
            log.warning("keys of %s could not be fetched: %s", self._issuer, type(error).__name__)
            return
        # A key that is unchanged stays the same object, so that what it verified stays verified.
        self._keys = {key_id: self._same_or(key_id, key) for key_id, key in usable.items()}
        self._fetched_at = self._clock()

    def _same_or(self, key_id: str, key: PyJWK) -> PyJWK:
        known = self._keys.get(key_id)
        return known if known is not None and known.key == key.key else key

    async def _get(self, url: str) -> dict[str, object]:
        async with self._client.stream("GET", url, timeout=_FETCH_TIMEOUT_S, follow_redirects=False) as response:
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"status {response.status_code}")
            body = b""
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > _MAX_BYTES:
                    raise ValueError("too large")
        document = httpx.Response(200, content=body).json()
        if not isinstance(document, dict):
            raise ValueError("not an object")  # noqa: TRY004 - about data, not about a type of ours
        return document


def _checked_url(url: object) -> str:
    """Return ``jwks_uri`` when it may be fetched: https, or http on this machine only."""
    if not isinstance(url, str):
        raise ValueError("no jwks_uri")  # noqa: TRY004 - about data, not about a type of ours
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return url
    raise ValueError("jwks_uri is not https")


def _usable(key: PyJWK) -> bool:
    if key.public_key_use not in (None, "sig") or key.key_type not in ("RSA", "EC", "OKP"):
        return False
    return not isinstance(key.key, RSAPublicKey) or key.key.key_size >= _MIN_RSA_BITS
