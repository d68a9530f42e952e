"""What every path of the page needs: who is signed in, what a form says, and how refusals are told."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import re
from collections.abc import Callable
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from countersign.approver.page import cookies
from countersign.approver.page.cookies import Cookies, Session
from countersign.approver.page.rendering import Rendering
from countersign.approver.ports import Came
from countersign.config import GatewayConfig
from countersign.config.types import SignInClient
from countersign.runtime.forms import BadBody, form_of
from countersign.runtime.revocations import NotKnown, Revocations, Revoked, check

log = logging.getLogger(__name__)

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LINK = re.compile(r"[A-Za-z0-9_-]{1,1000}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Told(Exception):
    """The request is answered by ``response``, and nothing else happens."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered")
        self.response = response


class Desk:
    """Knows browsers by their cookies. ``config`` returns the version in force."""

    def __init__(
        self,
        config: Callable[[], GatewayConfig],
        cookies: Cookies,
        rendering: Rendering,
        revocations: Revocations,
        now_us: Callable[[], int],
    ) -> None:
        self._config = config
        self._cookies = cookies
        self._revocations = revocations
        self.rendering = rendering
        self.now_us = now_us

    @property
    def url(self) -> str:
        """The gateway's URL."""
        return self._config().url

    @property
    def sign_in(self) -> SignInClient:
        """As whose client people sign in; only asked while there is one."""
        sign_in = self._config().approvals.sign_in
        if sign_in is None:
            raise RuntimeError("nobody signs in here")
        return sign_in

    def session(self, request: Request, approval_id: str = "", link: str = "") -> Session:
        """Return who is signed in; else have them told to sign in, and to come back here."""
        sealed = request.cookies.get(cookies.session_name(self.url), "")
        session = self._cookies.open_session(sealed, self.url, self.sign_in, self.now_us())
        if session is None:
            raise Told(self.ask_to_sign_in(approval_id, link))
        try:
            check(self._revocations, session.principal, self.now_us())
        except Revoked:
            raise Told(self.ask_to_sign_in(approval_id, link, "Your sign-in was revoked.")) from None
        except NotKnown:
            text = "Whose sign-in was revoked is not known now: try again soon."
            raise Told(self.rendering.message("This does not work now", text, 503)) from None
        return session

    def ask_to_sign_in(self, approval_id: str = "", link: str = "", text: str = "", status: int = 403) -> Response:
        """Return the page that leads to the issuer, and from there back to an approval or to the list."""
        query = {name: value for name, value in (("approval", approval_id), ("link", link)) if value}
        href = "/approvals/sign-in" + (f"?{urlencode(query)}" if query else "")
        return self.rendering.page("sign_in", status, issuer=self.sign_in.issuer, href=href, text=text)

    async def form(self, request: Request, session: Session) -> dict[str, str]:
        """Return the form that this session's own page sent."""
        try:
            form = await form_of(request)
        except BadBody as error:
            raise Told(
                self.rendering.message("This was not taken", str(error), error.status, session=session)
            ) from None
        # Browsers that say where a request comes from say it truly (Fetch Metadata Request Headers).
        own = request.headers.get("sec-fetch-site", "same-origin") == "same-origin"
        if not own or not hmac.compare_digest(form.get("csrf", "").encode(), session.csrf.encode()):
            log.warning("a form that is not of the page was refused")
            raise Told(
                self.rendering.message(
                    "This was not taken",
                    "The form is not of this page, or of an earlier sign-in: open the approval, and decide there.",
                    403,
                    session=session,
                )
            )
        return form


def approval_id_of(text: str) -> str:
    """Return an approval's id as it may stand in our URLs; empty when it is none."""
    return text if _ID.fullmatch(text) else ""


def link_of(text: str) -> str:
    """Return what may be a link's sealed part; empty when it cannot be one."""
    return text if _LINK.fullmatch(text) else ""


def came_of(request: Request) -> Came:
    """Return where a request came from, as Envoy says, which appends the address that it saw itself."""
    forwarded = request.headers.getlist("x-forwarded-for")
    address = forwarded[-1].rpartition(",")[2].strip() if forwarded else request.client.host if request.client else ""
    try:
        address = str(ipaddress.ip_address(address))
    except ValueError:
        address = ""
    traceparent = request.headers.get("traceparent", "")
    return Came(address, traceparent if _TRACEPARENT.fullmatch(traceparent) else "")
