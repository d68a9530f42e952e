"""The shape of gateway.yaml, version 1: keys, types, bounds. What is said of a key here is what editors show.

These models stay inside this room; ``assemble`` turns them into the dataclasses of ``types`` and ``model.rule``.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from countersign.config.types import KIB, MIB, Limits
from countersign.model.rule import DETECTORS

TARGET_NAME = "[a-z0-9][a-z0-9-]{0,62}"
MASK_NAME = "[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
TEXT_LIMIT = 1_000
GLOB_LIMIT = 256

Text = Annotated[str, Field(min_length=1, max_length=TEXT_LIMIT)]
Url = Annotated[str, Field(min_length=1, max_length=2_048)]
Glob = Annotated[str, Field(min_length=1, max_length=GLOB_LIMIT)]
Detector = Annotated[Text, Field(json_schema_extra={"enum": list(DETECTORS)})]
Globs = Annotated[list[Glob], Field(min_length=1, max_length=1_000)]

_DEFAULT = Limits()


class Shape(BaseModel):
    """Nothing is converted, and no key is let through that has no meaning."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class SecretSource(Shape):
    """Where a credential is read from: exactly one of the two."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    env: Text | None = Field(default=None, description="the name of an environment variable")
    file: Text | None = Field(default=None, description="a file, relative to the folder of gateway.yaml")


class Gateway(Shape):
    """The gateway itself."""

    url: Url = Field(description="the URL at which clients reach the gateway, such as https://mcp.example.com")


class Oidc(Shape):
    """An OpenID Connect issuer whose tokens are taken."""

    issuer: Url = Field(description="the issuer's URL, exactly as it stands in the tokens' `iss`")
    groups: Text = Field(default="groups", description="the claim that lists the groups of a principal")
    audiences: Annotated[list[Text], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="the audiences taken in place of each target's own URL"
    )


class Identity(Shape):
    """Who can say who a caller is."""

    oidc: list[Oidc] = Field(min_length=1, max_length=100, description="the issuers of tokens, such as [{issuer: URL}]")


class Credential(Shape):
    """What the gateway shows to a target in place of the caller's token."""

    bearer: SecretSource = Field(description="a token, by {env: NAME} or {file: path}")


class TargetShape(Shape):
    """A system behind the gateway, served at {gateway.url}/{name}/mcp."""

    mcp: Url = Field(description="the URL of the target's MCP endpoint")
    credential: Credential | None = Field(default=None, description="what the gateway shows to the target")


class SelectorShape(Shape):
    """Which calls a rule is about: every key given must match. Entries are globs (* and ?)."""

    groups: Globs | None = Field(default=None, description='groups of the principal; ["*"] is everyone verified')
    targets: Globs | None = Field(default=None, description="names under `targets:`")
    methods: Globs | None = Field(default=None, description="MCP methods, such as tools/call")
    tools: Globs | None = Field(default=None, description="names of tools")
    prompts: Globs | None = Field(default=None, description="names of prompts")
    resources: Globs | None = Field(default=None, description="URIs of resources")


class RuleShape(Shape):
    """One rule. Any deny beats any allow, what nothing matches is denied, and order means nothing."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["allow"]}, {"required": ["deny"]}]})

    name: Annotated[str, Field(min_length=1, max_length=100)] = Field(description="a name of its own, for the record")
    allow: SelectorShape | None = Field(default=None, description="the calls that are allowed")
    deny: SelectorShape | None = Field(default=None, description="the calls that are denied")
    mask: Annotated[list[Text], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="names under `masks:`, applied to what the allowed calls answer"
    )
    message: Text | None = Field(default=None, description="what a caller reads whom the rule denies")


class MaskShape(Shape):
    """What to find, and what to put in its place. At least one of `detect` and `fields`."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["detect"]}, {"required": ["fields"]}]})

    detect: Annotated[list[Detector], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description=f"detectors: {', '.join(DETECTORS)}"
    )
    fields: Annotated[list[Text], Field(min_length=1, max_length=1_000)] | None = Field(
        default=None, description="keys in JSON (`ssn`), or the ends of paths of keys (`customer.*.card`)"
    )
    replace: Annotated[str, Field(max_length=100)] = Field(
        default="[{label}]", description="what stands in place of a finding; {label} says what it was"
    )


class Postgres(SecretSource):
    """Where the DSN of the record's database is read from; without it, the gateway runs a database of its own."""


class Recording(Shape):
    """How calls are recorded."""

    mode: Text = Field(default="required", json_schema_extra={"const": "required"}, description="`required`")
    postgres: Postgres | None = Field(default=None, description="the DSN, by {env: NAME} or {file: path}")


class Auditors(Shape):
    """Who may read the record."""

    groups: Annotated[list[Text], Field(min_length=1, max_length=1_000)] = Field(
        description="names of groups in full, such as [auditors]"
    )


class Telemetry(Shape):
    """Where traces and metrics go."""

    otlp: Url = Field(description="an OTLP/HTTP endpoint, such as http://127.0.0.1:4318")


class LimitsShape(Shape):
    """How much of everything."""

    request_bytes: int = Field(
        default=_DEFAULT.request_bytes, ge=KIB, le=16 * MIB, description="size of a request's body"
    )
    response_bytes: int = Field(
        default=_DEFAULT.response_bytes, ge=KIB, le=64 * MIB, description="size of an answer that is held to be masked"
    )
    sse_event_bytes: int = Field(
        default=_DEFAULT.sse_event_bytes, ge=KIB, le=64 * MIB, description="size of one event of a stream"
    )
    json_depth: int = Field(default=_DEFAULT.json_depth, ge=8, le=128, description="levels of nesting in JSON")
    tokens_cached: int = Field(
        default=_DEFAULT.tokens_cached, ge=0, le=100_000, description="verified tokens that are remembered"
    )
    recorder_queue_events: int = Field(
        default=_DEFAULT.recorder_queue_events, ge=100, le=100_000, description="events that wait to be recorded"
    )
    record_timeout_s: float = Field(
        default=_DEFAULT.record_timeout_s, ge=0.05, le=60, description="seconds that a call waits for its record"
    )
    upstream_timeout_s: float = Field(
        default=_DEFAULT.upstream_timeout_s, ge=1, le=3_600, description="seconds that a target may be silent"
    )


class File(Shape):
    """gateway.yaml, version 1."""

    version: int = Field(ge=1, le=1, description="the version of this format: 1")
    gateway: Gateway = Field(description='the gateway itself, such as {url: "https://mcp.example.com"}')
    identity: Identity = Field(description="who can say who a caller is, such as {oidc: [{issuer: URL}]}")
    targets: dict[str, TargetShape] = Field(
        min_length=1,
        max_length=1_000,
        description="the systems behind the gateway, such as {orders: {mcp: URL}}",
        json_schema_extra={"propertyNames": {"pattern": f"^{TARGET_NAME}$"}},
    )
    rules: list[RuleShape] = Field(
        min_length=1, max_length=1_000, description="who may do what; without any, every call would be denied"
    )
    masks: dict[str, MaskShape] = Field(
        default_factory=dict,
        max_length=1_000,
        description="named masks, for `mask:` in rules",
        json_schema_extra={"propertyNames": {"pattern": f"^{MASK_NAME}$"}},
    )
    recording: Recording = Field(default_factory=Recording, description="how calls are recorded")
    auditors: Auditors | None = Field(default=None, description="who may read the record; without it, nobody")
    telemetry: Telemetry | None = Field(default=None, description="where traces and metrics go")
    limits: LimitsShape = Field(default_factory=LimitsShape, description="how much of everything")
