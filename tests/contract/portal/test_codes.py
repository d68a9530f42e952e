"""Programs get tokens by codes: for their own person, their own verifier and one resource, once."""

from __future__ import annotations

from dataclasses import replace

import httpx
import jwt
import psycopg
import pytest

from countersign.config.types import Portal
from countersign.identity import TokenVerifier, Unidentified
from countersign.identity.portal_keys import portal_keys
from countersign.model.principal import PrincipalKind
from countersign.model.revocation import Revocation, RevocationKind
from tests.contract.portal.world import (
    CLI,
    EDITOR,
    GATEWAY,
    ISSUER,
    KEY,
    ORDERS,
    SECOND,
    STOCK,
    Pkce,
    World,
    asked,
    query_of,
)


def verifier_of(world: World, client: httpx.AsyncClient) -> TokenVerifier:
    """What authz verifies with."""
    keys = portal_keys(KEY, world.config, lambda: world.now_us() / SECOND)
    clock = lambda: world.now_us() / SECOND  # noqa: E731
    return TokenVerifier(world.config.issuers, client, revocations=world.told, cached=0, own=keys, clock=clock)


async def test_a_person_signs_in_and_a_program_gets_a_token_for_one_target(world: World) -> None:
    tokens = await world.browser().let_in()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 600
    async with httpx.AsyncClient() as client:
        verifier = verifier_of(world, client)
        principal = await verifier.verify(f"Bearer {tokens['access_token']}", ORDERS)
        assert (principal.issuer, principal.subject) == (ISSUER, "alice"), "the same as with the issuer's own token"
        assert principal.groups == ("analysts",)
        assert principal.kind is PrincipalKind.PERSON
        with pytest.raises(Unidentified, match="audience"):
            await verifier.verify(f"Bearer {tokens['access_token']}", STOCK)


async def test_a_token_says_where_when_and_for_which_program(world: World) -> None:
    token = (await world.browser().let_in())["access_token"]
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["iss"] == f"{GATEWAY}/portal"
    assert (claims["idp"], claims["sub"], claims["aud"], claims["client_id"]) == (ISSUER, "alice", ORDERS, CLI)
    assert claims["exp"] - claims["iat"] == 600
    assert claims["sid"]
    assert claims["jti"]


async def test_nobody_is_let_in_without_being_asked(world: World) -> None:
    browser, pkce = world.browser(), Pkce()
    await browser.sign_in("alice")
    page = await browser.get(asked(pkce))
    assert page.status_code == 200
    assert "alice" in page.text
    assert ORDERS in page.text
    refused = await browser.agree(asked(pkce), answer="no")
    said = query_of(refused.headers["location"])
    assert said["error"] == "access_denied"
    assert said["iss"] == f"{GATEWAY}/portal"
    assert said["state"] == "the-state"
    assert "code" not in said


async def test_a_code_is_of_no_use_without_its_verifier_or_to_another_program(world: World) -> None:
    browser, pkce = world.browser(), Pkce()
    await browser.sign_in("alice")
    code = await browser.code(pkce)
    for stolen in (
        await browser.redeem(Pkce(), code),
        await browser.redeem(pkce, code, code_verifier=""),
        await browser.redeem(pkce, code, client_id=EDITOR),
        await browser.redeem(pkce, code, redirect_uri="http://127.0.0.1:8888/callback"),
        await browser.redeem(pkce, code[:-1] + ("A" if code[-1] != "A" else "B")),
    ):
        assert stolen.status_code == 400
        assert stolen.json()["error"] == "invalid_grant"
    assert (await browser.redeem(pkce, code)).status_code == 200, "tries without the verifier do not use it up"


async def test_a_code_that_comes_twice_ends_all_that_came_of_it(world: World) -> None:
    browser, pkce = world.browser(), Pkce()
    await browser.sign_in("alice")
    code = await browser.code(pkce)
    tokens = (await browser.redeem(pkce, code)).json()
    again = await browser.redeem(pkce, code)
    assert again.json()["error"] == "invalid_grant"
    assert (await browser.refresh(tokens["refresh_token"])).status_code == 400
    [revocation] = world.told.heard[0].revocations
    assert revocation.kind is RevocationKind.SIGN_IN
    assert revocation.issuer == ISSUER
    assert revocation.value == jwt.decode(tokens["access_token"], options={"verify_signature": False})["sid"]
    async with httpx.AsyncClient() as client:
        with pytest.raises(Unidentified, match="revoked"):
            await verifier_of(world, client).verify(f"Bearer {tokens['access_token']}", ORDERS)


async def test_a_code_is_over_in_a_minute(world: World) -> None:
    browser, pkce = world.browser(), Pkce()
    await browser.sign_in("alice")
    code = await browser.code(pkce)
    world.later_s = 61
    assert (await browser.redeem(pkce, code)).json()["error"] == "invalid_grant"


async def test_a_refresh_token_is_good_once_and_its_thief_ends_the_sign_in(world: World) -> None:
    browser = world.browser()
    first = await browser.let_in()
    second = (await browser.refresh(first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    stolen = await browser.refresh(first["refresh_token"])
    assert stolen.json()["error"] == "invalid_grant"
    assert (await browser.refresh(second["refresh_token"])).json()["error"] == "invalid_grant"
    assert world.told.heard[0].revocations[0].kind is RevocationKind.SIGN_IN


async def test_a_theft_that_cannot_be_told_is_not_answered_as_done(world: World) -> None:
    browser = world.browser()
    first = await browser.let_in()
    await browser.refresh(first["refresh_token"])
    world.told.away = True
    assert (await browser.refresh(first["refresh_token"])).status_code == 503
    world.told.away = False
    assert (await browser.refresh(first["refresh_token"])).status_code == 400
    assert len(world.told.heard) == 1


async def test_a_refresh_token_is_bound_to_its_program_and_ends_with_the_sign_in(world: World) -> None:
    browser = world.browser()
    tokens = await browser.let_in()
    assert (await browser.refresh(tokens["refresh_token"], client_id=EDITOR)).json()["error"] == "invalid_grant"
    world.later_s = 8 * 3600 - 60
    late = await browser.refresh(tokens["refresh_token"])
    assert 0 < late.json()["expires_in"] <= 61, "a token does not outlive the sign-in"
    world.later_s = 8 * 3600 + 1
    assert (await browser.refresh(late.json()["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_sign_in_for_the_gateway_is_for_all_its_targets_and_one_for_a_target_is_not(world: World) -> None:
    whole = await world.browser().let_in(resource="")
    assert jwt.decode(whole["access_token"], options={"verify_signature": False})["aud"] == GATEWAY
    browser = world.browser()
    narrowed = (await browser.refresh(whole["refresh_token"], resource=STOCK)).json()
    assert jwt.decode(narrowed["access_token"], options={"verify_signature": False})["aud"] == STOCK
    one = await browser.let_in(resource=ORDERS)
    for other in (STOCK, GATEWAY, "https://elsewhere.test/mcp"):
        assert (await browser.refresh(one["refresh_token"], resource=other)).json()["error"] == "invalid_target"
    assert (await browser.refresh(one["refresh_token"])).status_code == 200, "a refusal does not use it up"


async def test_tokens_outlive_a_change_of_keys_and_end_with_a_generation(world: World) -> None:
    browser = world.browser()
    tokens = await browser.let_in()
    token = f"Bearer {tokens['access_token']}"
    async with httpx.AsyncClient() as client:
        shown = {key["kid"] for key in (await world.browser().get("/portal/jwks")).json()["keys"]}
        assert jwt.get_unverified_header(token.removeprefix("Bearer "))["kid"] in shown
        portal = world.config.portal
        assert portal is not None
        world.config = replace(world.config, portal=replace(portal, key_generation=2))
        with pytest.raises(Unidentified):
            await verifier_of(world, client).verify(token, ORDERS)
    assert (await browser.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert "not signed in" in (await browser.get("/portal/")).text, "nor do others come of what is out"


async def test_a_token_that_lives_while_keys_change_is_good_to_its_end(world: World) -> None:
    portal = world.config.portal
    assert portal is not None
    world.later_s = portal.key_s - (world.now_us() / SECOND) % portal.key_s - 60
    browser = world.browser()
    before = await browser.let_in()
    world.later_s += 120
    after = (await browser.refresh(before["refresh_token"])).json()
    kids = [jwt.get_unverified_header(one["access_token"])["kid"] for one in (before, after)]
    assert kids[0] != kids[1]
    assert set(kids) <= {key["kid"] for key in (await browser.get("/portal/jwks")).json()["keys"]}
    async with httpx.AsyncClient() as client:
        for tokens in (before, after):
            principal = await verifier_of(world, client).verify(f"Bearer {tokens['access_token']}", ORDERS)
            assert principal.subject == "alice"


@pytest.mark.parametrize("kind", ["principal", "issuer before now", "sign-in"])
async def test_who_is_revoked_gets_no_more_tokens(world: World, kind: str) -> None:
    browser = world.browser()
    tokens = await browser.let_in()
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    revocation = {
        "principal": Revocation("1", RevocationKind.PRINCIPAL, ISSUER, "alice", "x", 0),
        "issuer before now": Revocation("1", RevocationKind.ISSUER, ISSUER, "", "x", 0, claims["iat"] + 5),
        "sign-in": Revocation("1", RevocationKind.SIGN_IN, ISSUER, claims["sid"], "x", 0),
    }[kind]
    world.told.known.put(revocation)
    world.later_s = 60
    assert (await browser.refresh(tokens["refresh_token"])).json()["error_description"] == "the sign-in was revoked"
    assert (await browser.get(asked(Pkce()))).status_code == 303, "and is not signed in any more"


async def test_while_nobody_knows_who_is_revoked_nobody_gets_tokens(world: World) -> None:
    browser = world.browser()
    tokens = await browser.let_in()
    world.told.fresh = False
    assert (await browser.refresh(tokens["refresh_token"])).status_code == 503
    assert (await browser.get("/portal/")).status_code == 503
    world.told.fresh = True
    assert (await browser.refresh(tokens["refresh_token"])).status_code == 200, "and what they had is not used up"


async def test_a_code_that_could_not_be_answered_is_not_used_up(world: World) -> None:
    browser, pkce = world.browser(), Pkce()
    await browser.sign_in("alice")
    code = await browser.code(pkce)
    assert (await browser.redeem(pkce, code, resource=STOCK)).json()["error"] == "invalid_target"
    world.told.fresh = False
    assert (await browser.redeem(pkce, code)).status_code == 503
    world.told.fresh = True
    assert (await browser.redeem(pkce, code)).status_code == 200, "who tries again is no thief"
    assert not world.told.heard


async def test_signing_out_ends_what_programs_have(world: World) -> None:
    browser = world.browser()
    tokens = await browser.let_in()
    fields = await browser.form(await browser.get("/portal/"), "/portal/sign-out")
    assert (await browser.post("/portal/sign-out", csrf="wrong")).status_code == 403
    assert (await browser.post("/portal/sign-out", **fields)).status_code == 200
    assert (await browser.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_program_gives_its_refresh_token_back(world: World) -> None:
    browser = world.browser()
    tokens = await browser.let_in()
    given = await browser.post("/portal/revoke", token=tokens["refresh_token"], client_id=CLI)
    assert given.status_code == 200
    assert (await browser.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await browser.post("/portal/revoke", token="none", client_id=CLI)).status_code == 200


async def test_groups_that_do_not_fit_are_said(world: World) -> None:
    browser, pkce = world.browser(), Pkce()
    await browser.sign_in("many", asked(pkce))
    answer = await browser.redeem(pkce, await browser.code(pkce))
    assert "groups do not fit" in answer.json()["error_description"]


async def test_where_people_sign_in_no_more_nobody_is_signed_in(world: World) -> None:
    browser = world.browser()
    tokens = await browser.let_in()
    world.config = replace(world.config, portal=Portal(oidc=()))
    assert (await browser.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_nothing_that_opens_anything_is_in_the_database(world: World, portal_dsn: str) -> None:
    browser, pkce = world.browser(), Pkce()
    await browser.sign_in("alice", asked(pkce))
    code = await browser.code(pkce)
    tokens = (await browser.redeem(pkce, code)).json()
    device = (await browser.post("/portal/device_authorization", client_id=CLI)).json()
    cookies = list(browser.http.cookies.jar)
    assert cookies
    secret = [code, tokens["access_token"], tokens["refresh_token"], pkce.verifier, device["device_code"]]
    secret += [device["user_code"].replace("-", ""), *(str(cookie.value) for cookie in cookies)]
    with psycopg.connect(portal_dsn) as connection:
        rows = [
            connection.execute(f"SELECT {table}::text FROM countersign_portal.{table}").fetchall()
            for table in ("sign_ins", "grants", "devices", "used")
        ]
    assert all(rows)
    assert [one for one in secret if one in str(rows)] == []
