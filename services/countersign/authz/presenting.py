"""What a call's target is shown: its credential, and whether the call may be sent again if that is refused."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from countersign.authz.envoy import Inquiry
from countersign.authz.repeating import Hints, repeatable
from countersign.config import Secret, Target
from countersign.credentials import Presented
from countersign.model.call import Call
from countersign.model.principal import Principal
from countersign.model.telltale import Mark, Telltale, telltales_of

# Envoy's router acts upon these, and removes them (its documentation, "HTTP route components", retries).
_ONCE_MORE = MappingProxyType(
    {"x-envoy-retry-on": "retriable-status-codes", "x-envoy-retriable-status-codes": "401", "x-envoy-max-retries": "1"}
)


class Credentials(Protocol):
    """What targets are shown; see ``countersign.credentials.TargetCredentials``."""

    async def present(self, target: Target, principal: Principal, token: Secret) -> Presented | None:
        """Return what to show. Raises ``CredentialUnavailable``."""


@dataclass(frozen=True, slots=True)
class Presentation:
    """Headers that are set, secret ones among them; ``handle`` is what Envoy names them by when they are refused.

    ``shown`` is by what to know the secrets.
    """

    secrets: Mapping[str, Secret]
    retry: Mapping[str, str]
    handle: str
    shown: tuple[Telltale, ...] = ()


NOTHING = Presentation(MappingProxyType({}), MappingProxyType({}), "")


class Presenting:
    """Makes presentations."""

    def __init__(self, credentials: Credentials, hints: Hints, mark: Mark) -> None:
        self._credentials = credentials
        self._hints = hints
        self._mark = mark
        # Of what all callers of a target are given alike.
        self._shown: dict[str, tuple[Mapping[str, Secret], tuple[Telltale, ...]]] = {}

    async def present(
        self, target: Target, principal: Principal, inquiry: Inquiry, calls: Sequence[Call]
    ) -> Presentation:
        """Return what the target is shown with these calls. Raises ``CredentialUnavailable``."""
        # Verified by now, so that this is its form.
        token = (inquiry.authorization or "").partition(" ")[2].strip()
        presented = await self._credentials.present(target, principal, Secret(token))
        if presented is None:
            return NOTHING
        again = bool(presented.handle) and await repeatable(calls, self._hints)
        retry = _ONCE_MORE if again else NOTHING.retry
        return Presentation(presented.headers, retry, presented.handle, self._shown_by(target, presented))

    def _shown_by(self, target: Target, presented: Presented) -> tuple[Telltale, ...]:
        known = self._shown.get(target.name) if presented.shared else None
        if known is not None and known[0] is presented.headers:
            return known[1]
        found = shown_by(presented, self._mark)
        if presented.shared:
            self._shown[target.name] = presented.headers, found
        return found


def shown_by(presented: Presented, mark: Mark) -> tuple[Telltale, ...]:
    """Return by what to know what is presented: the values of headers without their scheme, and passwords."""
    return telltales_of((value for secret in presented.headers.values() for value in _values(secret.reveal())), mark)


def _values(header: str) -> list[bytes]:
    scheme, _, rest = header.partition(" ")
    found = [(rest or header).encode()]
    if scheme.lower() == "basic":
        with suppress(ValueError):
            found.append(base64.b64decode(rest).partition(b":")[2])
    return found
