"""Pages of ours: every answer has headers that allow nothing but itself, and an error tells nothing."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from countersign.runtime.trust import SERVICE_HEADER

log = logging.getLogger(__name__)

POLICY = "content-security-policy"
# No script, no frame, nothing from elsewhere; forms go nowhere else. As a link may stand in the URL, it is told nobody.
HEADERS = {
    POLICY: "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guarded:
    """An application whose every answer has ``HEADERS``; while not ``is_open()`` it answers 404 and ``hint``.

    Where there is a ``token`` (see ``countersign.runtime.trust``) it answers nobody who does not bring it. An error in
    it is an answer 500 that tells nothing; what went wrong is logged by its kind alone. An answer may say its own
    ``content-security-policy``; it must allow no more than it needs.
    """

    def __init__(self, app: ASGIApp, is_open: Callable[[], bool], token: str, hint: str) -> None:
        self._app = app
        self._is_open = is_open
        self._token = token.encode()
        self._hint = hint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3.0."""
        if scope["type"] != "http":
            return
        began = False

        async def send_guarded(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                headers = MutableHeaders(scope=message)
                own = headers.get(POLICY)
                for name, value in HEADERS.items():
                    headers[name] = value
                if own is not None:
                    headers[POLICY] = own
            await send(message)

        try:
            await self._chosen(scope)(scope, receive, send_guarded)
        except Exception as error:
            # What it says may hold what nobody may read.
            failed = type(error).__name__
        else:
            return
        log.error("the page failed: %s", failed)
        if not began:
            await PlainTextResponse("The page failed; try again.\n", 500)(scope, receive, send_guarded)

    def _chosen(self, scope: Scope) -> ASGIApp:
        sent = [value for name, value in scope["headers"] if name == SERVICE_HEADER.encode()]
        if self._token and not (len(sent) == 1 and hmac.compare_digest(sent[0], self._token)):
            return PlainTextResponse("Come through the gateway.\n", 403)
        return self._app if self._is_open() else PlainTextResponse(self._hint, 404)
