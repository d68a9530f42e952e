"""The paths at which issuers tell: HTTP in, the listener's answer out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Never

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from countersign.identity.errors import IdentityUnavailable
from countersign.portal.hears.applying import NotApplied
from countersign.portal.hears.listener import Busy, Listener
from countersign.portal.hears.told import Err, Heard, NotTaken
from countersign.runtime.forms import BadBody, body_of, form_of

log = logging.getLogger(__name__)

LOGOUT_PATH = "/portal/logout/backchannel"
SIGNALS_PATH = "/portal/signals"
MOST_BYTES = 64 * 1024
_SET_TYPE = "application/secevent+jwt"
_AGAIN_S = 5
_SAY_EVERY_S = 60.0
_NEVER_KEPT = {"cache-control": "no-store"}


class Hears:
    """Answers issuers: OpenID Connect Back-Channel Logout 1.0, section 2.8; RFC 8935, sections 2.2 and 2.3.

    Nothing is acknowledged before it is in force and on record. What must be sent again is answered 503.
    """

    def __init__(self, listener: Listener, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._listener = listener
        self._monotonic = monotonic
        self._refused = 0
        self._said_at_s = -_SAY_EVERY_S

    def routes(self) -> list[Route]:
        """Return the paths and who answers them."""
        return [
            Route(LOGOUT_PATH, self._logout, methods=["POST"]),
            Route(SIGNALS_PATH, self._signal, methods=["POST"]),
        ]

    def grants(self) -> Mapping[str, Never]:
        """Return none: nobody gets a token here."""
        return {}

    async def close(self) -> None:
        """Nothing is held."""

    async def _logout(self, request: Request) -> Response:
        try:
            form = await form_of(request)
            token = form.get("logout_token", "")
            if not token:
                raise NotTaken(Err.REQUEST, "the form lacks `logout_token`")
            _say(await self._listener.logout(token.encode()))
        except BadBody as error:
            return _bad_logout(str(error))
        except NotTaken as refused:
            self._count_refused(refused)
            return _bad_logout(refused.description)
        except (IdentityUnavailable, NotApplied, Busy):
            return _again({"error": "temporarily_unavailable", "error_description": "not now: send it again"})
        return Response(status_code=200, headers=_NEVER_KEPT)

    async def _signal(self, request: Request) -> Response:
        try:
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _SET_TYPE:
                raise NotTaken(Err.REQUEST, f"send the token alone, as {_SET_TYPE}")
            token = await body_of(request, MOST_BYTES)
            _say(await self._listener.signal(token.strip(), _bearer(request)))
        except BadBody as error:
            return _bad_signal(NotTaken(Err.REQUEST, str(error)))
        except NotTaken as refused:
            self._count_refused(refused)
            return _bad_signal(refused)
        except (IdentityUnavailable, NotApplied, Busy):
            return _again({"err": "temporarily_unavailable", "description": "not now: send it again"})
        return Response(status_code=202, headers=_NEVER_KEPT)

    def _count_refused(self, refused: NotTaken) -> None:
        """Anybody can send these: say how many there were, now and then, and why the last one was refused."""
        self._refused += 1
        now_s = self._monotonic()
        if now_s - self._said_at_s >= _SAY_EVERY_S:
            extra = {"count": self._refused, "err": refused.err.value, "last": refused.description}
            log.warning("what was told of logouts or security events was refused", extra=extra)
            self._refused, self._said_at_s = 0, now_s


def _say(heard: Heard) -> None:
    extra = {
        "source": heard.source,
        "teller": heard.teller,
        "revoked": len(heard.revocations),
        "lifted": len(heard.lifted),
    }
    log.info("an issuer told of a logout or a security event", extra=extra)


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _bad_logout(description: str) -> Response:
    said = {"error": "invalid_request", "error_description": description}
    return JSONResponse(said, 400, headers=_NEVER_KEPT)


def _bad_signal(refused: NotTaken) -> Response:
    said = {"err": refused.err.value, "description": refused.description}
    headers = {**_NEVER_KEPT, "content-language": "en"}
    if refused.err is Err.AUTHENTICATION:
        return JSONResponse(said, 401, headers={**headers, "www-authenticate": "Bearer"})
    return JSONResponse(said, 400, headers=headers)


def _again(said: dict[str, str]) -> Response:
    return JSONResponse(said, 503, headers={**_NEVER_KEPT, "retry-after": str(_AGAIN_S)})
