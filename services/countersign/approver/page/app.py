"""The page's paths. Whoever is not signed in sees nothing but the sign-in.

What is decided here goes the same way as by gRPC: through ``Deciding``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from countersign.approver.deciding import Deciding
from countersign.approver.page.cookies import Cookies
from countersign.approver.page.decisions import Decisions
from countersign.approver.page.desk import Desk, Told
from countersign.approver.page.links import Links, UsedLinks
from countersign.approver.page.rendering import HINT, Rendering
from countersign.approver.page.shown import line
from countersign.approver.page.signing_in import SIGNED_IN_PATH, SigningIn
from countersign.approver.page.slack import Interactions
from countersign.approver.ports import NotRecordedYet
from countersign.config import GatewayConfig, Issuer
from countersign.config.types import SlackChannel
from countersign.identity import TokenVerifier
from countersign.identity.sign_in import OidcClient
from countersign.runtime.guarded import Guarded
from countersign.runtime.postgres import DatabaseUnavailable
from countersign.runtime.revocations import Revocations

_REFRESH_S = 15

Handler = Callable[[Request], Awaitable[Response]]


class Pages:
    """The page as an application; there is nothing but a hint while gateway.yaml has no ``approvals.sign_in``.

    ``revocations`` are asked about everybody, each time. ``key`` is the deployment's, ``config`` returns the version in
    force, ``now_us`` microseconds since the epoch, ``monotonic`` seconds, ``random`` a text that nobody guesses.
    """

    def __init__(
        self,
        *,
        key: bytes,
        config: Callable[[], GatewayConfig],
        deciding: Deciding,
        used: UsedLinks,
        revocations: Revocations,
        client: httpx.AsyncClient,
        now_us: Callable[[], int],
        monotonic: Callable[[], float],
        random: Callable[[], str],
    ) -> None:
        self._config = config
        self._deciding = deciding
        self._verifier = TokenVerifier((), client, revocations=revocations, cached=0)
        self._issuers: tuple[Issuer, ...] = ()
        sealing, oidc = Cookies(key), OidcClient(client, self._verifier, monotonic)
        self._desk = Desk(config, sealing, Rendering(), revocations, now_us)
        self._signing_in = SigningIn(self._desk, sealing, oidc, config, random)
        self._decisions = Decisions(self._desk, deciding, Links(key, lambda: config().url), used)
        self._interactions = Interactions(self._slack_channels, now_us, monotonic)
        self._style = (files("countersign.approver.page") / "templates" / "style.css").read_text("utf-8")

    def app(self, token: str = "") -> ASGIApp:
        """Return the application (ASGI 3.0), for those who bring the service ``token`` unless that is empty."""
        one = "/approvals/{approval_id}"
        routes = [
            Route("/approvals", self._home),
            Route("/approvals/", self._told(self._list)),
            Route("/approvals/style.css", self._css),
            Route("/approvals/sign-in", self._told(self._signing_in.begin)),
            Route(SIGNED_IN_PATH, self._told(self._signing_in.end)),
            Route("/approvals/sign-out", self._told(self._signing_in.out), methods=["POST"]),
            Route("/approvals/slack/interactions", self._interactions.answer, methods=["POST"]),
            Route(one, self._told(self._decisions.see)),
            Route(f"{one}/decide", self._told(self._decisions.decide), methods=["POST"]),
            Route(f"{one}/break-glass", self._told(self._decisions.break_glass), methods=["POST"]),
            Route(f"{one}/cancel", self._told(self._decisions.cancel), methods=["POST"]),
        ]
        app = Starlette(routes=routes, exception_handlers={HTTPException: _plain})
        app.router.redirect_slashes = False
        return Guarded(app, self._is_open, token, HINT)

    async def _list(self, request: Request) -> Response:
        session = self._desk.session(request)
        who, now_us = session.principal, self._desk.now_us()
        to_decide = await self._deciding.listed(who, to_decide=True)
        mine = await self._deciding.listed(who, mine=True)
        return self._desk.rendering.page(
            "list",
            session=session,
            refresh_s=_REFRESH_S,
            to_decide=[line(one, now_us) for one in to_decide],
            mine=[line(one, now_us) for one in mine],
        )

    async def _home(self, _: Request) -> Response:
        return RedirectResponse(f"{self._desk.url}/approvals/", 303)

    async def _css(self, _: Request) -> Response:
        return Response(self._style, media_type="text/css")

    def _told(self, handler: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except Told as told:
                return told.response
            except NotRecordedYet as error:
                return self._desk.rendering.message("Not now", f"{error}.", 503)
            except DatabaseUnavailable:
                text = "The database does not answer. Nothing is lost: try again."
                return self._desk.rendering.message("Not now", text, 503)

        return answer

    def _is_open(self) -> bool:
        config = self._config()
        if config.issuers is not self._issuers:
            self._issuers = config.issuers
            self._verifier.configure(config.issuers, cached=0, machines=config.machines)
        return config.approvals.sign_in is not None

    def _slack_channels(self) -> list[SlackChannel]:
        channels = self._config().approvals.channels
        return [channel.how for channel in channels if isinstance(channel.how, SlackChannel)]


async def _plain(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    return PlainTextResponse("There is nothing here.\n" if status == 404 else "Not so.\n", status, headers)
