"""The shape of approvals: whom a rule asks, how calls wait, and how people hear of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from countersign.config.shape_base import Duration, Name, Reuse, SecretSource, Shape, Text, Url
from countersign.config.types import Approvals
from countersign.model.opening import EXAMPLE

CHANNEL_NAME = "[a-z0-9][a-z0-9-]{0,62}"
MAX_APPROVERS = 20
SMTP_SECURITY = ("tls", "starttls", "none")

AlertNames = Annotated[list[Text], Field(min_length=1, max_length=50)]
_FullGroups = Annotated[list[Text], Field(min_length=1, max_length=100)]
_Port = Annotated[int, Field(ge=1, le=65_535)]

_DEFAULT = Approvals()
_CHANNEL_KINDS = ("webhook", "slack", "teams", "email")


class ApproversShape(Shape):
    """Whom an approve rule asks. What they agree to runs once, unless `reuse` says otherwise."""

    groups: _FullGroups = Field(description="names of groups in full, such as [data-owners]: who may agree")
    count: int = Field(default=1, ge=1, le=MAX_APPROVERS, description="how many different people must agree")
    within: Duration = Field(default="15m", description="how long they have, and then how long the call has to run")
    reuse: Reuse = Field(default="once", description="`once`, or how long the same call may be repeated, such as 30m")
    window: Text | None = Field(
        default=None, description=f"when it may be asked, agreed to and run, such as {EXAMPLE}; without it, always"
    )
    note_required: bool = Field(default=False, description="whether each must say why")


class SignInShape(Shape):
    """How approvers sign in on the page of approvals: OpenID Connect, code with PKCE."""

    issuer: Url = Field(description="one of the issuers under `identity.oidc`")
    client_id: Text = Field(description="the id by which that issuer knows the gateway")
    client_secret: SecretSource | None = Field(
        default=None, description="by {env: NAME} or {file: path}; without it, a public client"
    )


class WebhookShape(Shape):
    """A POST that is signed as Standard Webhooks says."""

    url: Url = Field(description="where to, such as https://hooks.example.com/approvals")
    secret: SecretSource = Field(description="what signs it, by {env: NAME} or {file: path}: whsec_ and base64")


class SlackShape(Shape):
    """A message in a Slack channel, which changes when the approval does."""

    channel: Name = Field(description="the channel's id, such as C0123456789")
    token: SecretSource = Field(description="the bot's token, by {env: NAME} or {file: path}")
    signing_secret: SecretSource = Field(description="the app's signing secret, by {env: NAME} or {file: path}")
    api: Url | None = Field(default=None, description="Slack's API, if not at https://slack.com/api")


class TeamsShape(Shape):
    """A card by a workflow of Microsoft Teams."""

    url: SecretSource = Field(description="the workflow's URL, which is a credential, by {env: NAME} or {file: path}")


class EmailShape(Shape):
    """A mail by SMTP."""

    host: Name = Field(description="the server, such as smtp.example.com")
    port: _Port = Field(default=587, description="its port")
    security: Text = Field(
        default="starttls",
        description="`tls`, `starttls` (the connection is encrypted or given up), or `none`",
        json_schema_extra={"enum": list(SMTP_SECURITY)},
    )
    sender: Text = Field(alias="from", description="the sender's address, such as countersign@example.com")
    to: Annotated[list[Text], Field(min_length=1, max_length=50)] = Field(
        description="addresses, such as [data-owners@example.com]"
    )
    username: Name | None = Field(default=None, description="who sends, where the server asks")
    password: SecretSource | None = Field(default=None, description="by {env: NAME} or {file: path}")


class ChannelShape(Shape):
    """A named way to notify: one of `webhook`, `slack`, `teams` and `email`."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [kind]} for kind in _CHANNEL_KINDS]})

    name: Text = Field(
        description="a name of its own, for `alert:` in rules", json_schema_extra={"pattern": f"^{CHANNEL_NAME}$"}
    )
    groups: _FullGroups | None = Field(
        default=None, description="only of approvals that ask any of these groups; without it, of all"
    )
    webhook: WebhookShape | None = Field(default=None, description="a POST, such as {url: URL, secret: {env: NAME}}")
    slack: SlackShape | None = Field(default=None, description="a message in Slack")
    teams: TeamsShape | None = Field(default=None, description="a card in Teams, such as {url: {env: NAME}}")
    email: EmailShape | None = Field(default=None, description="a mail")


class ApprovalsShape(Shape):
    """How calls wait for people, and how people hear of it."""

    hold: Duration = Field(
        default=f"{_DEFAULT.hold_s:g}s",
        description="how long a call is held before its caller is told to come back, such as 45s; 280s at most",
    )
    hold_with_progress: Duration | None = Field(
        default=None,
        description="the same for legacy clients that ask for progress, such as 2m; if not given, as `hold`",
    )
    pending_per_principal: int = Field(
        default=_DEFAULT.pending_per_principal,
        ge=1,
        le=1_000,
        description="how many approvals of one principal may wait; further ones are refused",
    )
    sign_in: SignInShape | None = Field(
        default=None, description="how approvers sign in on the page; without it, they decide by the command line"
    )
    channels: Annotated[list[ChannelShape], Field(max_length=50)] = Field(
        default_factory=list, description="how people hear of approvals"
    )
