"""The section ``approvals:``: how calls wait for people, and by which channels they hear of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from countersign.config import approvers, secrets, selectors, urls
from countersign.config.credentials import Credentials
from countersign.config.document import Node, Path
from countersign.config.durations import Bounds
from countersign.config.problem import Problems
from countersign.config.shape_approvals import (
    CHANNEL_NAME,
    SMTP_SECURITY,
    ApprovalsShape,
    ChannelShape,
    EmailShape,
    SignInShape,
    SlackShape,
    WebhookShape,
)
from countersign.config.shape_base import SecretSource
from countersign.config.types import (
    Approvals,
    Channel,
    EmailChannel,
    Secret,
    SecretUse,
    SignInClient,
    SlackChannel,
    TeamsChannel,
    WebhookChannel,
)
from countersign.config.wording import nearest

HOLD = Bounds("0.1s", "280s", whole=False)
"""Clients give up after 300 s of silence."""

_ROOT: Path = ("approvals",)
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@([A-Za-z0-9.-]{1,253})")
_SLACK_CHANNEL = re.compile(r"[#A-Za-z0-9_.-]+")
_SLACK_API = "https://slack.com/api"


@dataclass(frozen=True, slots=True)
class Section:
    """Reads the section. ``issuers`` are those of the file, ``asked`` the groups that its rules ask.

    ``asked`` is ``None`` when some rule is refused, so that nobody knows whom it was to ask.
    """

    credentials: Credentials
    issuers: Collection[str]
    asked: Collection[str] | None

    def read(self, shape: ApprovalsShape) -> Approvals:
        """The section as the services use it; to be used only if nothing was added to the problems."""
        taken = set[str]()
        channels = []
        for index, each in enumerate(shape.channels):
            self._check_name(each.name, (*_ROOT, "channels", index, "name"), taken)
            channel = self._channel(each, (*_ROOT, "channels", index))
            if channel is not None:
                channels.append(channel)
        hold_s = HOLD.read(shape.hold, self._root.find((*_ROOT, "hold")), self._out)
        longer, place = shape.hold_with_progress, self._root.find((*_ROOT, "hold_with_progress"))
        return Approvals(
            hold_s=hold_s,
            hold_with_progress_s=hold_s if longer is None else HOLD.read(longer, place, self._out),
            pending_per_principal=shape.pending_per_principal,
            sign_in=None if shape.sign_in is None else self._sign_in(shape.sign_in, (*_ROOT, "sign_in")),
            channels=tuple(channels),
        )

    @property
    def _out(self) -> Problems:
        return self.credentials.out

    @property
    def _root(self) -> Node:
        return self.credentials.root

    def _add(self, path: Path, what: str, remedy: str) -> None:
        self._out.add(self._root.find(path).place, what, remedy)

    def _secret(self, path: Path, source: SecretSource, check: Callable[[str], Secret]) -> Secret:
        return self.credentials.read(path, source, check, SecretUse.APPROVALS) or Secret.unread()

    def _url(self, path: Path, url: str) -> str:
        try:
            return urls.endpoint(url)
        except urls.BadUrl as error:
            self._add(path, error.what, error.remedy)
            return url

    def _sign_in(self, shape: SignInShape, path: Path) -> SignInClient:
        if shape.issuer not in self.issuers:
            meant = nearest(shape.issuer, self.issuers)
            remedy = f"did you mean {meant}?" if meant else "name one of them, or add it there"
            self._add((*path, "issuer"), "this is none of the issuers under `identity.oidc`", remedy)
        self._check_line((*path, "client_id"), shape.client_id)
        secret = shape.client_secret
        return SignInClient(
            issuer=shape.issuer,
            client_id=shape.client_id,
            client_secret=None if secret is None else self._secret((*path, "client_secret"), secret, secrets.plain),
        )

    def _check_name(self, name: str, path: Path, taken: set[str]) -> None:
        if not re.fullmatch(CHANNEL_NAME, name):
            remedy = "use up to 63 small letters, digits and hyphens, the first no hyphen"
            self._add(path, f"`{name}` is no usable name of a channel", remedy)
        if name in taken:
            self._add(path, f"the channel `{name}` stands twice", "give each channel a name of its own")
        taken.add(name)

    def _channel(self, shape: ChannelShape, path: Path) -> Channel | None:
        self._check_groups(shape, path)
        how: WebhookChannel | SlackChannel | TeamsChannel | EmailChannel
        match (shape.webhook, shape.slack, shape.teams, shape.email):
            case (webhook, None, None, None) if webhook is not None:
                how = self._webhook(webhook, (*path, "webhook"))
            case (None, slack, None, None) if slack is not None:
                how = self._slack(slack, (*path, "slack"))
            case (None, None, teams, None) if teams is not None:
                how = TeamsChannel(self._secret((*path, "teams", "url"), teams.url, secrets.protected_url))
            case (None, None, None, email) if email is not None:
                how = self._email(email, (*path, "email"))
            case _:
                what = f"the channel `{shape.name}` has not exactly one way to notify"
                self._add(path, what, "give it one of `webhook`, `slack`, `teams` and `email`")
                return None
        return Channel(shape.name, how, tuple(dict.fromkeys(shape.groups or ())))

    def _check_groups(self, shape: ChannelShape, path: Path) -> None:
        if shape.groups is None:
            return
        approvers.check_groups(shape.groups, self._root.find((*path, "groups")), self._out)
        for position, group in enumerate(shape.groups):
            if self.asked is not None and group not in self.asked and not selectors.is_wild(group):
                meant = nearest(group, self.asked)
                remedy = f"did you mean `{meant}`?" if meant else "name groups that stand under `by` in some rule"
                self._add((*path, "groups", position), f"no rule asks the group `{group}`", remedy)

    def _webhook(self, shape: WebhookShape, path: Path) -> WebhookChannel:
        url = self._url((*path, "url"), shape.url)
        return WebhookChannel(url, self._secret((*path, "secret"), shape.secret, secrets.webhook_secret))

    def _slack(self, shape: SlackShape, path: Path) -> SlackChannel:
        if not _SLACK_CHANNEL.fullmatch(shape.channel):
            self._add((*path, "channel"), "this is no channel of Slack", "write its id, such as C0123456789")
        return SlackChannel(
            channel=shape.channel,
            token=self._secret((*path, "token"), shape.token, secrets.header_safe),
            signing_secret=self._secret((*path, "signing_secret"), shape.signing_secret, secrets.header_safe),
            api=_SLACK_API if shape.api is None else self._url((*path, "api"), shape.api),
        )

    def _email(self, shape: EmailShape, path: Path) -> EmailChannel:
        if not urls.is_host(shape.host):
            self._add((*path, "host"), "this is no host name or address", "write such as smtp.example.com")
        if shape.security not in SMTP_SECURITY:
            meant = nearest(shape.security, SMTP_SECURITY)
            remedy = f"did you mean `{meant}`?" if meant else f"use one of {', '.join(SMTP_SECURITY)}"
            self._add((*path, "security"), f"there is no security `{shape.security}`", remedy)
        if shape.security == "none" and shape.password is not None and not urls.is_loopback(shape.host):
            remedy = "use `tls` or `starttls`, or a server on this machine"
            self._add((*path, "security"), "the password would travel unencrypted", remedy)
        self._check_address((*path, "from"), shape.sender)
        for position, address in enumerate(shape.to):
            self._check_address((*path, "to", position), address)
        if (shape.username is None) != (shape.password is None):
            self._add(path, "one of `username` and `password` stands alone", "give both, or neither")
        if shape.username is not None:
            self._check_line((*path, "username"), shape.username)
        return EmailChannel(
            host=shape.host,
            port=shape.port,
            security=shape.security,
            sender=shape.sender,
            to=tuple(dict.fromkeys(shape.to)),
            username=shape.username or "",
            password=None
            if shape.password is None
            else self._secret((*path, "password"), shape.password, secrets.plain),
        )

    def _check_address(self, path: Path, address: str) -> None:
        found = _ADDRESS.fullmatch(address)
        if found is None or not urls.is_host(found[1]):
            self._add(path, "this is no mail address", "write the address alone, such as data-owners@example.com")

    def _check_line(self, path: Path, text: str) -> None:
        if not text.isprintable() or text != text.strip():
            self._add(path, f"unprintable characters, or spaces around, in `{path[-1]}`", "remove them")


def variables(shape: ApprovalsShape) -> frozenset[str]:
    """The environment variables that the section names for credentials."""
    found: list[SecretSource | None] = [shape.sign_in.client_secret if shape.sign_in else None]
    for each in shape.channels:
        found.append(each.webhook.secret if each.webhook else None)
        found += [each.slack.token, each.slack.signing_secret] if each.slack else []
        found.append(each.teams.url if each.teams else None)
        found.append(each.email.password if each.email else None)
    return frozenset(source.env for source in found if source is not None and source.env)
