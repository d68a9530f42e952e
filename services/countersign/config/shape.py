"""The shape of gateway.yaml, version 1: keys, types, bounds. What is said of a key here is what editors show.

These models stay inside this room; ``assemble`` turns them into the dataclasses of ``types`` and ``model.rule``.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from countersign.config.shape_approvals import ApprovalsShape
from countersign.config.shape_base import TEXT_LIMIT, Groups, MaskNames, Name, Shape, Text, Url
from countersign.config.shape_credentials import STORE_NAME, Credential, SecretStoreShape
from countersign.config.shape_identity import IdentityShape
from countersign.config.shape_portal import PortalShape
from countersign.config.shape_recording import RecordingShape
from countersign.config.shape_rules import RateLimitShape, RuleShape
from countersign.config.shape_screening import ScreeningShape
from countersign.config.shape_stdio import Endpoint
from countersign.config.types import KIB, MIB, Binary, Limits, NewTools
from countersign.model.rule import (
    DETECTOR_SETS,
    DETECTORS,
    NAMES_IN_PROSE,
    VALIDATORS,
    ProseModel,
    ReplacementKind,
)
from countersign.statements.classify import SQL_DIALECTS

TARGET_NAME = "[a-z0-9][a-z0-9-]{0,62}"
MASK_NAME = "[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
OWN_DETECTOR_NAME = "[a-z][a-z0-9_]{0,62}"

BUILT_IN = (*DETECTOR_SETS, *DETECTORS, NAMES_IN_PROSE)
"""The names in `detect` that no file states."""

# Editors offer what is built in, and take what the file states itself.
Detector = Annotated[
    Text,
    Field(
        json_schema_extra={
            "anyOf": [
                {"enum": [*DETECTOR_SETS, *DETECTORS]},
                {"const": NAMES_IN_PROSE},
                {"pattern": f"^{OWN_DETECTOR_NAME}$"},
            ]
        }
    ),
]

_DEFAULT = Limits()
_PROSE = ProseModel("")


class Gateway(Shape):
    """The gateway itself."""

    url: Url = Field(description="the URL at which clients reach the gateway, such as https://mcp.example.com")
    hub: bool = Field(default=False, description="whether {gateway.url}/mcp offers all targets as one server")
    hosts: Annotated[list[Name], Field(min_length=1, max_length=100)] | None = Field(
        default=None,
        description="other names in `Host` under which it answers, such as [gateway.internal:8080]; "
        "without it, that of `url` alone",
    )
    origins: Annotated[list[Text], Field(min_length=1, max_length=100)] | None = Field(
        default=None,
        description="origins of web pages that may call it, such as [https://inspector.example.com]; "
        "without it, its own alone",
    )


class RequestMasksShape(Shape):
    """Masks for what goes to the target. At least one of the two."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    mask: MaskNames | None = Field(default=None, description="names under `masks:`; what they find is masked")
    refuse: MaskNames | None = Field(
        default=None, description="names under `masks:`; a call in which they find anything is refused"
    )


class StatementShape(Shape):
    """Where a tool takes SQL."""

    argument: Text = Field(description="the argument that holds the statement, such as sql")
    dialect: Text = Field(
        description=f"its dialect: one of {', '.join(SQL_DIALECTS)}", json_schema_extra={"enum": list(SQL_DIALECTS)}
    )


class TargetShape(Shape):
    """A system behind the gateway, served at {gateway.url}/{name}/mcp."""

    mcp: Endpoint = Field(
        description="the URL of the target's MCP endpoint, or {command: [program, argument]} that the gateway runs"
    )
    credential: Credential | None = Field(default=None, description="what the gateway shows to the target")
    new_tools: Text = Field(
        default=NewTools.DENY.value,
        description="tools that are new or changed: `deny` until an operator accepts them, or `allow`",
        json_schema_extra={"enum": list(NewTools)},
    )
    binary: Text = Field(
        default=Binary.REFUSE.value,
        description="answers with pictures, sound or other data that is no text: `refuse` them, or let them `pass`",
        json_schema_extra={"enum": list(Binary)},
    )
    mask_request: RequestMasksShape | None = Field(
        default=None, description="masks for what goes to the target, such as {refuse: [secrets]}"
    )
    seal_states: bool = Field(
        default=False,
        description="whether callers get a `requestState` in which masks find something sealed, so that they can come "
        "back with it; each request then costs one more question to masker",
    )
    screening: ScreeningShape | None = Field(
        default=None, description="what is done with hidden text in its answers, where that is not as `screening:` says"
    )
    statements: Annotated[dict[str, StatementShape], Field(min_length=1, max_length=1_000)] | None = Field(
        default=None,
        description="tools that take SQL, such as {query: {argument: sql, dialect: postgres}}: "
        "what a statement makes of a masked column is masked, too",
    )


class OwnDetectorShape(Shape):
    """A detector of your own: what it finds, for `detect:` in masks."""

    pattern: Annotated[str, Field(min_length=1, max_length=TEXT_LIMIT)] = Field(
        description="what to find, in RE2's syntax; (?P<value>...) marks what of it to mask, such as EMP-[0-9]{6}"
    )
    label: Text | None = Field(
        default=None, description="what a finding is called, such as EMPLOYEE_ID; without it, the detector's name"
    )
    validate_by: Text | None = Field(
        default=None,
        alias="validate",
        description=f"a check that the value must pass: {', '.join(VALIDATORS)}",
        json_schema_extra={"enum": list(VALIDATORS)},
    )
    near: Annotated[list[Name], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="words of which one must stand near, on the same line or in the key"
    )


class NerShape(Shape):
    """The language model by which `names_in_prose` finds names: slow, and off unless it is given."""

    model: Text = Field(description="a model of spaCy, such as en_core_web_sm; or its folder, such as ./models/names")
    entities: Annotated[list[Name], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description=f"the model's labels of what to find; without it: {', '.join(_PROSE.entities)}"
    )
    max_characters: int = Field(
        default=_PROSE.max_characters,
        ge=100,
        le=1_000_000,
        description="characters of prose in one text; one with more is refused (some 50 microseconds each)",
    )


class MaskShape(Shape):
    """What to find, and what to put in its place. At least one of `detect` and `fields`."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["detect"]}, {"required": ["fields"]}]})

    detect: Annotated[list[Detector], Field(min_length=1, max_length=100)] | None = Field(
        default=None,
        description=f"detectors: {', '.join(BUILT_IN)}, and those under `detectors:`",
    )
    fields: Annotated[list[Text], Field(min_length=1, max_length=1_000)] | None = Field(
        default=None, description="keys in JSON (`ssn`), or the ends of paths of keys (`customer.*.card`)"
    )
    replace: Annotated[str, Field(max_length=100)] = Field(
        default=ReplacementKind.REDACT.value,
        description="what stands in place of a finding: redact, partial, hash, tokenize, "
        "or a text of your own in which {label} says what it was",
    )


class Auditors(Shape):
    """Who may read the record."""

    groups: Groups = Field(description="names of groups in full, such as [auditors]")


class Operators(Shape):
    """Who may accept tools that are new or changed."""

    groups: Groups = Field(description="names of groups in full, such as [operators]")


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
    keepalive_s: float = Field(
        default=_DEFAULT.keepalive_s,
        ge=0.1,
        le=60,
        description="seconds after which a stream of events that is quiet gets a comment",
    )
    connections: int = Field(
        default=_DEFAULT.connections, ge=10, le=1_000_000, description="connections of callers that are open at once"
    )
    envoy_heap_bytes: int = Field(
        default=_DEFAULT.envoy_heap_bytes,
        ge=128 * MIB,
        le=1024 * 1024 * MIB,
        description="memory of Envoy, above which it takes no more requests",
    )


class File(Shape):
    """gateway.yaml, version 1."""

    version: int = Field(ge=1, le=1, description="the version of this format: 1")
    gateway: Gateway = Field(description='the gateway itself, such as {url: "https://mcp.example.com"}')
    identity: IdentityShape = Field(description="who can say who a caller is, such as {oidc: [{issuer: URL}]}")
    targets: dict[str, TargetShape] = Field(
        min_length=1,
        max_length=1_000,
        description="the systems behind the gateway, such as {orders: {mcp: URL}}",
        json_schema_extra={"propertyNames": {"pattern": f"^{TARGET_NAME}$"}},
    )
    rules: list[RuleShape] = Field(
        min_length=1, max_length=1_000, description="who may do what; without any, every call would be denied"
    )
    secret_stores: dict[str, SecretStoreShape] = Field(
        default_factory=dict,
        max_length=100,
        description="where targets' secrets are kept, such as {main: {vault: {address: URL, token: {file: path}}}}",
        json_schema_extra={"propertyNames": {"pattern": f"^{STORE_NAME}$"}},
    )
    masks: dict[str, MaskShape] = Field(
        default_factory=dict,
        max_length=1_000,
        description="named masks, for `mask:` in rules",
        json_schema_extra={"propertyNames": {"pattern": f"^{MASK_NAME}$"}},
    )
    detectors: dict[str, OwnDetectorShape] = Field(
        default_factory=dict,
        max_length=100,
        description="detectors of your own, for `detect:` in masks, such as {employee_id: {pattern: 'EMP-[0-9]{6}'}}",
        json_schema_extra={"propertyNames": {"pattern": f"^{OWN_DETECTOR_NAME}$"}},
    )
    ner: NerShape | None = Field(
        default=None, description="the language model for `names_in_prose`, such as {model: en_core_web_sm}"
    )
    screening: ScreeningShape | None = Field(
        default=None, description="what is done with hidden text in answers, such as {hidden: strip}"
    )
    rate_limits: list[RateLimitShape] = Field(
        default_factory=list, max_length=100, description="how many calls a principal may make at a target"
    )
    shadow: Text | None = Field(
        default=None,
        description="a whole gateway.yaml on trial, relative to the folder of this one: recorded, and never enforced",
    )
    approvals: ApprovalsShape = Field(
        default_factory=ApprovalsShape, description="how calls wait for people, and how people hear of it"
    )
    portal: PortalShape | None = Field(
        default=None, description="the gateway's own sign-in, such as {oidc: [{issuer: URL, client_id: ID}]}"
    )
    recording: RecordingShape = Field(
        default_factory=RecordingShape, description="how calls are recorded, and what becomes of the record"
    )
    auditors: Auditors | None = Field(default=None, description="who may read the record; without it, nobody")
    operators: Operators | None = Field(
        default=None, description="who may accept tools that are new or changed; without it, nobody"
    )
    telemetry: Telemetry | None = Field(default=None, description="where traces and metrics go")
    limits: LimitsShape = Field(default_factory=LimitsShape, description="how much of everything")
