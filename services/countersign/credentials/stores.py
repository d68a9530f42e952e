"""Stores of secrets: HashiCorp Vault's KV engine, version 2, and secrets of Kubernetes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import quote

from countersign.config import Secret
from countersign.config.secrets import header_safe, plain
from countersign.config.types_credentials import Kubernetes, SecretStore, Stated, Vault, VaultLogin
from countersign.credentials.asking import Answer, Asker
from countersign.credentials.errors import CredentialUnavailable
from countersign.credentials.kept import Fetched, Kept
from countersign.credentials.sources import Source, stated

_VAULT = "Vault"
_KUBERNETES = "Kubernetes"
_FORBIDDEN = (401, 403)
# Of a login that lasts for ever by its own word, and of one that says nothing.
_LONGEST_LOGIN_S = 3_600.0


class Store(Protocol):
    """Keeps secrets."""

    async def read(self, path: str, key: str) -> str:
        """Return the text at ``path`` under ``key``. Raises ``CredentialUnavailable``."""

    async def close(self) -> None:
        """Let go of it."""


def opened(store: SecretStore, clock: Callable[[], float], chance: Callable[[], float]) -> Store:
    """Return a client of the store."""
    if isinstance(store, Vault):
        return VaultStore(store, clock, chance)
    return KubernetesStore(store, clock)


class VaultStore:
    """Vault's KV engine, version 2: ``GET /v1/{mount}/data/{path}``, whose secret is ``data.data``."""

    def __init__(self, vault: Vault, clock: Callable[[], float], chance: Callable[[], float]) -> None:
        self._vault = vault
        self._asker = Asker(ca=vault.ca, inside=True)
        auth = vault.auth
        if isinstance(auth, Stated):
            self._token: Source = stated(auth, header_safe, clock)
        else:
            login, proof = auth, stated(auth.proof, plain, clock)
            self._token = Kept(lambda: self._login(login, proof), clock, chance, "a token of Vault")

    async def read(self, path: str, key: str) -> str:
        """See ``Store``. A token that Vault does not take is had anew, once."""
        url = f"{self._vault.address}/v1/{self._vault.mount}/data/{quote(path)}"
        answer = await self._get(url)
        if answer.status in _FORBIDDEN:
            answer = await self._get(url)
        if answer.status != 200:
            raise CredentialUnavailable(f"{_VAULT} answered {answer.status} when asked for the target's credential")
        return _text(_VAULT, _mapping(_mapping(answer.members.get("data")).get("data")).get(key))

    async def close(self) -> None:
        """Let go of it."""
        self._token.close()
        await self._asker.close()

    async def _get(self, url: str) -> Answer:
        token = await self._token.get()
        headers = {**self._headers(), "x-vault-token": token.secret.reveal()}
        answer = await self._asker.ask(_VAULT, "GET", url, headers=headers)
        if answer.status in _FORBIDDEN:
            self._token.refused(token.serial)
        return answer

    async def _login(self, login: VaultLogin, proof: Source) -> Fetched:
        shown = (await proof.get()).secret.reveal()
        names = ("role_id", "secret_id") if login.approle else ("role", "jwt")
        url = f"{self._vault.address}/v1/auth/{login.mount}/login"
        body = dict(zip(names, (login.role, shown), strict=True))
        answer = await self._asker.ask(_VAULT, "POST", url, headers=self._headers(), body=body)
        auth = _mapping(answer.members.get("auth"))
        token, lease = auth.get("client_token"), auth.get("lease_duration")
        if answer.status != 200 or not isinstance(token, str) or not (token.isascii() and token.isprintable()):
            raise CredentialUnavailable(f"{_VAULT} does not let the gateway sign in ({answer.status})")
        told = isinstance(lease, int) and not isinstance(lease, bool) and 0 < lease < _LONGEST_LOGIN_S
        life_s = float(lease) if told and isinstance(lease, int) else _LONGEST_LOGIN_S
        return Fetched(Secret(token), 0.8 * life_s, 0.95 * life_s)

    def _headers(self) -> dict[str, str]:
        # An agent before Vault may demand the first, so that no page can make a browser ask.
        namespace = {"x-vault-namespace": self._vault.namespace} if self._vault.namespace else {}
        return {"x-vault-request": "true", **namespace}


class KubernetesStore:
    """Secrets of a namespace: ``GET /api/v1/namespaces/{namespace}/secrets/{name}``, whose values are base64."""

    def __init__(self, cluster: Kubernetes, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._asker = Asker(ca=cluster.ca, inside=True)
        self._token = stated(cluster.token, header_safe, clock)

    async def read(self, path: str, key: str) -> str:
        """See ``Store``."""
        token = await self._token.get()
        url = f"{self._cluster.api}/api/v1/namespaces/{quote(self._cluster.namespace)}/secrets/{quote(path)}"
        headers = {"authorization": f"Bearer {token.secret.reveal()}"}
        answer = await self._asker.ask(_KUBERNETES, "GET", url, headers=headers)
        if answer.status != 200:
            raise CredentialUnavailable(f"{_KUBERNETES} answered {answer.status} when asked for the credential")
        written = _text(_KUBERNETES, _mapping(answer.members.get("data")).get(key))
        try:
            return base64.b64decode(written, validate=True).decode().removesuffix("\n")
        except (binascii.Error, ValueError):
            problem = f"what {_KUBERNETES} holds for the target is no text"
        raise CredentialUnavailable(problem)

    async def close(self) -> None:
        """Let go of it."""
        await self._asker.close()


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(who: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise CredentialUnavailable(f"{who} holds nothing under the key of the target's credential")
    return value
