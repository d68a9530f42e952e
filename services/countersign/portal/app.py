"""The portal's paths, and those of its rooms."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from countersign.config import GatewayConfig
from countersign.identity import TokenVerifier
from countersign.identity.sign_in import OidcClient
from countersign.portal import devices
from countersign.portal.authorize import Authorize
from countersign.portal.desk import HOME, Desk
from countersign.portal.devices import Devices
from countersign.portal.errors import OAuthRefused, Told
from countersign.portal.hears.applying import Applying
from countersign.portal.issuing import Issuing
from countersign.portal.metadata import OAUTH_PATH, OPENID_PATH, OTHER_OPENID_PATH, metadata
from countersign.portal.ports import Grant, Room, Shared
from countersign.portal.signing_in import BEGIN, CALLBACK, SigningIn
from countersign.portal.store import PostgresSignIns
from countersign.portal.tokens import Sealed, Tokens
from countersign.portal.used import UsedOnce
from countersign.runtime.guarded import Guarded
from countersign.runtime.postgres import DatabaseUnavailable
from countersign.runtime.revocations import Revocations

HINT = "Nobody signs in here: gateway.yaml has no `portal`.\n"

Handler = Callable[[Request], Awaitable[Response]]


class Portal:
    """The portal as an application; there is nothing but a hint while gateway.yaml has no ``portal``.

    ``key`` is the deployment's, ``config`` returns the version in force. ``now_us`` returns microseconds since the
    epoch, ``monotonic`` seconds, ``random`` a text that nobody guesses, ``letters`` so many letters of
    ``devices.LETTERS``. ``rooms`` make what else there is of what they share.
    """

    def __init__(
        self,
        *,
        key: bytes,
        config: Callable[[], GatewayConfig],
        store: PostgresSignIns,
        used: UsedOnce,
        revocations: Revocations,
        applying: Applying,
        client: httpx.AsyncClient,
        now_us: Callable[[], int],
        monotonic: Callable[[], float],
        random: Callable[[], str],
        letters: Callable[[int], str],
        rooms: Sequence[Callable[[Shared], Room]] = (),
    ) -> None:
        self._config = config
        self._known: GatewayConfig | None = None
        self._verifier = TokenVerifier((), client, revocations=revocations, cached=0)
        self._issuing = Issuing(key, config, revocations, now_us, random)
        self._desk = Desk(key, config, store, self._issuing, now_us, random)
        oidc, sealed = OidcClient(client, self._verifier, monotonic), Sealed(key, lambda: self._issuing.series, now_us)
        self._signing_in = SigningIn(key, self._desk, self._issuing, oidc, used, now_us, random)
        self._authorize = Authorize(self._desk, self._signing_in, self._issuing, store, sealed, now_us, random)
        self._devices = Devices(
            key, self._desk, self._signing_in, self._issuing, store, sealed, now_us, random, letters
        )
        shared = Shared(
            key=key,
            config=config,
            used=used,
            client=client,
            verifier=self._verifier,
            revocations=revocations,
            applying=applying,
            desk=self._desk,
            issuing=self._issuing,
            now_us=now_us,
            monotonic=monotonic,
            random=random,
        )
        self._rooms = [make(shared) for make in rooms]
        grants: dict[str, Grant] = {devices.GRANT: self._devices.poll}
        for room in self._rooms:
            grants |= room.grants()
        self._tokens = self._devices.tokens = Tokens(self._issuing, store, sealed, applying, grants, now_us)
        self._style = (files("countersign.portal") / "templates" / "style.css").read_text("utf-8")

    def app(self, token: str = "") -> ASGIApp:
        """Return the application (ASGI 3.0), for those who bring the service ``token`` unless that is empty."""
        page, oauth = self._page, self._oauth
        routes = [
            Route(HOME, page(self._home)),
            Route("/portal", page(self._home)),
            Route("/portal/style.css", self._css),
            Route("/portal/jwks", oauth(self._jwks)),
            Route(OPENID_PATH, oauth(self._metadata)),
            Route(OAUTH_PATH, oauth(self._metadata)),
            Route(OTHER_OPENID_PATH, oauth(self._metadata)),
            Route("/portal/authorize", page(self._authorize.ask), methods=["GET"]),
            Route("/portal/authorize", page(self._authorize.answer), methods=["POST"]),
            Route(BEGIN, page(self._signing_in.begin), methods=["GET"]),
            Route(f"{CALLBACK}/{{issuer}}", page(self._signing_in.end)),
            Route("/portal/token", oauth(self._tokens.token), methods=["POST"]),
            Route("/portal/revoke", oauth(self._tokens.revoke), methods=["POST"]),
            Route("/portal/device_authorization", oauth(self._devices.ask), methods=["POST"]),
            Route("/portal/device", page(self._devices.see), methods=["GET"]),
            Route("/portal/device", page(self._devices.enter), methods=["POST"]),
            Route("/portal/device/decide", page(self._devices.decide), methods=["POST"]),
            Route("/portal/sign-out", page(self._out), methods=["POST"]),
        ]
        for room in self._rooms:
            routes += [self._in_room(route) for route in room.routes()]
        app = Starlette(routes=routes, exception_handlers={HTTPException: _plain})
        app.router.redirect_slashes = False
        return Guarded(app, self._is_open, token, HINT)

    async def close(self) -> None:
        """Let go of the rooms."""
        for room in self._rooms:
            await room.close()

    async def _home(self, request: Request) -> Response:
        session = await self._desk.session(request)
        return (
            self._signing_in.ways(HOME, "You are not signed in.")
            if session is None
            else self._desk.page("home", session=session)
        )

    async def _out(self, request: Request) -> Response:
        session = await self._desk.session(request)
        if session is None:
            return self._desk.message("Signed out", "You are not signed in here.")
        await self._desk.form(request, session)
        return await self._desk.end(session)

    async def _css(self, _: Request) -> Response:
        return Response(self._style, media_type="text/css")

    async def _jwks(self, _: Request) -> Response:
        return JSONResponse(self._issuing.keys.jwks())

    async def _metadata(self, _: Request) -> Response:
        return JSONResponse(metadata(self._config().url, lambda: self._tokens.grant_types))

    def _in_room(self, route: Route) -> Route:
        methods = sorted((route.methods or {"GET"}) - {"HEAD"})
        return Route(route.path, self._page(route.endpoint), methods=methods)

    def _page(self, handler: Handler) -> Handler:
        """What goes wrong at a page is said to a person."""

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except Told as told:
                return told.response
            except OAuthRefused as error:
                return self._desk.message("Not so", f"{error.description}.", error.status)
            except DatabaseUnavailable:
                return self._desk.message("Not now", "The database does not answer: try again.", 503)

        return answer

    def _oauth(self, handler: Handler) -> Handler:
        """What goes wrong at an endpoint is said to a program (RFC 6749, section 5.2)."""

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except OAuthRefused as error:
                said = {"error": error.code, "error_description": error.description}
                return JSONResponse(said, error.status)
            except DatabaseUnavailable:
                said = {"error": "temporarily_unavailable", "error_description": "the database does not answer"}
                return JSONResponse(said, 503)

        return answer

    def _is_open(self) -> bool:
        config = self._config()
        if config is not self._known:
            self._known = config
            self._verifier.configure(config.issuers, cached=0, machines=config.machines)
        return config.portal is not None


async def _plain(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    return PlainTextResponse("There is nothing here.\n" if status == 404 else "Not so.\n", status, headers)
