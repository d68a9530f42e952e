"""A gateway.yaml that was checked, as the services use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from countersign.config.types_credentials import Credential as Credential
from countersign.config.types_identity import Claims as Claims
from countersign.config.types_identity import Issuer as Issuer
from countersign.config.types_identity import Machine as Machine
from countersign.config.types_identity import Revoking as Revoking
from countersign.config.types_portal import BUILT_IN_CLIENT as BUILT_IN_CLIENT
from countersign.config.types_portal import LogoutSource as LogoutSource
from countersign.config.types_portal import Portal as Portal
from countersign.config.types_portal import PortalClient as PortalClient
from countersign.config.types_portal import SamlProvider as SamlProvider
from countersign.config.types_portal import SignalSource as SignalSource
from countersign.config.types_portal import SignInClient as SignInClient
from countersign.config.types_secret import ALL_SECRETS as ALL_SECRETS
from countersign.config.types_secret import Secret as Secret
from countersign.config.types_secret import SecretUse as SecretUse
from countersign.config.types_stdio import Processes as Processes
from countersign.config.types_stdio import Stdio as Stdio
from countersign.config.types_stdio import StdioLimits as StdioLimits
from countersign.model.rule import Effect, Mask, OwnDetector, ProseModel, RateLimit, Rule
from countersign.screening import Screening

KIB = 1024
MIB = 1024 * KIB


class NewTools(StrEnum):
    """What becomes of a target's tools that are new or changed since they were pinned."""

    DENY = "deny"
    """Nobody calls them until an operator accepts them."""
    ALLOW = "allow"
    """They are pinned as they come; the rules alone decide."""


class Binary(StrEnum):
    """What becomes of an answer that holds what is no text: pictures, sound, archives."""

    REFUSE = "refuse"
    """It is withheld: nobody can say what it shows."""
    LET_THROUGH = "pass"
    """It passes unseen."""


@dataclass(frozen=True, slots=True)
class RequestMasks:
    """Names of masks for what goes *to* a target: what they find is masked on its way, or the call is refused."""

    mask: tuple[str, ...] = ()
    refuse: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StatementArgument:
    """Which argument of a tool is SQL, and in which dialect (``statements.classify.SQL_DIALECTS``)."""

    argument: str
    dialect: str


@dataclass(frozen=True, slots=True)
class Target:
    """A system behind the gateway. ``resource`` is its URL at the gateway, the audience of tokens for it (RFC 8707).

    ``statements`` are by the names of tools; read-only. Of a target with ``stdio``, which the bridge runs, ``mcp_url``
    has no host, and is another whenever another server is stated. With ``seal_states`` its callers can come back
    with states that masks change.
    """

    name: str
    mcp_url: str
    credential: Credential | None
    resource: str
    new_tools: NewTools = NewTools.DENY
    binary: Binary = Binary.REFUSE
    mask_request: RequestMasks = RequestMasks()
    statements: Mapping[str, StatementArgument] = field(default_factory=dict)
    screening: Screening = field(default_factory=Screening)
    stdio: Stdio | None = None
    seal_states: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of everything: bytes, levels, entries and seconds, each within bounds that ``shape`` states."""

    request_bytes: int = MIB
    response_bytes: int = 8 * MIB
    sse_event_bytes: int = 4 * MIB
    json_depth: int = 64
    tokens_cached: int = 10_000
    recorder_queue_events: int = 10_000
    record_timeout_s: float = 2.0
    upstream_timeout_s: float = 300.0
    keepalive_s: float = 15.0
    connections: int = 10_000
    envoy_heap_bytes: int = 1024 * MIB


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """Notifications by POST, signed as Standard Webhooks says; ``secret`` is ``whsec_`` and base64."""

    url: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class SlackChannel:
    """Notifications in a Slack channel, by a bot's token; ``api`` is Slack's unless a test says otherwise."""

    channel: str
    token: Secret
    signing_secret: Secret
    api: str = "https://slack.com/api"


@dataclass(frozen=True, slots=True)
class TeamsChannel:
    """Notifications by a Microsoft Teams workflow; the URL is a credential itself."""

    url: Secret


@dataclass(frozen=True, slots=True)
class EmailChannel:
    """Notifications by SMTP; ``security`` is ``tls``, ``starttls`` or ``none``."""

    host: str
    port: int
    security: str
    sender: str
    to: tuple[str, ...]
    username: str = ""
    password: Secret | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """A named way to notify. ``groups``: of approvals that ask any of these; empty is all."""

    name: str
    how: WebhookChannel | SlackChannel | TeamsChannel | EmailChannel
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Approvals:
    """How calls wait for people, and how people hear of it.

    A call is held for ``hold_s`` seconds at most, then told to come back; that of a legacy client that asks for
    progress for ``hold_with_progress_s``. ``pending_per_principal`` may wait at once.
    """

    hold_s: float = 45.0
    hold_with_progress_s: float = 45.0
    pending_per_principal: int = 20
    sign_in: SignInClient | None = None
    channels: tuple[Channel, ...] = ()

    @property
    def longest_hold_s(self) -> float:
        """For how many seconds any call may be held."""
        return max(self.hold_s, self.hold_with_progress_s)


@dataclass(frozen=True, slots=True)
class Witness:
    """Who cosigns checkpoints: ``url`` is where tlog-witness is served, ``key`` its verifier key (signed-note).

    ``ca`` is a PEM file of who may vouch for its certificate, empty for the system's own.
    """

    name: str
    url: str
    key: str
    ca: str = ""


@dataclass(frozen=True, slots=True)
class OcsfSink:
    """OCSF events as JSON lines, appended to a file."""

    file: str
    bodies: bool = False


@dataclass(frozen=True, slots=True)
class OtlpSink:
    """OTLP logs over HTTP, to the collector at ``endpoint``; ``token`` goes as a bearer token.

    ``token_file`` is where that was read from, empty when from elsewhere.
    """

    endpoint: str
    token: Secret | None = None
    bodies: bool = False
    token_file: str = ""


@dataclass(frozen=True, slots=True)
class CefSink:
    """CEF over syslog (RFC 5424) over TLS (RFC 5425); files are PEM, ``ca`` empty for the system's own."""

    host: str
    port: int
    ca: str = ""
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class CsvSink:
    """CSV (RFC 4180), appended to a file."""

    file: str


@dataclass(frozen=True, slots=True)
class Sink:
    """Where the record leaves the gateway; ``name`` also names its cursor."""

    name: str
    how: OcsfSink | OtlpSink | CefSink | CsvSink


@dataclass(frozen=True, slots=True)
class Recording:
    """How the record is closed, proved, kept and handed on.

    A session without events for ``seal_after_s`` is sealed. Appends wait while more than ``most_unpublished`` events
    are above the latest checkpoint, which is shown once ``witnesses_needed`` of ``witnesses`` cosigned it. Bodies are
    kept ``kept_days`` days, by target or else ``default_kept_days``; ``None`` is for ever. ``body_keys`` is a folder
    with a key for each month in which bodies are encrypted, empty when they are not.
    """

    seal_after_s: float = 3_600.0
    most_unpublished: int = 100_000
    witnesses: tuple[Witness, ...] = ()
    witnesses_needed: int = 0
    default_kept_days: int | None = None
    kept_days: Mapping[str, int | None] = field(default_factory=dict)
    body_keys: str = ""
    exports: tuple[Sink, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """Rules, masks and detectors of a whole gateway.yaml that is on trial, and its own version (of its own bytes)."""

    version: str
    rules: tuple[Rule, ...]
    masks: Mapping[str, Mask]
    detectors: Mapping[str, OwnDetector] = field(default_factory=dict)
    prose: ProseModel | None = None


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """One version of gateway.yaml, complete and checked: every name in it is declared, every secret was read.

    ``version`` is "the policy version" of decisions: the start of the SHA-256, in hex, of the file's bytes, and of the
    candidate's with them when there is one (``version.version_of``). ``auditors`` (who may read the record) and
    ``operators`` (who may accept changed tools) are groups, named in full; empty when nobody may. ``variables`` are the
    environment variables that the file names for credentials, by their use. ``hosts`` and ``origins`` are taken besides
    those of ``url``, as callers write them in ``Host`` and ``Origin``. Mappings are read-only.

    Either some of ``rules`` are on trial (``Rule.shadow``), or there is a ``candidate``, or neither.
    """

    version: str
    url: str
    issuers: tuple[Issuer, ...]
    targets: Mapping[str, Target]
    rules: tuple[Rule, ...]
    masks: Mapping[str, Mask]
    auditors: tuple[str, ...]
    postgres_dsn: Secret | None
    limits: Limits = field(default_factory=Limits)
    otlp_endpoint: str | None = None
    variables: Mapping[SecretUse, frozenset[str]] = field(default_factory=dict)
    rate_limits: tuple[RateLimit, ...] = ()
    operators: tuple[str, ...] = ()
    candidate: Candidate | None = None
    detectors: Mapping[str, OwnDetector] = field(default_factory=dict)
    prose: ProseModel | None = None
    approvals: Approvals = field(default_factory=Approvals)
    recording: Recording = field(default_factory=Recording)
    machines: tuple[Machine, ...] = ()
    revocation: Revoking = field(default_factory=Revoking)
    portal: Portal | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    hub: bool = False
    """Whether ``{url}/mcp`` offers all targets as one server."""
    rules_by_name: Mapping[str, Rule] = field(init=False, repr=False, compare=False)
    """The rules by the names that decisions give, each of which only one rule has; read-only."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules_by_name", MappingProxyType({rule.name: rule for rule in self.rules}))

    @property
    def own_issuer(self) -> str:
        """The issuer of the gateway's own tokens, whether it has a portal that gives any or not."""
        return f"{self.url}/portal"

    @property
    def hub_resource(self) -> str:
        """The URL of the one door for all targets, the audience of tokens for it, whether it is open or not."""
        return f"{self.url}/mcp"

    @property
    def has_stdio_targets(self) -> bool:
        """Whether the gateway runs any target itself."""
        return any(target.stdio is not None for target in self.targets.values())

    @property
    def asks_for_approval(self) -> bool:
        """Whether any rule in force may have humans asked."""
        asking = (Effect.APPROVE, Effect.BREAK_GLASS)
        return any(rule.effect in asking and not rule.shadow for rule in self.rules)
