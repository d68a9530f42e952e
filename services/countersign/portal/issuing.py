"""The gateway's own tokens: for people who signed in, for one resource of this gateway each, and for minutes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from countersign.config import GatewayConfig
from countersign.config.types import Portal
from countersign.identity.portal_keys import PortalKeys, portal_keys
from countersign.portal.errors import OAuthRefused
from countersign.portal.person import Person
from countersign.runtime.revocations import NotKnown, Revocations, Revoked, check

_S = 1_000_000
# Of the 16 KiB that a token may have.
_MOST_CLAIMS = 8 * 1024


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """An answer of the token endpoint (RFC 6749, section 5.1); ``refresh_token`` is empty where there is none."""

    access_token: str
    expires_in_s: int
    refresh_token: str = ""

    def __repr__(self) -> str:
        return f"TokenAnswer(expires_in_s={self.expires_in_s})"

    def document(self) -> dict[str, object]:
        """Return it as it is sent."""
        found: dict[str, object] = {
            "access_token": self.access_token,
            "token_type": "Bearer",
            "expires_in": self.expires_in_s,
        }
        return found | ({"refresh_token": self.refresh_token} if self.refresh_token else {})


class Issuing:
    """Makes tokens (RFC 9068). ``key`` is the deployment's, ``config`` the version in force, ``random`` for ids.

    ``revocations`` are asked each time. ``now_us`` is microseconds since the epoch.
    """

    def __init__(
        self,
        key: bytes,
        config: Callable[[], GatewayConfig],
        revocations: Revocations,
        now_us: Callable[[], int],
        random: Callable[[], str],
    ) -> None:
        self._key = key
        self._config = config
        self._revocations = revocations
        self._now_us = now_us
        self._random = random
        self._made: tuple[GatewayConfig, PortalKeys | None] | None = None

    @property
    def portal(self) -> Portal:
        """The section of gateway.yaml. Raises ``OAuthRefused`` where there is none any more."""
        found = self._config().portal
        if found is None:
            raise OAuthRefused("temporarily_unavailable", "this gateway has no portal", 503)
        return found

    @property
    def keys(self) -> PortalKeys:
        """The signing keys of the version in force. Raises ``OAuthRefused`` where there is no portal any more."""
        config = self._config()
        if self._made is None or self._made[0] is not config:
            self._made = (config, portal_keys(self._key, config, lambda: self._now_us() / _S))
        if self._made[1] is None:
            raise OAuthRefused("temporarily_unavailable", "this gateway has no portal", 503)
        return self._made[1]

    @property
    def series(self) -> str:
        """Of which gateway, and which generation of keys, all is that is issued now: what another issued is no good."""
        return f"{self._config().url} {self.portal.key_generation}"

    def resource_of(self, asked: Sequence[str], granted: str = "") -> str:
        """Return the one resource (RFC 8707) that is asked for: a target of this gateway, or the gateway itself.

        Where nothing is asked it is ``granted``, or the gateway. A sign-in for the gateway is one for all its targets,
        one for a target for that alone. Raises ``OAuthRefused``.
        """
        url = self._config().url
        if len(asked) > 1:
            raise OAuthRefused("invalid_target", "name one resource, as the `resource` of its metadata has it")
        resource = (asked[0] if asked else granted) or url
        if resource.rstrip("/") == url:
            resource = url
        if resource != url and resource not in self._resources():
            raise OAuthRefused("invalid_target", "the resource is not one of this gateway's")
        if granted and resource != granted and granted != url:
            raise OAuthRefused("invalid_target", "the sign-in was for another resource: sign in for this one")
        return resource

    def _resources(self) -> set[str]:
        config = self._config()
        door = {config.hub_resource} if config.hub else set()
        return door | {target.resource for target in config.targets.values()}

    def require_ready(self) -> None:
        """Return when it is known what was revoked. Raises ``OAuthRefused``."""
        if not self._revocations.fresh:
            raise OAuthRefused("temporarily_unavailable", f"{NotKnown()}: try again", 503)

    def require_known(self, person: Person) -> None:
        """Return when tokens may be issued for ``person`` now.

        Raises ``OAuthRefused`` when the person, the sign-in or its issuer is revoked, or people do not sign in there
        any more, or that is not known.
        """
        portal = self.portal
        if person.issuer not in {*(one.issuer for one in portal.oidc), *(one.entity_id for one in portal.saml)}:
            raise OAuthRefused("invalid_grant", "people do not sign in there any more")
        try:
            check(self._revocations, person.principal(), self._now_us())
        except Revoked:
            raise OAuthRefused("invalid_grant", "the sign-in was revoked") from None
        except NotKnown as error:
            raise OAuthRefused("temporarily_unavailable", f"{error}: try again", 503) from None

    def token(self, person: Person, client_id: str, resource: str, until_us: int) -> TokenAnswer:
        """Return a token for ``resource`` (see ``resource_of``), which ends with the sign-in at the latest.

        Raises ``OAuthRefused`` as ``require_known`` does, and when the groups do not fit.
        """
        self.require_known(person)
        now_s = self._now_us() // _S
        expires_s = min(now_s + self.portal.token_s, until_us // _S)
        if expires_s <= now_s:
            raise OAuthRefused("invalid_grant", "the sign-in is over")
        claims: dict[str, object] = {
            "iss": self.keys.issuer,
            "idp": person.issuer,
            "sub": person.subject,
            "aud": resource,
            "iat": now_s,
            "nbf": now_s,
            "exp": expires_s,
            "jti": self._random(),
            "sid": person.signed_in,
            "groups": list(person.groups),
            "client_id": client_id,
            "auth_time": person.at_s,
        }
        claims |= {"idp_sub": person.token_subject} if person.token_subject else {}
        claims |= {"amr": list(person.methods)} if person.methods else {}
        claims |= {"acr": person.context} if person.context else {}
        # Four thirds in base64, and a header and a signature besides.
        if len(json.dumps(claims)) > _MOST_CLAIMS:
            raise OAuthRefused("invalid_grant", "the groups do not fit into a token: let the issuer send fewer")
        return TokenAnswer(self.keys.sign(claims), expires_s - now_s)
