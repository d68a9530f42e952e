"""The keys of those who tell. Only what gateway.yaml names is ever fetched."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from countersign.config import GatewayConfig
from countersign.identity.keys import IssuerKeys, JwksKeys
from countersign.identity.keys_file import FileKeys
from countersign.portal.hears.signed import Keys


class TellersKeys:
    """Keeps the keys of each teller once it was asked for, by where they come from.

    ``config`` returns the version in force, ``monotonic`` seconds. Issuers' keys come as those of their tokens do: by
    discovery, or from a file.
    """

    def __init__(
        self, config: Callable[[], GatewayConfig], client: httpx.AsyncClient, monotonic: Callable[[], float]
    ) -> None:
        self._config = config
        self._client = client
        self._monotonic = monotonic
        self._of_issuers: dict[tuple[str, str], Keys] = {}
        self._at: dict[str, Keys] = {}

    def of_issuer(self, issuer: str) -> Keys:
        """Return the keys of an issuer that gateway.yaml names."""
        named = next((one for one in self._config().issuers if one.issuer == issuer), None)
        path = named.keys_file if named is not None else ""
        if (issuer, path) not in self._of_issuers:
            made = FileKeys(path, self._monotonic) if path else IssuerKeys(issuer, self._client, self._monotonic)
            self._of_issuers[issuer, path] = made
        return self._of_issuers[issuer, path]

    def at(self, jwks_url: str) -> Keys:
        """Return the keys at a URL that gateway.yaml names."""
        if jwks_url not in self._at:
            self._at[jwks_url] = JwksKeys(jwks_url, self._client, self._monotonic)
        return self._at[jwks_url]
