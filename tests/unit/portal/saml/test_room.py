"""Signing in by SAML, and exchanging assertions: once each, in the browser that began, and not for the revoked."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import xmlsec

from countersign.model.revocation import RevocationKind
from countersign.portal.errors import OAuthRefused
from tests.support.revoking import revocation
from tests.support.saml_documents import IDP, NOW_S, PORTAL, TOKEN_URL, Signer, Told, granted
from tests.unit.portal.saml.world import COMPANY, URL, World, answering, claims_of

_GRANT = Told(recipient=TOKEN_URL, audience=PORTAL, confirmed_request="")


@pytest.fixture
async def world(signer: Signer) -> AsyncIterator[World]:
    world = World(signer.provider())
    yield world
    await world.http.aclose()


async def test_that_a_person_signs_in_and_goes_on_where_they_wanted(world: World, signer: Signer) -> None:
    browser = await world.begin("/portal/authorize?client_id=x")
    answer = await world.post(answering(browser, signer), browser)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{URL}/portal/authorize?client_id=x")
    (sign_in,) = world.sign_ins.begun
    person = sign_in.person
    assert (person.issuer, person.subject, person.groups) == (IDP, "alice@example.com", ("engineering", "on-call"))
    assert (person.signed_in, person.at_s) == ("_session1", int(NOW_S - 30))
    assert sign_in.until_us == (int(NOW_S) + 8 * 3600) * 1_000_000


async def test_that_the_session_is_kept_from_scripts_other_sites_and_plain_http(world: World, signer: Signer) -> None:
    answer = await world.sign_in(signer)
    cookies = answer.headers.get_list("set-cookie")
    (session,) = [cookie for cookie in cookies if cookie.startswith("__Host-countersign-portal=")]
    attributes = {part.strip().lower() for part in session.split(";")[1:]}
    assert {"httponly", "secure", "samesite=lax", "path=/"} <= attributes
    assert not any(attribute.startswith("domain") for attribute in attributes)
    (attempt,) = [cookie for cookie in cookies if cookie.startswith("__Host-countersign-saml=")]
    assert "max-age=0" in attempt.lower()


async def test_that_only_the_attempt_may_come_from_the_providers_site(world: World) -> None:
    attributes = {part.strip().lower() for part in (await world.begin()).cookie.split(";")[1:]}
    assert {"httponly", "secure", "samesite=none", "path=/", "max-age=600"} <= attributes


async def test_that_a_sign_in_ends_where_it_does_at_the_provider(world: World, signer: Signer) -> None:
    await world.sign_in(signer, Told(session_end_s=NOW_S + 900))
    assert world.sign_ins.begun[0].until_us == int(NOW_S + 900) * 1_000_000


async def test_that_nobody_is_sent_elsewhere_afterwards(world: World, signer: Signer) -> None:
    for then in ("https://evil.example.com/", "//evil.example.com", "/portal/authorize?x=\r\nset-cookie: a=b"):
        browser = await world.begin(then)
        told = Told(assertion_id=f"_{len(then)}")
        answer = await world.post(answering(browser, signer, told), browser)
        assert answer.headers["location"] == f"{URL}/portal/"


async def test_that_an_answer_is_taken_once(world: World, signer: Signer) -> None:
    browser = await world.begin()
    document = answering(browser, signer)
    assert (await world.post(document, browser)).status_code == 303
    again = await world.post(document, browser)
    assert (again.status_code, "used before" in again.text) == (403, True)
    assert len(world.sign_ins.begun) == 1


async def test_that_an_assertion_is_taken_once_whatever_request_it_answers(world: World, signer: Signer) -> None:
    assert (await world.sign_in(signer)).status_code == 303
    assert (await world.sign_in(signer)).status_code == 403
    assert (await world.sign_in(signer, Told(assertion_id="_another"))).status_code == 303


async def test_that_an_answer_is_of_no_use_in_another_browser(world: World, signer: Signer) -> None:
    """Whoever posts their own answer from a victim's browser would have the victim work under their name."""
    attacker, victim = await world.begin(), await world.begin()
    document = answering(attacker, signer)
    assert (await world.post(document, attacker, cookie="")).status_code == 400
    assert (await world.post(document, attacker, cookie=victim.cookie)).status_code == 403
    mixed = await world.post(document, victim)
    assert (mixed.status_code, "does not answer the request" in mixed.text) == (403, True)
    assert world.sign_ins.begun == []


async def test_that_an_answer_nobody_asked_for_is_refused(world: World, signer: Signer) -> None:
    browser = await world.begin()
    for told in (Told(in_response_to=""), Told(in_response_to="", confirmed_request="")):
        answer = await world.post(answering(browser, signer, told), browser)
        assert (answer.status_code, "nobody asked" in answer.text.lower()) == (403, True)


async def test_that_an_attempt_is_over_after_ten_minutes(world: World, signer: Signer) -> None:
    browser = await world.begin()
    world.now_s += 601
    late = Told(ends_s=NOW_S + 900, confirmed_until_s=NOW_S + 900)
    assert (await world.post(answering(browser, signer, late), browser)).status_code == 400


async def test_that_another_relay_state_is_refused(world: World, signer: Signer) -> None:
    browser = await world.begin()
    for state in ("", "x", "é"):
        assert (await world.post(answering(browser, signer), browser, form={"RelayState": state})).status_code == 403


async def test_that_unknown_providers_and_their_paths_are_not_there(world: World) -> None:
    for path in ("login", "metadata"):
        answer = await world.http.get(f"/portal/saml/other/{path}")
        assert answer.status_code == 404
    assert (await world.http.post("/portal/saml/other/acs")).status_code == 404
    assert (await world.http.get(f"{COMPANY}/acs")).status_code == 405


async def test_that_the_metadata_is_ours(world: World) -> None:
    answer = await world.http.get(f"{COMPANY}/metadata")
    assert answer.headers["content-type"] == "application/samlmetadata+xml"
    assert f"{URL}{COMPANY}/acs" in answer.text


async def test_that_large_answers_are_taken_up_to_a_bound(world: World, signer: Signer) -> None:
    many = Told(groups=tuple(f"{number:036d}" for number in range(400)))
    assert (await world.sign_in(signer, many)).status_code == 303
    browser = await world.begin()
    assert (await world.post(b"x" * 400_000, browser)).status_code == 413


async def test_that_the_revoked_do_not_sign_in(world: World, signer: Signer) -> None:
    world.revocations.revoke(revocation(RevocationKind.SIGN_IN, "_session1", IDP))
    answer = await world.sign_in(signer)
    assert (answer.status_code, "revoked" in answer.text) == (403, True)
    assert world.sign_ins.begun == []
    world.revocations.forget()
    assert (await world.sign_in(signer, Told(assertion_id="_2"))).status_code == 503


async def test_that_neither_logs_nor_pages_quote_what_was_sent(
    world: World, signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    browser = await world.begin()
    document = answering(browser, signer, Told(name_id="canary-name", issuer="https://canary-issuer.example.com"))
    answer = await world.post(document, browser)
    assert answer.status_code == 403
    await world.sign_in(signer, Told(name_id="canary-name", assertion_id="_canary-id"))
    with pytest.raises(OAuthRefused) as refused:
        await world.grant({"assertion": granted(document)})
    logged = " ".join(str(record.__dict__) for record in caplog.records)
    for text in (answer.text, logged, refused.value.description):
        assert "canary" not in text
        assert browser.request_id not in text
        assert "SignatureValue" not in text
    assert "issued by another identity provider" in logged


async def test_that_an_assertion_is_exchanged_for_a_token_once(world: World, signer: Signer) -> None:
    form = {"assertion": granted(signer.sign(_GRANT.assertion(), "_assertion1"))}
    claims = claims_of(await world.grant(form))
    assert (claims["idp"], claims["sub"], claims["sid"]) == (IDP, "alice@example.com", "_session1")
    assert (claims["aud"], claims["groups"]) == (URL, ["engineering", "on-call"])
    assert claims["exp"] - claims["iat"] == 600
    with pytest.raises(OAuthRefused, match="used before") as refused:
        await world.grant(form)
    assert refused.value.code == "invalid_grant"


async def test_that_an_assertion_that_signed_in_is_no_grant(world: World, signer: Signer) -> None:
    with pytest.raises(OAuthRefused, match=r"another audience|another recipient"):
        await world.grant({"assertion": granted(signer.sign(Told().assertion(), "_assertion1"))})


async def test_that_tokens_end_with_the_session_at_the_provider(world: World, signer: Signer) -> None:
    told = _GRANT.but(session_end_s=NOW_S + 90)
    answer = await world.grant({"assertion": granted(signer.sign(told.assertion(), "_assertion1"))})
    assert answer.expires_in_s == 90


@pytest.mark.parametrize(
    ("form", "code"),
    [
        pytest.param({}, "invalid_grant", id="without"),
        pytest.param({"assertion": "@@@"}, "invalid_grant", id="no-base64"),
        pytest.param({"assertion": granted(b"<x/>")}, "invalid_grant", id="no-assertion"),
        pytest.param({"assertion": granted(_GRANT.assertion())}, "invalid_grant", id="unsigned"),
        pytest.param({"assertion": "", "resource": "https://other.example.com"}, "invalid_target", id="resource"),
        pytest.param({"assertion": "", "client_id": "unknown"}, "invalid_client", id="client"),
    ],
)
async def test_that_a_bad_grant_is_refused(form: dict[str, str], code: str, world: World) -> None:
    with pytest.raises(OAuthRefused) as refused:
        await world.grant(form)
    assert refused.value.code == code


async def test_that_an_assertion_of_nobody_known_is_refused(world: World, signer: Signer) -> None:
    told = _GRANT.but(issuer="https://evil.example.com")
    with pytest.raises(OAuthRefused, match=r"none of the identity providers in gateway\.yaml"):
        await world.grant({"assertion": granted(signer.sign(told.assertion(), "_assertion1"))})


async def test_that_one_provider_cannot_speak_for_another(signer: Signer, stranger: Signer) -> None:
    other = replace(stranger.provider(), name="other", entity_id="https://other.example.com/saml")
    world = World(signer.provider(), others=(other,))
    ours, theirs = _GRANT, _GRANT.but(issuer=other.entity_id)
    by_ours = signer.sign(theirs.assertion(), "_assertion1")
    by_theirs = stranger.sign(ours.assertion(), "_assertion1", method=xmlsec.Transform.ECDSA_SHA256)
    for assertion in (by_ours, by_theirs):
        with pytest.raises(OAuthRefused, match="not by a certificate"):
            await world.grant({"assertion": granted(assertion)})
    browser = await world.begin()
    told = Told(in_response_to=browser.request_id, confirmed_request=browser.request_id)
    for issuer in (IDP, other.entity_id):
        document = told.but(issuer=issuer, response_issuer=issuer).signed(
            stranger, method=xmlsec.Transform.ECDSA_SHA256
        )
        assert (await world.post(document, browser)).status_code == 403
    await world.http.aclose()


async def test_that_the_revoked_get_no_token(world: World, signer: Signer) -> None:
    world.revocations.revoke(revocation(RevocationKind.PRINCIPAL, "alice@example.com", IDP))
    with pytest.raises(OAuthRefused, match="revoked"):
        await world.grant({"assertion": granted(signer.sign(_GRANT.assertion(), "_assertion1"))})
