"""What the rooms of the portal (SAML, what issuers tell, sign-in itself) share, and what each must be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import httpx
from starlette.routing import Route

from countersign.config import GatewayConfig
from countersign.identity import TokenVerifier
from countersign.portal.desk import Desk
from countersign.portal.hears.applying import Applying
from countersign.portal.issuing import Issuing, TokenAnswer
from countersign.portal.used import UsedOnce
from countersign.runtime.revocations import Revocations

Grant = Callable[[Mapping[str, str]], Awaitable[TokenAnswer]]
"""Answers a token request (RFC 6749, section 4) of one grant type, by its form. Raises ``OAuthRefused``."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What every room gets.

    ``key`` is the deployment's; ``config`` returns the version in force, which has a ``portal`` while requests come.
    ``client`` follows no redirects. ``random`` returns a text that nobody guesses, ``now_us`` microseconds since the
    epoch. ``desk`` knows who is signed in in a browser, and signs them in; ``issuing`` makes tokens.
    ``applying`` puts revocations in force.
    """

    key: bytes
    config: Callable[[], GatewayConfig]
    used: UsedOnce
    client: httpx.AsyncClient
    verifier: TokenVerifier
    revocations: Revocations
    applying: Applying
    desk: Desk
    issuing: Issuing
    now_us: Callable[[], int]
    monotonic: Callable[[], float]
    random: Callable[[], str]


class Room(Protocol):
    """A part of the portal with paths of its own, all below ``/portal/``."""

    def routes(self) -> Sequence[Route]:
        """Return its paths; asked once."""

    def grants(self) -> Mapping[str, Grant]:
        """Return the grant types that it answers at the token endpoint."""

    async def close(self) -> None:
        """Let go of everything; called once."""
