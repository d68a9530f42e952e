"""The shape of the portal: how people sign in there, and from whom it hears of logouts and security events."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from countersign.config.shape_base import Duration, SecretSource, Shape, Text, Url
from countersign.config.types_portal import Portal

PROVIDER_NAME = "[a-z0-9][a-z0-9-]{0,62}"

_DEFAULT = Portal()


class KeysShape(Shape):
    """The keys that sign the gateway's own tokens."""

    every: Duration = Field(default="30d", description="how often they change, such as 30d; from 1d to 365d")
    generation: int = Field(
        default=_DEFAULT.key_generation,
        ge=1,
        le=1_000_000,
        description="another number changes all keys at once: every token of the portal is refused from then on",
    )


class PortalSignInShape(Shape):
    """Sign-in as a client of an issuer: OpenID Connect, code with PKCE."""

    issuer: Url = Field(description="one of the issuers under `identity.oidc`")
    client_id: Text = Field(description="the id by which that issuer knows the portal")
    client_secret: SecretSource | None = Field(
        default=None, description="by {env: NAME} or {file: path}; without it, a public client"
    )


class SamlShape(Shape):
    """Sign-in by a SAML 2.0 identity provider."""

    name: Text = Field(
        description="its place in the portal's URLs, such as corp", json_schema_extra={"pattern": f"^{PROVIDER_NAME}$"}
    )
    entity_id: Text = Field(description="the identity provider's entity id, as its assertions name it")
    sso_url: Url = Field(description="where it takes sign-ins by HTTP redirect")
    certificates: Annotated[list[Text], Field(min_length=1, max_length=10)] = Field(
        description="PEM files of the certificates that sign its assertions, relative to the folder of gateway.yaml"
    )
    subject: Text | None = Field(
        default=None, description="the attribute that names people; without it, the assertion's NameID"
    )
    groups: Text = Field(default="groups", description="the attribute that lists their groups")


_EVERYWHERE = (
    "whether the end of one sign-in ends all that its person has; for issuers whose access tokens have no `sid` claim"
)


class LogoutShape(Shape):
    """An issuer that tells of logouts: OpenID Connect Back-Channel Logout."""

    issuer: Url = Field(description="one of the issuers under `identity.oidc`")
    client_id: Text = Field(description="the id by which that issuer knows the client that it tells")
    everywhere: bool = Field(default=False, description=_EVERYWHERE)


class SignalShape(Shape):
    """A transmitter of Shared Signals (CAEP, RISC), by push."""

    issuer: Url = Field(description="the transmitter's issuer, as its tokens name it")
    audience: Text = Field(description="what the transmitter calls this gateway: the `aud` of its tokens")
    subjects_of: Text = Field(
        description="whose principals it tells of: an issuer under `identity.oidc`, or an entity id under `saml`"
    )
    jwks: Url = Field(description="where the transmitter's keys are")
    token: SecretSource | None = Field(
        default=None, description="the bearer token that it must bring, by {env: NAME} or {file: path}"
    )
    everywhere: bool = Field(default=False, description=_EVERYWHERE)


class ClientShape(Shape):
    """A program that may ask for tokens. `countersign-cli` needs no entry."""

    client_id: Text = Field(description="what it calls itself")
    redirect_uris: Annotated[list[Url], Field(min_length=1, max_length=20)] = Field(
        description="where codes may be sent, each in full; one at http://127.0.0.1 fits any port"
    )


class PortalShape(Shape):
    """The gateway's own sign-in, at {gateway.url}/portal. It needs at least one of `oidc` and `saml`."""

    token: Duration = Field(default="10m", description="how long a token is good, such as 10m; from 1m to 1h")
    session: Duration = Field(default="8h", description="how long a sign-in is good, such as 8h; from 5m to 30d")
    keys: KeysShape = Field(default_factory=KeysShape, description="the keys that sign tokens")
    oidc: Annotated[list[PortalSignInShape], Field(max_length=20)] = Field(
        default_factory=list, description="issuers where people sign in, such as [{issuer: URL, client_id: ID}]"
    )
    saml: Annotated[list[SamlShape], Field(max_length=20)] = Field(
        default_factory=list, description="SAML identity providers where people sign in"
    )
    clients: Annotated[list[ClientShape], Field(max_length=100)] = Field(
        default_factory=list, description="programs that may ask for tokens, besides `countersign-cli`"
    )
    logout: Annotated[list[LogoutShape], Field(max_length=100)] = Field(
        default_factory=list, description="issuers that tell of logouts"
    )
    signals: Annotated[list[SignalShape], Field(max_length=20)] = Field(
        default_factory=list, description="transmitters of security events"
    )
