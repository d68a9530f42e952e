"""The shape of a target's `credential:`, and of `secret_stores:`."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from countersign.config.shape_base import Duration, SecretSource, Shape, Text, Url

HEADER_NAME = "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}"
STORE_NAME = "[a-z0-9][a-z0-9-]{0,62}"
SUBJECT_TOKENS = ("access_token", "id_token", "jwt")


class CredentialSource(SecretSource):
    """Where a target's secret is had from: exactly one of `env`, `file` and `store`."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    store: Text | None = Field(default=None, description="a name under `secret_stores:`, with `path` and `key`")
    path: Text | None = Field(default=None, description="where it is in the store: a path in Vault, a secret's name")
    key: Text | None = Field(default=None, description="its key there, such as token")
    fresh_for: Duration | None = Field(default=None, description="how long one reading of the store will do; 5m")


class BasicShape(Shape):
    """A user's name and password."""

    username: Text = Field(description="the user's name, such as gateway")
    password: CredentialSource = Field(description="by {env: NAME}, {file: path} or {store: NAME, path: ..., key: ...}")


class ClientShape(Shape):
    """The gateway as a client of an authorization server."""

    token_url: Url = Field(description="its token endpoint, such as https://idp.example.com/token")
    client_id: Text = Field(description="the gateway's client id there")
    client_secret: CredentialSource | None = Field(default=None, description="the client's secret")
    client_secret_in: Text = Field(
        default="header",
        description="where the secret goes: in the `header` (Basic), or in the `form`",
        json_schema_extra={"enum": ["header", "form"]},
    )
    private_key: CredentialSource | None = Field(
        default=None, description="in place of a secret: a private key, PEM, that signs the client's assertions"
    )
    key_id: Text | None = Field(default=None, description="the `kid` by which the server knows the key")


class AskedShape(ClientShape):
    """A client, and what its tokens are for."""

    scopes: Annotated[list[Text], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="scopes to ask for, such as [read]"
    )
    resource: Url | None = Field(default=None, description="the resource that the token is for")
    audience: Text | None = Field(default=None, description="the token's audience, where the server wants one named")


class ExchangeShape(AskedShape):
    """Callers' tokens are exchanged for tokens of theirs that the target takes."""

    subject_token_type: Text = Field(
        default=SUBJECT_TOKENS[0],
        description=f"what the caller's token is: {', '.join(SUBJECT_TOKENS)}",
        json_schema_extra={"enum": list(SUBJECT_TOKENS)},
    )


class IdJagShape(Shape):
    """Callers' tokens are exchanged for assertions, and those for tokens of the target's authorization server."""

    identity_provider: ClientShape = Field(description="who gives assertions about callers")
    authorization_server: ClientShape = Field(description="who gives tokens of the target for them")
    issuer: Url = Field(description="the authorization server's issuer: the audience of the assertion")
    resource: Url | None = Field(default=None, description="the resource that the token is for")
    scopes: Annotated[list[Text], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="scopes to ask for, such as [read]"
    )
    subject_token_type: Text = Field(
        default=SUBJECT_TOKENS[1],
        description=f"what the caller's token is: {', '.join(SUBJECT_TOKENS)}",
        json_schema_extra={"enum": list(SUBJECT_TOKENS)},
    )


class Credential(Shape):
    """What the gateway shows to a target in place of the caller's token: at most one way, and headers."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    bearer: CredentialSource | None = Field(
        default=None, description="a token, by {env: NAME} or {file: path}, or {store: NAME, path: ..., key: ...}"
    )
    basic: BasicShape | None = Field(default=None, description="a user's name and password")
    oauth: AskedShape | None = Field(default=None, description="a token of the gateway's own, by client credentials")
    exchange: ExchangeShape | None = Field(default=None, description="the caller's token, exchanged (RFC 8693)")
    id_jag: IdJagShape | None = Field(default=None, description="the caller's token, by an identity assertion (ID-JAG)")
    headers: Annotated[dict[str, CredentialSource], Field(min_length=1, max_length=20)] | None = Field(
        default=None,
        description="headers, such as {X-Api-Key: {env: NAME}}",
        json_schema_extra={"propertyNames": {"pattern": f"^{HEADER_NAME}$"}},
    )


class VaultKubernetesShape(Shape):
    """Signing in to Vault by the service account of Kubernetes."""

    role: Text = Field(description="the role in Vault")
    mount: Text = Field(default="kubernetes", description="where the method is mounted: kubernetes")
    token_file: Text = Field(
        default="/var/run/secrets/kubernetes.io/serviceaccount/token", description="the service account's token"
    )


class VaultAppRoleShape(Shape):
    """Signing in to Vault by AppRole."""

    role_id: Text = Field(description="the role's id")
    secret_id: SecretSource = Field(description="by {env: NAME} or {file: path}")
    mount: Text = Field(default="approle", description="where the method is mounted: approle")


class VaultShape(Shape):
    """A KV engine (version 2) of HashiCorp Vault. Exactly one of `token`, `kubernetes` and `approle`."""

    address: Url = Field(description="where Vault is, such as https://vault.example.com:8200")
    mount: Text = Field(default="secret", description="where the engine is mounted: secret")
    namespace: Text | None = Field(default=None, description="a namespace of Vault Enterprise")
    ca: Text | None = Field(default=None, description="a file with the certificates to trust; the system's without it")
    token: SecretSource | None = Field(default=None, description="a token, by {env: NAME} or {file: path}")
    kubernetes: VaultKubernetesShape | None = Field(default=None, description="the service account of Kubernetes")
    approle: VaultAppRoleShape | None = Field(default=None, description="an AppRole")


class KubernetesShape(Shape):
    """Secrets of one namespace of Kubernetes, by its API."""

    namespace: Text = Field(description="the namespace of the secrets")
    api: Url = Field(default="https://kubernetes.default.svc", description="the API server")
    token_file: Text = Field(
        default="/var/run/secrets/kubernetes.io/serviceaccount/token", description="the service account's token"
    )
    ca: Text = Field(
        default="/var/run/secrets/kubernetes.io/serviceaccount/ca.crt", description="the certificates to trust"
    )


class SecretStoreShape(Shape):
    """Where targets' secrets are kept. Exactly one of the two."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    vault: VaultShape | None = Field(default=None, description="HashiCorp Vault")
    kubernetes: KubernetesShape | None = Field(default=None, description="secrets of Kubernetes")
