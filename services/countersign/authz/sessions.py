"""Which recorded session a call belongs to. Pure: every replica comes to the same answer, and none remembers."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from countersign.mcp import Era, Request
from countersign.model.principal import Principal
from countersign.runtime.sealing import Sealer

_NAMESPACE = uuid.UUID("6d1f0c2e-3c1b-5d0f-9a53-5a6c2f9f8f11")


@dataclass(frozen=True, slots=True)
class SessionOfCall:
    """The recorded session, and the target's own session id to send on (empty when there is none)."""

    session_id: str
    target_session: str = ""


def session_of(
    request: Request, principal: Principal, target: str, sealer: Sealer, new_id: Callable[[], str]
) -> SessionOfCall:
    """Return the session of this request.

    A legacy session begins with ``initialize`` and is the one sealed into ``Mcp-Session-Id`` from then on. Without
    one (modern era, stateless servers), all calls with one token to one target are a session: tokens are short-lived.

    Raises ``Unsealable`` for a session id that is not this principal's at this target.
    """
    if request.era is Era.LEGACY and request.session_id:
        opened = sealer.open_session(principal, target, request.session_id)
        return SessionOfCall(opened.session_id, opened.target_session)
    if any(message.call is not None and message.call.method == "initialize" for message in request.messages):
        return SessionOfCall(new_id())
    return SessionOfCall(_named(principal.issuer, principal.subject, principal.token_id, target))


def session_of_strangers(target: str, source_address: str, day: str) -> str:
    """Return the session that keeps a day's refused attempts from one address on one target."""
    return _named("unidentified", target, source_address, day)


@lru_cache(maxsize=10_000)
def _named(*parts: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, "\n".join(parts)))
