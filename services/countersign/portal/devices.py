"""Devices without a browser are let in by somebody who has one (RFC 8628)."""

from __future__ import annotations

import hmac
import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from countersign.model.visible import visible
from countersign.portal.clients import client_of
from countersign.portal.desk import Desk, Session
from countersign.portal.errors import TOO_MANY, OAuthRefused
from countersign.portal.issuing import Issuing, TokenAnswer
from countersign.portal.signing_in import SigningIn
from countersign.portal.spans import in_words
from countersign.portal.store import Device, Granted, NotGood, PostgresSignIns, SignIn, TooMany
from countersign.portal.tokens import Sealed, Tokens, token_form
from countersign.runtime.sealing import derived

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
GOOD_S = 600
INTERVAL_S = 5
# Without vowels, so that no code is a word; 20 ** 8 of them, of which somebody may try ten in ten minutes.
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_LENGTH = 8
MOST_WAITING = 1_000
TRIES, ASKS, SPAN_S = 10, 20, 600
POLLS = 4
"""How often a device may ask within ``INTERVAL_S`` before nobody looks any more."""
_SITE_BITS = 48
_S = 1_000_000


class Rates:
    """How often each of many did something in the last ``span_s``. What it remembers is bounded."""

    def __init__(self, most: int, span_s: int, now_us: Callable[[], int], remembered: int = 10_000) -> None:
        self._most = most
        self._span_us = span_s * _S
        self._now_us = now_us
        self._remembered = remembered
        self._began: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def full(self, who: str) -> bool:
        """Whether ``who`` did it as often as is allowed."""
        began_us, times = self._began.get(who, (0, 0))
        return times >= self._most and self._now_us() - began_us < self._span_us

    def count(self, who: str) -> None:
        """Count that ``who`` did it."""
        began_us, times = self._began.pop(who, (0, 0))
        fresh = self._now_us() - began_us < self._span_us
        self._began[who] = (began_us, times + 1) if fresh else (self._now_us(), 1)
        while len(self._began) > self._remembered:
            self._began.popitem(last=False)


class Devices:
    """Answers devices, and the people who let them in. ``letters`` returns so many of ``LETTERS``, by chance."""

    def __init__(
        self,
        key: bytes,
        desk: Desk,
        signing_in: SigningIn,
        issuing: Issuing,
        store: PostgresSignIns,
        sealed: Sealed,
        now_us: Callable[[], int],
        random: Callable[[], str],
        letters: Callable[[int], str],
    ) -> None:
        self._key = derived(key, b"countersign portal user codes", 32)
        self._desk = desk
        self._signing_in = signing_in
        self._issuing = issuing
        self._store = store
        self._sealed = sealed
        self._now_us = now_us
        self._random = random
        self._letters = letters
        self._tries = Rates(TRIES, SPAN_S, now_us)
        self._asks = Rates(ASKS, SPAN_S, now_us)
        self._polls = Rates(POLLS, INTERVAL_S, now_us)
        self.tokens: Tokens | None = None

    async def ask(self, request: Request) -> Response:
        """Give a device its codes (section 3.2)."""
        form = await token_form(request)
        client = client_of(self._issuing.portal, form.get("client_id", ""))
        if client is None:
            raise OAuthRefused("invalid_client", "this program is not known here", 401)
        resource = self._issuing.resource_of([form["resource"]] if form.get("resource") else [])
        source = site_of(request)
        if self._asks.full(source):
            raise OAuthRefused("slow_down", "too many devices asked from there: try later", 429)
        self._asks.count(source)
        now_us, user_code = self._now_us(), self._letters(_LENGTH)
        until_us = now_us + GOOD_S * _S
        device = Device(self._random(), client.client_id, resource, now_us, until_us, 0, INTERVAL_S, "asked", None)
        if not await self._store.ask(device, self._marked(user_code), MOST_WAITING):
            raise OAuthRefused("temporarily_unavailable", "too many devices wait to be let in: try later", 503)
        place, shown = f"{self._desk.url}/portal/device", f"{user_code[:4]}-{user_code[4:]}"
        return JSONResponse(
            {
                "device_code": self._sealed.device(device.device_id, until_us),
                "user_code": shown,
                "verification_uri": place,
                "verification_uri_complete": f"{place}?user_code={shown}",
                "expires_in": GOOD_S,
                "interval": INTERVAL_S,
            }
        )

    async def poll(self, form: Mapping[str, str]) -> TokenAnswer:
        """Answer a device that asks how it stands (sections 3.4 and 3.5)."""
        client = client_of(self._issuing.portal, form.get("client_id", ""))
        if client is None:
            raise OAuthRefused("invalid_client", "this program is not known here", 401)
        # What cannot be answered must not use the code up.
        self._issuing.require_ready()
        asked = [form["resource"]] if form.get("resource") else []
        self._issuing.resource_of(asked)
        try:
            device_id = self._sealed.open_device(form.get("device_code", ""))
            if self._polls.full(device_id):
                # Each look is a commit, and anybody can ask for a device.
                raise OAuthRefused("slow_down", f"ask every {INTERVAL_S} seconds")
            self._polls.count(device_id)
            device, slower = await self._store.poll(device_id, client.client_id, self._now_us(), INTERVAL_S)
        except NotGood:
            raise OAuthRefused("expired_token", "the device code is not good here: begin again") from None
        if slower:
            raise OAuthRefused("slow_down", f"ask every {device.interval_s} seconds")
        if self._now_us() >= device.until_us or device.state == "taken":
            raise OAuthRefused("expired_token", "the device code is over, or was used: begin again")
        if device.state == "asked":
            raise OAuthRefused("authorization_pending", "nobody let the device in yet")
        sign_in = await self._store.find(device.sign_in_id or "", self._now_us())
        if device.state != "agreed" or sign_in is None:
            raise OAuthRefused("access_denied", "the device was not let in")
        return await self._granted(device, sign_in, asked)

    async def see(self, request: Request) -> Response:
        """Ask for the code that the device shows."""
        session = await self._desk.session(request)
        user_code = _plain(request.query_params.get("user_code", ""))
        if session is None:
            return self._signing_in.ways("/portal/device" + (f"?user_code={user_code}" if user_code else ""))
        return self._page(session, "", user_code)

    async def enter(self, request: Request) -> Response:
        """Show what the device of a code asks for."""
        session, form = await self._answered(request)
        device, user_code = await self._found(session, form)
        return self._desk.page(
            "device_confirm",
            session=session,
            user_code=user_code,
            shown_code=f"{user_code[:4]}-{user_code[4:]}",
            program=visible(device.client_id),
            resource=device.resource,
            everything=device.resource == self._desk.url,
            lasts=in_words(session.sign_in.until_us - self._now_us()),
            asked=in_words(self._now_us() - device.asked_us),
        )

    async def decide(self, request: Request) -> Response:
        """Let it in, or not."""
        session, form = await self._answered(request)
        device, _ = await self._found(session, form)
        agreed = form.get("answer") == "yes"
        sign_in_id = session.sign_in.sign_in_id
        if not await self._store.decide(device.device_id, sign_in_id, agreed=agreed, now_us=self._now_us()):
            return self._page(session, "The code is over, or was answered already.", "")
        if agreed:
            return self._desk.message("The device is let in", "Go on there. You can close this page.")
        return self._desk.message("The device is not let in", "You can close this page.")

    async def _granted(self, device: Device, sign_in: SignIn, asked: list[str]) -> TokenAnswer:
        if self.tokens is None:
            raise RuntimeError("the token endpoint was not joined")
        resource = self._issuing.resource_of(asked, device.resource)
        granted = Granted(
            grant_id=self._random(),
            sign_in=sign_in,
            client_id=device.client_id,
            resource=device.resource,
            redirect_uri="",
            challenge="",
            code_until_us=0,
            redeemed=True,
            refreshes=0,
            ended=False,
        )
        try:
            await self._store.grant(granted, self._now_us())
        except TooMany:
            raise OAuthRefused("access_denied", TOO_MANY) from None
        return self.tokens.answer(granted, resource, 0)

    async def _answered(self, request: Request) -> tuple[Session, dict[str, str]]:
        session = await self._desk.session(request)
        if session is None:
            raise OAuthRefused("login_required", "nobody is signed in in this browser: begin again", 403)
        return session, await self._desk.form(request, session)

    async def _found(self, session: Session, form: Mapping[str, str]) -> tuple[Device, str]:
        """Return the device of a code; whoever tries too many codes is not told any more."""
        person = session.sign_in.person
        who = f"{person.issuer} {person.subject}"
        if self._tries.full(who):
            raise OAuthRefused("slow_down", "too many wrong codes: try again in ten minutes", 429)
        user_code = _plain(form.get("user_code", ""))
        device = await self._store.waiting(self._marked(user_code), self._now_us()) if user_code else None
        if device is None:
            self._tries.count(who)
            raise OAuthRefused("invalid_request", "no device waits with this code: it may be over", 404)
        return device, user_code

    def _page(self, session: Session, text: str, user_code: str) -> Response:
        return self._desk.page("device", session=session, text=text, user_code=user_code)

    def _marked(self, user_code: str) -> bytes:
        return hmac.digest(self._key, user_code.encode(), "sha256")


def site_of(request: Request) -> str:
    """Return where a request came from, as Envoy says, which appends the address that it saw itself.

    Of IPv6 it is the network (/48): who has one has as many addresses as they like.
    """
    forwarded = request.headers.getlist("x-forwarded-for")
    text = forwarded[-1].rpartition(",")[2].strip() if forwarded else ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or ipaddress.IPv6Network((int(address), _SITE_BITS), strict=False))


def _plain(user_code: str) -> str:
    """Return a code however somebody typed it; empty when it is none."""
    code = "".join(one for one in user_code[:40].upper() if one not in "- ")
    return code if len(code) == _LENGTH and set(code) <= set(LETTERS) else ""
