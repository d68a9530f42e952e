"""Answers of the page: rendered with every value escaped, and with headers that allow nothing but themselves."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from functools import cache

import jinja2
from starlette.datastructures import MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from countersign.approver.page.cookies import Session
from countersign.model.visible import visible
from countersign.runtime.trust import SERVICE_HEADER

log = logging.getLogger(__name__)

HINT = (
    "There is no page of approvals here: gateway.yaml has no approvals.sign_in. "
    "Decide by the command: countersign approvals\n"
)
# No script, no frame, nothing from elsewhere; forms go nowhere else. As a link may stand in the URL, it is told nobody.
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("countersign.approver.page"), autoescape=True, undefined=jinja2.StrictUndefined
    )


class Rendering:
    """The templates, each compiled at its first use in a process."""

    def page(
        self, name: str, status: int = 200, *, session: Session | None = None, refresh_s: int = 0, **values: object
    ) -> HTMLResponse:
        """Render the template ``name``.html for whoever is signed in."""
        who = visible(session.principal.subject) if session else ""
        text = _templates().get_template(f"{name}.html").render(session=session, who=who, refresh_s=refresh_s, **values)
        return HTMLResponse(text, status)

    def message(
        self, title: str, text: str, status: int, *, session: Session | None = None, approval_id: str = ""
    ) -> HTMLResponse:
        """Say one thing, and where to go on."""
        return self.page("message", status, session=session, title=title, text=text, approval_id=approval_id)


class Guarded:
    """An application whose every answer has ``HEADERS``; while not ``is_open()`` it answers 404 and a hint.

    Where there is a ``token`` (see ``countersign.runtime.trust``) it answers nobody who does not bring it. An error in
    it is an answer 500 that tells nothing; what went wrong is logged by its kind alone.
    """

    def __init__(self, app: ASGIApp, is_open: Callable[[], bool], token: str) -> None:
        self._app = app
        self._is_open = is_open
        self._token = token.encode()

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
                for name, value in HEADERS.items():
                    headers[name] = value
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
        return self._app if self._is_open() else PlainTextResponse(HINT, 404)
