"""A code of the demo issuer signs in whom it was granted for, at its client, once, soon, for whoever asked for it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from countersign.demo.codes import CODE_LIFE_S, Client, challenge_of
from countersign.demo.issuer import Issuer

ISSUER = "http://issuer.test"
BACK = "https://gateway.test/approvals/signed-in"
VERIFIER = "v" * 43
SECRET = "s:" + "%" * 8


class World:
    def __init__(self) -> None:
        self.now_s = 1_000_000.0
        self.issuer = Issuer(ISSUER, clock=lambda: self.now_s)
        self.issuer.codes.clients["page"] = Client("page", (BACK,))
        self.issuer.codes.clients["shop"] = Client("shop", (BACK,), SECRET)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.issuer.app()), base_url=ISSUER)

    async def authorize(self, **changed: str) -> httpx.Response:
        query = {
            "response_type": "code",
            "client_id": "page",
            "redirect_uri": BACK,
            "scope": "openid",
            "state": "s-1",
            "nonce": "n-1",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
            "login_hint": "alice",
        }
        return await self.client.get("/authorize", params={**query, **changed})

    async def code(self, **changed: str) -> str:
        return parse_qs(urlsplit((await self.authorize(**changed)).headers["location"]).query)["code"][0]

    async def redeem(self, granted: str, **changed: str) -> httpx.Response:
        form = {"grant_type": "authorization_code", "code": granted, "redirect_uri": BACK, "code_verifier": VERIFIER}
        return await self.client.post("/token", data={**form, "client_id": "page", **changed})

    async def redeem_for(self, client_id: str, secret: str, granted: str) -> httpx.Response:
        form = {"grant_type": "authorization_code", "code": granted, "redirect_uri": BACK, "code_verifier": VERIFIER}
        return await self.client.post("/token", data=form, auth=(client_id, secret))


@pytest.fixture
def world() -> World:
    return World()


async def test_a_code_signs_in_once(world: World) -> None:
    answer = await world.authorize()
    location = urlsplit(answer.headers["location"])
    query = parse_qs(location.query)
    assert (answer.status_code, query["state"], query["iss"]) == (302, ["s-1"], [ISSUER])
    token = (await world.redeem(query["code"][0])).json()["id_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["sub"], claims["aud"], claims["nonce"]) == ("alice", "page", "n-1")
    assert "nbf" not in claims
    assert (await world.redeem(query["code"][0])).json()["error"] == "invalid_grant"


async def test_a_client_with_a_secret_must_know_it(world: World) -> None:
    code = await world.code(client_id="shop")
    assert (await world.redeem(code, client_id="shop")).status_code == 401
    # As RFC 6749 says, both are form-encoded before they are joined.
    assert (await world.redeem_for("shop", "guess", code)).status_code == 401
    assert (await world.redeem_for("shop", "s%3A" + "%25" * 8, code)).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [{"code_verifier": "w" * 43}, {"redirect_uri": BACK + "/"}, {"code": "guess"}],
    ids=["another verifier", "another place", "another code"],
)
async def test_a_code_is_good_for_nothing_else(world: World, changed: dict[str, str]) -> None:
    assert (await world.redeem(await world.code(), **changed)).json()["error"] == "invalid_grant"


async def test_a_code_is_not_good_for_another_client_nor_for_long(world: World) -> None:
    assert (await world.redeem(await world.code(client_id="shop"))).json()["error"] == "invalid_grant"
    code = await world.code()
    world.now_s += CODE_LIFE_S
    assert (await world.redeem(code)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "email"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"login_hint": "mallory"}, "access_denied"),
    ],
)
async def test_what_is_refused_is_said_to_the_client(world: World, changed: dict[str, str], error: str) -> None:
    location = (await world.authorize(**changed)).headers["location"]
    assert location.startswith(BACK)
    assert parse_qs(urlsplit(location).query)["error"] == [error]


@pytest.mark.parametrize("changed", [{"client_id": "other"}, {"redirect_uri": BACK + "?x=1"}, {"redirect_uri": ""}])
async def test_nobody_is_sent_to_a_place_that_is_not_registered(world: World, changed: dict[str, str]) -> None:
    answer = await world.authorize(**changed)
    assert (answer.status_code, "location" in answer.headers) == (400, False)


async def test_who_does_not_say_who_they_are_is_asked(world: World) -> None:
    answer = await world.authorize(login_hint="", state='"><script>')
    assert "login_hint=bob" in answer.text
    assert "<script>" not in answer.text
