"""Nobody is signed in but by an answer of the issuer, to this browser's own question, for this page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from countersign.approver.page.cookies import ATTEMPT_S, SESSION_S
from countersign.demo.codes import challenge_of
from countersign.model.revocation import RevocationKind
from tests.support.revoking import revocation
from tests.unit.approver.page.world import BACK, CLIENT, GATEWAY, ISSUER, Browser, World

SESSION, ATTEMPT = "__Host-countersign-session", "__Host-countersign-sign-in"


@pytest.fixture
def world() -> World:
    return World()


def changed(place: str, **fields: str | None) -> str:
    """A URL with fields of its query replaced, or left out."""
    parts = urlsplit(place)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | fields
    return parts._replace(query=urlencode({name: value for name, value in query.items() if value is not None})).geturl()


async def is_signed_in(browser: Browser) -> bool:
    return (await browser.get("/approvals/")).status_code == 200


@pytest.mark.parametrize("secret", [None, "s%:&+é"], ids=["public client", "client with a secret"])
async def test_a_person_signs_in_and_out(secret: str | None) -> None:
    world = World(secret)
    browser = world.browser()
    assert (await browser.get("/approvals/")).status_code == 403
    place = await browser.begin()
    assert place.startswith(f"{ISSUER}/authorize?")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(place).query).items()}
    assert (asked["client_id"], asked["redirect_uri"], asked["scope"]) == (CLIENT, BACK, "openid")
    answer = await browser.get(await browser.approve_at_issuer(place, "owen"))
    assert (answer.status_code, answer.headers["location"]) == (303, f"{GATEWAY}/approvals/")
    assert ATTEMPT not in browser.http.cookies
    assert "owen" in (await browser.get("/approvals/")).text
    form = await browser.form("/approvals/", "/approvals/sign-out")
    assert (await browser.http.post("/approvals/sign-out", data=form)).status_code == 200
    assert not await is_signed_in(browser)


async def test_the_cookies_are_for_this_host_alone_and_for_no_script(world: World) -> None:
    browser = world.browser()
    begun = await browser.get("/approvals/sign-in")
    answer = await browser.get(await browser.approve_at_issuer(begun.headers["location"], "owen"))
    set_cookies = begun.headers.get_list("set-cookie") + answer.headers.get_list("set-cookie")
    assert {cookie.partition("=")[0] for cookie in set_cookies} == {SESSION, ATTEMPT}
    for cookie in set_cookies:
        attributes = {part.strip().lower() for part in cookie.split(";")}
        assert {"httponly", "secure", "samesite=lax", "path=/"} <= attributes
        assert "owen" not in cookie
        assert "data-owners" not in cookie


async def test_only_the_issuer_and_this_page_learn_what_proves_the_browser(world: World) -> None:
    browser = world.browser()
    asked = parse_qs(urlsplit(await browser.begin()).query)
    secrets = [f"random-{number:036}" for number in range(3)]
    assert (asked["state"], asked["nonce"]) == ([secrets[0]], [secrets[1]])
    assert asked["code_challenge"] == [challenge_of(secrets[2])]
    assert secrets[2] not in str(browser.http.cookies)


async def test_an_answer_to_another_browser_signs_nobody_in(world: World) -> None:
    """Login CSRF: mallory has the victim's browser take mallory's answer."""
    mallory, victim = world.browser(), world.browser()
    answer = await mallory.approve_at_issuer(await mallory.begin(), "mallory")
    assert (await victim.get(answer)).status_code == 400
    await victim.begin()
    assert (await victim.get(answer)).status_code == 400
    assert not await is_signed_in(victim)


async def test_a_code_signs_in_once(world: World) -> None:
    browser = world.browser()
    place = await browser.begin()
    kept = dict(browser.http.cookies)
    answer = await browser.approve_at_issuer(place, "owen")
    assert (await browser.get(answer)).status_code == 303
    thief = world.browser()
    thief.http.cookies.update(kept)
    assert (await thief.get(answer)).status_code == 403
    assert not await is_signed_in(thief)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"state": "guess"}, 400),
        ({"state": None}, 400),
        ({"state": "\u00e9"}, 400),
        ({"iss": "https://evil.test"}, 403),
        ({"iss": None}, 403),
        ({"code": "guess"}, 403),
        ({"code": None}, 403),
        ({"error": "access_denied"}, 403),
    ],
    ids=lambda value: " ".join(f"{name}={said}" for name, said in value.items()) if isinstance(value, dict) else "",
)
async def test_an_altered_answer_signs_nobody_in(world: World, fields: dict[str, str | None], status: int) -> None:
    browser = world.browser()
    answer = await browser.approve_at_issuer(await browser.begin(), "owen")
    assert (await browser.get(changed(answer, **fields))).status_code == status
    assert not await is_signed_in(browser)
    # Whatever it was, the attempt is over.
    assert (await browser.get(answer)).status_code == 400


@pytest.mark.parametrize("name", ["state", "code", "iss"])
async def test_an_answer_that_says_something_twice_signs_nobody_in(world: World, name: str) -> None:
    browser = world.browser()
    answer = await browser.approve_at_issuer(await browser.begin(), "owen")
    assert (await browser.get(f"{answer}&{name}=x")).status_code in (400, 403)
    assert not await is_signed_in(browser)


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another client"},
        {"aud": "https://api.test"},
        {"azp": "another client"},
        {"exp": 1},
        {"sub": CLIENT, "azp": CLIENT},
    ],
    ids=lambda claims: " ".join(f"{name}={value}" for name, value in claims.items()),
)
async def test_an_id_token_for_anything_else_signs_nobody_in(
    world: World, claims: Mapping[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def id_token(person: str, client_id: str, nonce: str) -> str:
        said = {**world.issuer.claims(person, client_id), "nonce": nonce, **claims}
        return world.issuer.sign({name: value for name, value in said.items() if value is not None})

    monkeypatch.setattr(world.issuer, "id_token", id_token)
    browser = world.browser()
    assert (await browser.sign_in("owen")).status_code == 403
    assert not await is_signed_in(browser)


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.test"},
        {"authorization_endpoint": "http://issuer.test/authorize"},
        {"token_endpoint": "http://issuer.test/token"},
        {"token_endpoint": "https://[/token"},
        {"authorization_endpoint": None},
        {"subject_types_supported": ["pairwise"]},
    ],
    ids=lambda changes: " ".join(f"{name}={value}" for name, value in changes.items()),
)
async def test_nobody_is_sent_by_a_discovery_document_that_is_not_the_issuers(
    world: World, changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = world.issuer.discovery()
    monkeypatch.setattr(world.issuer, "discovery", lambda: {**honest, **changes})
    answer = await world.browser().get("/approvals/sign-in")
    assert (answer.status_code, "location" in answer.headers) == (503, False)


async def test_a_wrong_client_secret_signs_nobody_in_and_is_not_shown() -> None:
    world = World("right")
    world.issuer.codes.clients[CLIENT] = World("other").issuer.codes.clients[CLIENT]
    answer = await world.browser().sign_in("owen")
    assert answer.status_code == 503
    assert "right" not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "?approval=https://evil.test/",
        "?approval=//evil.test",
        "?approval=../../evil",
        "?to=https://evil.test/",
        "?approval=0d0f6f0b-6c55-5b0d-8f0a-2f6b1f1c9a57%0d%0aset-cookie:x=1",
        "?link=%0d%0aset-cookie:x=1",
        "?link=" + "a" * 2000,
    ],
)
async def test_sign_in_leads_nowhere_but_to_the_page(world: World, query: str) -> None:
    answer = await world.browser().sign_in("owen", query)
    assert answer.headers["location"] == f"{GATEWAY}/approvals/"


async def test_sign_in_leads_back_to_where_it_began(world: World) -> None:
    approval = await world.ask()
    browser = world.browser()
    link = urlsplit(world.links.make(approval))
    page = await browser.get(f"{link.path}?{link.query}")
    assert page.status_code == 403
    query = f"?approval={approval.id}&{link.query}"
    assert query.replace("&", "&amp;") in page.text
    answer = await browser.sign_in("owen", query)
    assert answer.headers["location"] == f"{GATEWAY}{link.path}?{link.query}"


async def test_who_is_not_signed_in_is_shown_nothing_but_the_sign_in(world: World) -> None:
    approval = await world.ask()
    page = await world.browser().get(f"/approvals/{approval.id}")
    other = await world.browser().get("/approvals/0d0f6f0b-6c55-5b0d-8f0a-2f6b1f1c9a57")
    assert page.status_code == other.status_code == 403
    assert page.text.replace(approval.id, "") == other.text.replace("0d0f6f0b-6c55-5b0d-8f0a-2f6b1f1c9a57", "")


async def test_a_session_ends_by_itself(world: World) -> None:
    browser = await world.signed_in("owen")
    assert await is_signed_in(browser)
    kept = dict(browser.http.cookies)
    world.later_s = SESSION_S
    browser.http.cookies.update(kept)
    assert not await is_signed_in(browser)


async def test_a_session_is_no_longer_than_its_id_token(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.issuer, "_token_life_s", 60)
    browser = await world.signed_in("owen")
    world.later_s = 61
    assert not await is_signed_in(browser)


async def test_an_attempt_ends_by_itself(world: World) -> None:
    browser = world.browser()
    answer = await browser.approve_at_issuer(await browser.begin(), "owen")
    kept = dict(browser.http.cookies)
    world.later_s = ATTEMPT_S
    browser.http.cookies.update(kept)
    assert (await browser.get(answer)).status_code == 400


async def test_a_forged_or_altered_session_is_none(world: World) -> None:
    browser = await world.signed_in("owen")
    sealed = browser.http.cookies[SESSION]
    for forged in (
        "",
        "e30",
        sealed[:-1],
        sealed + "A",
        ("B" if sealed[0] == "A" else "A") + sealed[1:],
        "A" * 100_00,
        "\x7f",
    ):
        stranger = world.browser()
        answer = await stranger.http.get("/approvals/", headers={"cookie": f"{SESSION}={forged}"})
        assert answer.status_code == 403


async def test_a_sign_in_under_way_is_no_session(world: World) -> None:
    browser = world.browser()
    await browser.begin()
    attempt = browser.http.cookies[ATTEMPT]
    answer = await world.browser().http.get("/approvals/", headers={"cookie": f"{SESSION}={attempt}"})
    assert answer.status_code == 403


async def test_a_session_of_another_issuer_client_or_gateway_is_none(world: World) -> None:
    browser = await world.signed_in("owen")
    approvals = world.config.approvals
    assert approvals.sign_in is not None
    for sign_in in (replace(approvals.sign_in, issuer="https://b.test"), replace(approvals.sign_in, client_id="b")):
        world.config = replace(world.config, approvals=replace(approvals, sign_in=sign_in))
        assert not await is_signed_in(browser)
    world.config = replace(world.config, approvals=approvals)
    assert await is_signed_in(browser)


async def test_groups_that_do_not_fit_are_left_out_unless_a_rule_names_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [f"group {number} {'x' * 30}" for number in range(200)]
    claims = world.issuer.claims

    def crowded(person: str, audience: str) -> dict[str, object]:
        return {**claims(person, audience), "groups": ["data-owners", *many]}

    monkeypatch.setattr(world.issuer, "claims", crowded)
    world.config = replace(world.config, auditors=("data-owners",))
    browser = await world.signed_in("owen")
    approval = await world.ask()
    assert (await browser.decide(approval)).status_code == 303
    world.config = replace(world.config, auditors=tuple(many))
    assert (await world.browser().sign_in("owen")).status_code == 403


async def test_looking_at_the_answer_uses_nothing_up(world: World) -> None:
    browser = world.browser()
    answer = await browser.approve_at_issuer(await browser.begin(), "owen")
    assert (await browser.http.head(answer)).status_code == 405
    assert (await browser.get(answer)).status_code == 303


async def test_an_issuer_that_is_away_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> httpx.Response:
        raise httpx.ConnectError("down")

    monkeypatch.setattr(world.issuer_app, "handle_async_request", away)
    answer = await world.browser().get("/approvals/sign-in")
    assert answer.status_code == 503
    assert "does not work now" in answer.text


async def test_an_issuer_that_is_away_is_not_asked_for_every_visitor(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def away(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        raise httpx.ConnectError("down")

    with monkeypatch.context() as patched:
        patched.setattr(world.issuer_app, "handle_async_request", away)
        for _ in range(5):
            assert (await world.browser().get("/approvals/sign-in")).status_code == 503
    assert len(asked) == 1
    world.later_s = 60
    assert (await world.browser().sign_in("owen")).status_code == 303


async def test_whoever_is_revoked_is_signed_in_no_more_and_cannot_sign_in(world: World) -> None:
    approval = await world.ask()
    browser = await world.signed_in("owen")
    path = f"/approvals/{approval.id}"
    form = await browser.form(path, f"{path}/decide")
    world.revocations.revoke(revocation(RevocationKind.PRINCIPAL, "owen", ISSUER))
    answer = await browser.http.post(f"{path}/decide", data={**form, "decision": "approve"})
    assert answer.status_code == 403
    assert "Your sign-in was revoked." in answer.text
    assert approval.name not in (await browser.get(path)).text
    assert await world.state(approval) == "pending"
    answer = await world.browser().sign_in("owen")
    assert answer.status_code == 403
    assert "the token was revoked" in answer.text


async def test_nobody_decides_while_it_is_not_known_who_is_revoked(world: World) -> None:
    approval = await world.ask()
    browser = await world.signed_in("owen")
    path = f"/approvals/{approval.id}"
    form = await browser.form(path, f"{path}/decide")
    world.revocations.forget()
    answer = await browser.http.post(f"{path}/decide", data={**form, "decision": "approve"})
    assert answer.status_code == 503
    assert await world.state(approval) == "pending"
