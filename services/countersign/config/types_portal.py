"""The portal: who signs in there and how, and from whom it hears of logouts and security events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from countersign.config.types_secret import Secret

_PLAIN = re.compile(r"[^A-Za-z0-9.]+")


def place_of(issuer: str) -> str:
    """Return an issuer's place in the portal's URLs: its host and path, whatever is no letter, digit or dot a hyphen.

    Two issuers may have one place in common; gateway.yaml does not take them both.
    """
    parts = urlsplit(issuer)
    return _PLAIN.sub("-", parts.netloc + parts.path).strip("-")


@dataclass(frozen=True, slots=True)
class SignInClient:
    """How people sign in: as a client of an issuer (OpenID Connect, code with PKCE)."""

    issuer: str
    client_id: str
    client_secret: Secret | None = None


@dataclass(frozen=True, slots=True)
class SamlProvider:
    """A SAML 2.0 identity provider: ``certificates`` are PEM, any of which may sign its assertions.

    ``subject`` and ``groups`` are names of attributes; an empty ``subject`` is the NameID. ``name`` is its place in the
    portal's URLs.
    """

    name: str
    entity_id: str
    sso_url: str
    certificates: tuple[str, ...]
    subject: str = ""
    groups: str = "groups"


BUILT_IN_CLIENT = "countersign-cli"
"""The client that needs no entry: `countersign login`, whose codes go to its own machine only."""


@dataclass(frozen=True, slots=True)
class PortalClient:
    """A program that may ask for tokens: a public client. A redirect URI at a loopback address fits any port."""

    client_id: str
    redirect_uris: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogoutSource:
    """An issuer whose logout tokens are taken (OpenID Connect Back-Channel Logout 1.0), for ``client_id``.

    With ``everywhere``, a logout ends whatever its subject has, where its tokens do not say of which sign-in they are.
    """

    issuer: str
    client_id: str
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class SignalSource:
    """A transmitter of Shared Signals (push, RFC 8935).

    ``issuer`` is the transmitter, ``audience`` what it calls us, ``subjects_of`` the issuer of the principals that its
    events are about; ``token`` is what it must send as bearer token. ``everywhere`` is as for logouts.
    """

    issuer: str
    audience: str
    subjects_of: str
    jwks_url: str
    token: Secret | None = None
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Portal:
    """Signs people in and issues the gateway's own tokens. Its issuer is ``{gateway.url}/portal``.

    Tokens are good for ``token_s`` seconds, a sign-in for ``session_s``; signing keys change every ``key_s`` seconds,
    and all at once with another ``key_generation``.
    """

    token_s: int = 600
    session_s: int = 8 * 3600
    key_s: int = 30 * 24 * 3600
    key_generation: int = 1
    oidc: tuple[SignInClient, ...] = ()
    saml: tuple[SamlProvider, ...] = ()
    logouts: tuple[LogoutSource, ...] = ()
    signals: tuple[SignalSource, ...] = ()
    clients: tuple[PortalClient, ...] = ()
