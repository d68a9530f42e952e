"""Who is signed in in a browser, and what every page of the portal does alike."""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from countersign.config import GatewayConfig
from countersign.model.visible import visible
from countersign.portal.errors import OAuthRefused, Told
from countersign.portal.issuing import Issuing
from countersign.portal.person import Person
from countersign.portal.store import PostgresSignIns, SignIn
from countersign.runtime import web_cookies
from countersign.runtime.boxes import Box
from countersign.runtime.forms import BadBody, form_of
from countersign.runtime.sealing import Unsealable

log = logging.getLogger(__name__)

HOME = "/portal/"
_S = 1_000_000
_COOKIE = "countersign-portal"
# Where a browser may go on after signing in: paths of ours, never a URL.
_THEN = re.compile(r"/portal/(?:authorize\?[!-~]{1,2000}|device(?:\?[!-~]{1,100})?)?")


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody signed in in this browser; ``csrf`` is what its forms must bring."""

    sign_in: SignIn
    csrf: str


class Desk:
    """Keeps browsers' sign-ins. ``random`` returns a text that nobody guesses."""

    def __init__(
        self,
        key: bytes,
        config: Callable[[], GatewayConfig],
        store: PostgresSignIns,
        issuing: Issuing,
        now_us: Callable[[], int],
        random: Callable[[], str],
    ) -> None:
        self._box = Box(key, "portal session")
        self._config = config
        self._store = store
        self._issuing = issuing
        self._now_us = now_us
        self._random = random
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("countersign.portal"), autoescape=True, undefined=jinja2.StrictUndefined
        )

    @property
    def url(self) -> str:
        """The gateway's URL."""
        return self._config().url

    def then_of(self, text: str) -> str:
        """Return where to go on after signing in: ``text``, when it is a path of the portal's that may be."""
        return text if _THEN.fullmatch(text) else HOME

    async def session(self, request: Request) -> Session | None:
        """Return who is signed in in this browser; ``None`` when nobody is, or who is was revoked.

        Raises ``OAuthRefused`` when what was revoked is not known, ``DatabaseUnavailable``.
        """
        try:
            sealed = request.cookies.get(web_cookies.name_of(_COOKIE, self.url), "")
            sign_in_id, csrf = cast(list[str], self._box.open(sealed, self._now_us(), self._issuing.series))
        except Unsealable:
            return None
        sign_in = await self._store.find(sign_in_id, self._now_us())
        if sign_in is None:
            return None
        try:
            self._issuing.require_known(sign_in.person)
        except OAuthRefused as error:
            if error.status == 503:
                raise
            return None
        return Session(sign_in, csrf)

    async def sign_in(self, person: Person, ends_us: int | None = None) -> SignIn:
        """Keep a new sign-in of ``person``; where they signed in it ends at ``ends_us``, if that was said.

        Raises ``OAuthRefused``, ``DatabaseUnavailable``.
        """
        self._issuing.require_known(person)
        until_us = self._now_us() + self._issuing.portal.session_s * _S
        sign_in = SignIn(self._random(), person, until_us if ends_us is None else min(until_us, ends_us))
        await self._store.begin(sign_in, self._now_us())
        return sign_in

    async def finish(self, person: Person, then: str, ends_us: int | None = None) -> Response:
        """Sign ``person`` in in this browser, whoever was before, and go on with ``then`` (see ``then_of``).

        ``ends_us`` is as ``sign_in`` has it. Raises ``OAuthRefused``, ``DatabaseUnavailable``.
        """
        sign_in = await self.sign_in(person, ends_us)
        sealed = self._box.seal([sign_in.sign_in_id, self._random()], sign_in.until_us, self._issuing.series)
        response = RedirectResponse(self.url + self.then_of(then), 303)
        web_cookies.put(response, web_cookies.name_of(_COOKIE, self.url), sealed, self._issuing.portal.session_s)
        return response

    async def end(self, session: Session) -> Response:
        """Sign out: here, and for whatever programs were granted by this sign-in."""
        await self._store.end(session.sign_in.sign_in_id)
        response = self.message("Signed out", "You are signed out here. Tokens that were issued end within minutes.")
        web_cookies.drop(response, web_cookies.name_of(_COOKIE, self.url))
        return response

    async def form(self, request: Request, session: Session | None = None) -> dict[str, str]:
        """Return the form that a page of this session's sent; without one, of any page. Raises ``Told``."""
        try:
            form = await form_of(request)
        except BadBody as error:
            raise Told(self.message("This was not taken", str(error), error.status)) from None
        # Browsers that say where a request comes from say it truly (Fetch Metadata Request Headers).
        own = request.headers.get("sec-fetch-site", "same-origin") == "same-origin"
        if session is None:
            return form
        if not own or not hmac.compare_digest(form.get("csrf", "").encode(), session.csrf.encode()):
            log.warning("a form that is not of the portal's page was refused")
            text = "The form is not of this page, or of an earlier sign-in: begin again."
            raise Told(self.message("This was not taken", text, 403))
        return form

    def page(self, name: str, status: int = 200, *, session: Session | None = None, **values: object) -> Response:
        """Render the template ``name``.html."""
        who = session.sign_in.person if session else None
        text = self._templates.get_template(f"{name}.html").render(
            csrf=session.csrf if session else "",
            who=visible(who.subject) if who else "",
            where=visible(who.issuer) if who else "",
            **values,
        )
        return HTMLResponse(text, status)

    def message(self, title: str, text: str, status: int = 200) -> Response:
        """Say one thing."""
        return self.page("message", status, title=title, text=text)
