"""The shape of `identity:`: whose tokens are taken, and which machines they name."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from countersign.config.shape_base import Duration, Glob, Globs, Groups, Shape, Text, Url

MACHINE_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
"""What tokens may be signed with: asymmetric only, for with a shared secret whoever can verify can also forge."""


def _listed(value: object) -> object:
    """One text as a list of it; true and false as a claim's text says them."""
    if isinstance(value, bool):
        return [str(value).lower()]
    return [value] if isinstance(value, str) else value


ClaimValues = Annotated[Globs, BeforeValidator(_listed, json_schema_input_type=Glob | bool | Globs)]
ClaimsShape = Annotated[dict[Text, ClaimValues], Field(min_length=1, max_length=20)]


class OidcShape(Shape):
    """An OpenID Connect issuer whose tokens are taken."""

    issuer: Url = Field(description="the issuer's URL, exactly as it stands in the tokens' `iss`")
    groups: Text = Field(
        default="groups",
        description="the claim that lists the groups of a principal, such as groups or realm_access.roles",
    )
    subject: Text = Field(default="sub", description="the claim that names the principal")
    audiences: Annotated[list[Text], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="the audiences taken in place of each target's own URL"
    )
    algorithms: Annotated[list[Text], Field(min_length=1, max_length=len(ALGORITHMS))] | None = Field(
        default=None,
        description=f"the algorithms taken, of {', '.join(ALGORITHMS)}; without it, all of them",
        json_schema_extra={"items": {"enum": list(ALGORITHMS)}},
    )
    clock_skew: Duration = Field(
        default="10s", description="how far the issuer's clock may be off this one's, up to 120s"
    )
    required: ClaimsShape | None = Field(
        default=None,
        description="what claims of every token must be, by their paths, such as {hd: example.com}; entries are globs",
    )
    keys_file: Text | None = Field(
        default=None,
        description="a JWKS on disk in place of the issuer's own, relative to the folder of gateway.yaml; "
        "read anew when it changes",
    )
    only_machines: bool = Field(default=False, description="only tokens that fit an entry under `machines` are taken")
    id_tokens: bool = Field(
        default=False, description="ID tokens are taken, too; only with `audiences`, for issuers without other JWTs"
    )


class MachineShape(Shape):
    """A workload that is named by what its tokens claim."""

    issuer: Url = Field(description="one of the issuers under `identity.oidc`")
    claims: ClaimsShape = Field(
        description="what its tokens claim, by paths, such as {repository: acme/payments, ref: refs/heads/main}; "
        "all must fit, entries are globs"
    )
    groups: Groups | None = Field(default=None, description="its groups, such as [ci]; it has no others")


class RevocationShape(Shape):
    """How it is known what was revoked."""

    unknown_after: Duration = Field(
        default="5s", description="a replica that did not hear for so long what was revoked admits nobody; 1s to 60s"
    )


class IdentityShape(Shape):
    """Who can say who a caller is."""

    oidc: list[OidcShape] = Field(
        min_length=1, max_length=100, description="the issuers of tokens, such as [{issuer: URL}]"
    )
    machines: (
        Annotated[
            dict[str, MachineShape],
            Field(
                min_length=1, max_length=1_000, json_schema_extra={"propertyNames": {"pattern": f"^{MACHINE_NAME}$"}}
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="workloads by names of their own, such as CI jobs: {name: {issuer: URL, claims: {...}}}",
    )
    revocation: RevocationShape = Field(default_factory=RevocationShape, description="how it is known what was revoked")
