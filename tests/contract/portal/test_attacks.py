"""What somebody would try at the portal who is not the person, or not the program, that they seem to be."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import httpx
import psycopg
import pytest

from countersign.portal import store
from countersign.portal.clients import client_of, may_be_sent_to
from countersign.portal.devices import GRANT
from countersign.portal.signing_in import callback_of
from countersign.portal.tokens import Sealed
from tests.contract.portal.world import (
    BACK,
    CLI,
    EDITOR,
    GATEWAY,
    ISSUER,
    KEY,
    ORDERS,
    SECOND,
    Pkce,
    World,
    asked,
    config,
    query_of,
)
from tests.support.forms import Forms

REDIRECTS = {
    "another host": "https://evil.test/callback",
    "userinfo": "http://127.0.0.1:80@evil.test/callback",
    "userinfo before it": "http://evil.test@127.0.0.1/callback",
    "localhost": "http://localhost:7777/callback",
    "a name that begins so": "http://127.0.0.1.evil.test/callback",
    "another loopback": "http://127.0.0.2:7777/callback",
    "a number": "http://2130706433:7777/callback",
    "https": "https://127.0.0.1:7777/callback",
    "fragment": BACK + "#x",
    "query": BACK + "?x=1",
    "another path": "http://127.0.0.1:7777/other",
    "dots": "http://127.0.0.1:7777/callback/../x",
    "backslash": "http://127.0.0.1:7777\\@evil.test/callback",
    "line end": BACK + "\r\nx: y",
    "no port after all": "http://127.0.0.1:/callback",
    "port too high": "http://127.0.0.1:65536/callback",
    "port zero": "http://127.0.0.1:0/callback",
    "script": "javascript:alert(1)",
    "data": "data:text/html,x",
    "unicode digits": "http://127.0.0.1:\u0667\u0667/callback",
    "nothing": "",
    "upper case": BACK.upper(),
    "long": BACK + "x" * 600,
}


@pytest.mark.parametrize("how", REDIRECTS)
async def test_codes_are_sent_nowhere_else(world: World, how: str) -> None:
    path = "/portal/authorize?" + urlencode(
        {
            "response_type": "code",
            "client_id": CLI,
            "redirect_uri": REDIRECTS[how],
            "resource": ORDERS,
            "code_challenge": Pkce().challenge,
            "code_challenge_method": "S256",
        }
    )
    answer = await world.browser().get(path)
    assert answer.status_code == 400, "said on our page, and to the person alone"
    assert "location" not in answer.headers


def test_a_listed_redirect_fits_as_it_stands_and_loopback_on_any_port() -> None:
    portal = config().portal
    assert portal is not None
    editor, cli = client_of(portal, EDITOR), client_of(portal, CLI)
    assert editor is not None
    assert cli is not None
    assert may_be_sent_to(editor, "https://editor.test/back?x=1")
    for other in ("https://editor.test/back", "https://editor.test/back?x=1&y=2", "https://editor.test:8443/back?x=1"):
        assert not may_be_sent_to(editor, other)
    for port in ("", ":1", ":65535"):
        assert may_be_sent_to(cli, f"http://127.0.0.1{port}/callback")
        assert may_be_sent_to(cli, f"http://[::1]{port}/callback")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"resource": "https://elsewhere.test/mcp"}, "invalid_target"),
        ({"resource": f"{GATEWAY}/none/mcp"}, "invalid_target"),
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
        ({"prompt": "none"}, "login_required"),
    ],
    ids=lambda one: "" if isinstance(one, str) else "-".join(one),
)
async def test_a_request_that_is_not_in_order_is_answered_to_the_program(
    world: World, changed: dict[str, str], code: str
) -> None:
    answer = await world.browser().get(asked(Pkce(), **changed))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(BACK)
    said = query_of(answer.headers["location"])
    assert (said["error"], said["state"], said["iss"]) == (code, "the-state", f"{GATEWAY}/portal")


async def test_what_is_said_twice_is_refused(world: World) -> None:
    browser = world.browser()
    assert (await browser.get(asked(Pkce()) + f"&redirect_uri={BACK}")).status_code == 400
    two = await browser.get(asked(Pkce()) + "&" + urlencode({"resource": f"{GATEWAY}/stock/mcp"}))
    assert query_of(two.headers["location"])["error"] == "invalid_target"


@pytest.mark.parametrize("where", ["https://evil.test/", "//evil.test", "/portal/../x", "/\\evil.test", "/approvals/"])
async def test_signing_in_leads_nowhere_else(world: World, where: str) -> None:
    browser = world.browser()
    begin = "/portal/oidc/begin?" + urlencode({"at": ISSUER, "then": where})
    assert (await browser.sign_in("alice", begin)).headers["location"] == f"{GATEWAY}/portal/"


async def test_an_answer_counts_only_in_the_browser_that_asked_and_once(world: World) -> None:
    mallory, alice = world.browser(), world.browser()
    answer = await mallory.back_from_issuer(await mallory.to_issuer(), "bob")
    await alice.to_issuer()
    assert (await alice.get(answer)).status_code == 400, "somebody else's sign-in is forced on nobody"
    assert (await mallory.get(answer)).status_code == 303
    assert (await mallory.get(answer)).status_code == 400


async def test_an_answer_with_its_cookie_kept_counts_once(world: World) -> None:
    browser = world.browser()
    answer = await browser.back_from_issuer(await browser.to_issuer(), "alice")
    kept = dict(browser.http.cookies)
    assert (await browser.get(answer)).status_code == 303
    async with httpx.AsyncClient(transport=world.app, base_url=GATEWAY, cookies=kept) as thief:
        again = await thief.get(answer)
    assert again.status_code == 403
    assert "used already" in again.text


async def test_an_answer_counts_once_also_where_its_issuer_takes_the_code_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = world.browser()
    answer = await browser.back_from_issuer(await browser.to_issuer(), "alice")
    redeem = world.issuer.codes.redeem
    codes = dict(vars(world.issuer.codes)["_codes"])

    def again(*args: Any, **more: Any) -> Any:
        vars(world.issuer.codes)["_codes"].update(codes)
        return redeem(*args, **more)

    monkeypatch.setattr(world.issuer.codes, "redeem", again)
    kept = dict(browser.http.cookies)
    assert (await browser.get(answer)).status_code == 303
    async with httpx.AsyncClient(transport=world.app, base_url=GATEWAY, cookies=kept) as thief:
        assert "the answer was used already" in (await thief.get(answer)).text


async def test_who_signs_in_nowhere_has_the_portal_keep_nothing(world: World, portal_dsn: str) -> None:
    browser = world.browser()
    async with await psycopg.AsyncConnection.connect(portal_dsn) as database:
        count = b"SELECT count(*) FROM countersign_portal.used"
        before = await (await database.execute(count)).fetchone()
        for said in ("code=guessed", "error=access_denied"):
            state = query_of(await browser.to_issuer())["state"]
            assert (await browser.get(f"{callback_of(ISSUER)}?{said}&state={state}")).status_code == 403
        assert await (await database.execute(count)).fetchone() == before


@pytest.mark.parametrize("said", ["iss=https://evil.test", "state=other", "code=other", "error=x&error=y"])
async def test_an_answer_that_is_mixed_up_signs_nobody_in(world: World, said: str) -> None:
    browser = world.browser()
    answer = await browser.back_from_issuer(await browser.to_issuer(), "alice")
    assert (await browser.get(f"{answer}&{said}")).status_code in (400, 403)
    assert (await browser.get("/portal/")).status_code == 200
    assert "not signed in" in (await browser.get("/portal/")).text


async def test_an_answer_of_one_issuer_is_not_taken_for_another(world: World) -> None:
    browser = world.browser()
    answer = await browser.back_from_issuer(await browser.to_issuer(), "alice")
    assert (await browser.get(answer.replace("/callback/issuer.test", "/callback/other.test"))).status_code == 400


async def test_a_host_that_the_browser_says_chooses_no_issuer(world: World) -> None:
    browser = world.browser()
    answer = await browser.back_from_issuer(await browser.to_issuer(), "alice")
    elsewhere = answer.replace("/callback/issuer.test", "/callback/other.test")
    host = f"gateway.test{callback_of(ISSUER)}?"
    assert (await browser.http.get(elsewhere, headers={"host": host})).status_code == 400


async def test_signing_in_makes_a_new_session_whatever_was_there(world: World) -> None:
    browser = world.browser()
    await browser.sign_in("bob")
    name = "__Host-countersign-portal"
    planted = browser.http.cookies[name]
    await browser.sign_in("alice")
    assert browser.http.cookies[name] != planted
    async with httpx.AsyncClient(transport=world.app, base_url=GATEWAY, cookies={name: planted}) as other:
        assert "alice" not in (await other.get("/portal/")).text


async def test_cookies_are_for_this_host_and_no_script(world: World) -> None:
    browser = world.browser()
    begun = await browser.get("/portal/oidc/begin?at=" + ISSUER)
    done = await browser.sign_in("alice")
    for cookie in (*begun.headers.get_list("set-cookie"), *done.headers.get_list("set-cookie")):
        assert cookie.startswith("__Host-")
        for flag in ("HttpOnly", "Secure", "Path=/", "SameSite=lax"):
            assert flag in cookie
        assert "Domain" not in cookie


async def test_forms_of_other_pages_let_nobody_in(world: World) -> None:
    browser, pkce = world.browser(), Pkce()
    await browser.sign_in("alice")
    fields = await browser.form(await browser.get(asked(pkce)), "/portal/authorize")
    for changed in ({"csrf": ""}, {"csrf": "x" * 43}):
        assert (await browser.post("/portal/authorize", **{**fields, "answer": "yes", **changed})).status_code == 403
    cross = await browser.http.post(
        "/portal/authorize", data={**fields, "answer": "yes"}, headers={"sec-fetch-site": "cross-site"}
    )
    assert cross.status_code == 403
    other = world.browser()
    await other.sign_in("bob")
    assert (await other.post("/portal/authorize", **{**fields, "answer": "yes"})).status_code == 403


async def test_who_agrees_on_and_on_fills_no_table(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_GRANTS", 2)
    browser, pkce = world.browser(), Pkce()
    await browser.sign_in("bob")
    assert (await browser.redeem(pkce, await browser.code(pkce))).status_code == 200
    await browser.code(Pkce())
    assert (await browser.agree(asked(Pkce()))).status_code == 429
    world.later_s = 61
    await browser.code(Pkce())
    assert (await browser.agree(asked(Pkce()))).status_code == 429, "what was redeemed counts on"


async def test_a_program_that_may_have_everything_is_shown_as_such(world: World) -> None:
    browser = world.browser()
    await browser.sign_in("bob")
    assert "approvals and the record" in (await browser.get(asked(Pkce(), resource=""))).text
    assert "approvals and the record" not in (await browser.get(asked(Pkce()))).text


async def test_names_are_shown_as_text(world: World) -> None:
    browser = world.browser()
    await browser.sign_in("<script>alert(1)</script>")
    page = Forms.read((await browser.get(asked(Pkce(), client_id=CLI))).text)
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text


async def test_no_page_of_elsewhere_frames_ours(world: World) -> None:
    browser = world.browser()
    await browser.sign_in("alice")
    policy = (await browser.get(asked(Pkce()))).headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' http://127.0.0.1:7777;" in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize(
    ("path", "form", "status"),
    [
        ("token", {"grant_type": "password", "client_id": CLI}, 400),
        ("token", {"grant_type": "refresh_token", "client_id": "nobody", "refresh_token": "x"}, 401),
        ("token", {"grant_type": "refresh_token", "client_id": CLI, "refresh_token": "x" * 10_000}, 400),
        ("device_authorization", {"client_id": "nobody"}, 401),
        ("device_authorization", {"client_id": CLI, "resource": "https://evil.test"}, 400),
        ("token", {"grant_type": GRANT, "client_id": CLI, "device_code": "x"}, 400),
    ],
)
async def test_what_is_not_in_order_is_said_to_programs(
    world: World, path: str, form: dict[str, str], status: int
) -> None:
    answer = await world.browser().post(f"/portal/{path}", **form)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert "x" * 100 not in answer.text
    assert "evil" not in answer.text


async def test_while_the_database_is_away_nothing_is_given_and_nothing_told() -> None:
    world = World("host=/nowhere dbname=none")
    try:
        browser = world.browser()
        code = Sealed(KEY, lambda: f"{GATEWAY} 1", world.now_us).code("a-grant", world.now_us() + SECOND * 60)
        redeemed = await browser.redeem(Pkce(), code)
        assert redeemed.status_code == 503
        assert redeemed.json()["error"] == "temporarily_unavailable"
        asked_for = await browser.post("/portal/device_authorization", client_id=CLI)
        assert asked_for.status_code == 503
        signed_in = await browser.sign_in("alice")
        assert signed_in.status_code == 503
        assert "__Host-countersign-portal" not in browser.http.cookies
        for answer in (redeemed, asked_for, signed_in):
            assert "nowhere" not in answer.text
            assert code not in answer.text
    finally:
        await world.close()
