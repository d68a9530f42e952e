"""What targets are shown in place of callers' tokens, and where that is had from, as gateway.yaml states it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from countersign.config.types_secret import Secret


@dataclass(frozen=True, slots=True)
class Stated:
    """A secret that was read with gateway.yaml: of a variable, or of ``file``, which is read again when it changes.

    A ``mounted`` file is not read with gateway.yaml: it is there where the gateway runs, and others may read it.
    """

    secret: Secret
    file: Path | None = None
    mounted: bool = False


@dataclass(frozen=True, slots=True)
class VaultLogin:
    """How to sign in to Vault at ``auth/{mount}/login``: by a role of Kubernetes, or of AppRole.

    ``proof`` is what is shown there: the service account's token, or the secret id.
    """

    mount: str
    role: str
    proof: Stated
    approle: bool = False


@dataclass(frozen=True, slots=True)
class Vault:
    """A KV engine (version 2) of HashiCorp Vault. ``auth`` is a token, or how to get one. ``ca`` is a PEM file."""

    address: str
    mount: str
    auth: Stated | VaultLogin
    namespace: str = ""
    ca: str = ""


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """Secrets of one namespace, asked of the API server at ``api`` with the service account's ``token``."""

    api: str
    namespace: str
    token: Stated
    ca: str = ""


SecretStore = Vault | Kubernetes


@dataclass(frozen=True, slots=True)
class Stored:
    """The secret that ``store`` keeps at ``path`` (for Kubernetes, the secret's name) under ``key``.

    It is read again after ``fresh_s`` seconds.
    """

    store: SecretStore
    path: str
    key: str
    fresh_s: float = 300.0


SecretFrom = Stated | Stored


@dataclass(frozen=True, slots=True)
class Bearer:
    """A bearer token (RFC 6750)."""

    token: SecretFrom


@dataclass(frozen=True, slots=True)
class Basic:
    """A user's name and password (RFC 7617)."""

    username: str
    password: SecretFrom


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """The gateway as a client of an authorization server.

    ``secret`` goes as HTTP Basic (RFC 6749 section 2.3.1), or in the form when ``in_form``; ``private_key``,
    PEM, signs assertions in its place (RFC 7523 section 2.2), named by ``key_id``. Exactly one of the two is given.
    """

    token_url: str
    client_id: str
    secret: SecretFrom | None = None
    in_form: bool = False
    private_key: SecretFrom | None = None
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a token is asked for: scopes, the resource that it is for (RFC 8707), and what servers call audience."""

    scopes: tuple[str, ...] = ()
    resource: str = ""
    audience: str = ""


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A token of the gateway's own (RFC 6749 section 4.4)."""

    client: OAuthClient
    asked: Asked


@dataclass(frozen=True, slots=True)
class TokenExchange:
    """A token of the caller's, for which its own is exchanged (RFC 8693).

    ``subject_token_type`` is what the caller's is called there: a URN of RFC 8693 section 3.
    """

    client: OAuthClient
    asked: Asked
    subject_token_type: str


@dataclass(frozen=True, slots=True)
class IdJag:
    """A token of the caller's, by way of an assertion (draft-ietf-oauth-identity-assertion-authz-grant).

    ``provider`` exchanges the caller's token for an assertion whose audience is ``asked.audience``, the issuer of the
    authorization server; that, at ``server``, gives a token for it.
    """

    provider: OAuthClient
    server: OAuthClient
    asked: Asked
    subject_token_type: str


@dataclass(frozen=True, slots=True)
class Credential:
    """What a target is shown: at most one way to authorize, and headers beside it. Names are in small letters."""

    how: Bearer | Basic | ClientCredentials | TokenExchange | IdJag | None
    headers: Mapping[str, SecretFrom] = field(default_factory=dict)

    @property
    def stores(self) -> frozenset[SecretStore]:
        """The stores that any part of it is kept in."""
        return frozenset(source.store for source in self._sources() if isinstance(source, Stored))

    @property
    def renewable(self) -> bool:
        """Whether to ask for it again may yield another one than the target just refused.

        What variables and files hold is looked at on every call anyway.
        """
        asked = isinstance(self.how, ClientCredentials | TokenExchange | IdJag)
        return asked or any(isinstance(source, Stored) for source in self._sources())

    def _sources(self) -> Iterator[SecretFrom | None]:
        yield from self.headers.values()
        how = self.how
        if isinstance(how, Bearer):
            yield how.token
        elif isinstance(how, Basic):
            yield how.password
        elif isinstance(how, ClientCredentials | TokenExchange):
            yield from (how.client.secret, how.client.private_key)
        elif isinstance(how, IdJag):
            for client in (how.provider, how.server):
                yield from (client.secret, client.private_key)
