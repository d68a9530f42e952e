"""Issuers that give tokens to the whole world: without saying whose, everybody would be somebody here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from countersign.config.types_identity import Claims


@dataclass(frozen=True, slots=True)
class WorldWide:
    """An issuer of everybody's tokens.

    ``names`` are claims any of which, without wildcards, says whose a token is. ``owned`` are claims that start with
    whose it is: by claim, the text before the owner and the one after, up to which there may be no wildcard.
    """

    names: frozenset[str]
    owned: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    example: str = ""

    def tied(self, claims: Claims) -> bool:
        """Whether what fits ``claims`` can only be of somebody who is named there."""
        return any(all(self._ties(path, entry) for entry in entries) for path, entries in claims.items())

    def _ties(self, path: str, entry: str) -> bool:
        head = entry[: _first_wildcard(entry)]
        if path in self.names and head == entry:
            return True
        if path not in self.owned:
            return False
        before, after = self.owned[path]
        owner, separator, _ = head.removeprefix(before).partition(after)
        return head.startswith(before) and bool(owner and separator)


_SUBJECTS = frozenset({"sub", "email"})
_GITHUB = WorldWide(
    frozenset({"repository_owner", "repository_owner_id", "repository_id", "enterprise", "enterprise_id"}),
    {"repository": ("", "/"), "sub": ("repo:", "/")},
    "repository: acme/payments",
)
_GITLAB = WorldWide(
    frozenset({"namespace_path", "namespace_id", "project_id"}),
    {"project_path": ("", "/"), "sub": ("project_path:", "/"), "namespace_path": ("", "/")},
    "project_path: acme/payments",
)
_GOOGLE = WorldWide(_SUBJECTS | {"hd"}, example="hd: example.com")
_OTHERS = WorldWide(_SUBJECTS, example="sub: SUBJECT")
_BY_HOST: Mapping[str, WorldWide] = {
    "token.actions.githubusercontent.com": _GITHUB,
    "gitlab.com": _GITLAB,
    "accounts.google.com": _GOOGLE,
    "app.terraform.io": WorldWide(
        frozenset({"terraform_organization_id", "terraform_organization_name"}),
        {"sub": ("organization:", ":")},
        "terraform_organization_name: acme",
    ),
    "agent.buildkite.com": WorldWide(
        frozenset({"organization_id", "organization_slug"}), {"sub": ("organization:", ":")}, "organization_slug: acme"
    ),
    "oidc.vercel.com": WorldWide(frozenset({"owner", "owner_id"}), {"sub": ("owner:", ":")}, "owner: acme"),
    "appleid.apple.com": _OTHERS,
    "slack.com": WorldWide(_SUBJECTS | {"https://slack.com/team_id"}, example="https://slack.com/team_id: T0123456"),
    "www.facebook.com": _OTHERS,
    "www.linkedin.com": _OTHERS,
    "id.twitch.tv": _OTHERS,
    "oauth2.sigstore.dev": _OTHERS,
}
_ENTRA_HOSTS = frozenset({"login.microsoftonline.com", "sts.windows.net", "login.microsoftonline.us"})
_PERSONAL_ACCOUNTS = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of everybody's personal Microsoft accounts, whose tokens do name an issuer."""
_ENTRA_ALIASES = frozenset({"common", "organizations", "consumers"})


def of(issuer: str) -> WorldWide | None:
    """What is known of an issuer of everybody's tokens; ``None`` for one that is of somebody in particular."""
    host, path = _split(issuer)
    if host in _ENTRA_HOSTS:
        return _OTHERS if path.split("/")[0].lower() == _PERSONAL_ACCOUNTS else None
    # Of these, a path is somebody's own issuer: GitHub's for an enterprise, Vercel's for a team.
    if path and host in ("token.actions.githubusercontent.com", "oidc.vercel.com"):
        return None
    return _BY_HOST.get(host)


def names_no_tenant(issuer: str) -> bool:
    """Whether this is an address at which many tenants sign in, which no token names as its issuer."""
    host, path = _split(issuer)
    return host in _ENTRA_HOSTS and path.split("/")[0].lower() in {"", *_ENTRA_ALIASES}


def is_entra(issuer: str) -> bool:
    """Whether this is an issuer of Microsoft Entra ID."""
    return _split(issuer)[0] in _ENTRA_HOSTS


def _split(issuer: str) -> tuple[str, str]:
    try:
        parts = urlsplit(issuer)
        return parts.hostname or "", parts.path.strip("/")
    except ValueError:
        return "", ""  # refused elsewhere


def _first_wildcard(entry: str) -> int:
    return min((at for at in (entry.find("*"), entry.find("?")) if at >= 0), default=len(entry))
