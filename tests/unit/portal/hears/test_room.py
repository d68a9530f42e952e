"""Nothing told is acknowledged before it is in force, and nobody can tell of, or be heard as, anybody else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from jwt import PyJWK

from countersign.model.revocation import RevocationKind
from countersign.portal.hears.listener import APPLIED_AT_ONCE, AT_ONCE
from countersign.portal.hears.room import LOGOUT_PATH, SIGNALS_PATH
from countersign.portal.hears.signals import VERIFICATION
from tests.support.telling import CAEP, ISSUER, KeysOf, logout_claims, signal_claims, signed
from tests.unit.portal.hears.world import BEARER, KEY, OTHER, OTHERS_KEY, TRANSMITTERS_KEY, World

SESSION_REVOKED = f"{CAEP}session-revoked"
SETS = "application/secevent+jwt"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    async with world.client:
        yield world


def logout_token(key: object = KEY, **changed: object) -> str:
    assert key is KEY or key is OTHERS_KEY
    return signed(logout_claims(**changed), KEY if key is KEY else OTHERS_KEY, "logout+jwt")


def signal_token(event: str = SESSION_REVOKED, **changed: object) -> str:
    return signed({**signal_claims(event), **changed}, TRANSMITTERS_KEY, "secevent+jwt")


async def test_a_logout_is_acknowledged_once_it_is_in_force(world: World) -> None:
    world.feed.held = asyncio.Event()
    asking = asyncio.ensure_future(world.logout(logout_token()))
    await world.feed.reached.wait()
    assert not asking.done()
    world.feed.held.set()
    answer = await asking
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (200, b"", "no-store")
    (heard,) = world.feed.heard
    assert [(one.kind, one.issuer, one.value) for one in heard.revocations] == [
        (RevocationKind.SIGN_IN, ISSUER, "sign-in-1")
    ]


async def test_a_security_event_is_acknowledged_once_it_is_in_force(world: World) -> None:
    answer = await world.signal(signal_token())
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (202, b"", "no-store")
    (heard,) = world.feed.heard
    (revocation,) = heard.revocations
    told_s = signal_claims(SESSION_REVOKED)["iat"]
    assert isinstance(told_s, int)
    # The transmitter's clock may differ from the issuer's by as much as gateway.yaml says.
    assert (revocation.issuer, revocation.value, revocation.issued_before_s) == (ISSUER, "anna", told_s + 1 + 7)


@pytest.mark.parametrize("path", ["logout", "signal"])
async def test_what_cannot_be_put_in_force_is_to_be_sent_again(world: World, path: str) -> None:
    world.feed.fails = True

    async def send() -> tuple[int, str]:
        answer = await (world.logout(logout_token()) if path == "logout" else world.signal(signal_token()))
        return answer.status_code, answer.headers.get("retry-after", "")

    assert await send() == (503, "5")
    world.feed.fails = False
    assert (await send())[0] in (200, 202)
    assert len(world.feed.heard) == 1


async def test_the_same_again_is_known_by_its_id(world: World) -> None:
    token = logout_token()
    assert [(await world.logout(token)).status_code for _ in range(2)] == [200, 200]
    assert len({heard.source_id for heard in world.feed.heard}) == 1
    assert (await world.logout(logout_token(OTHERS_KEY, iss=OTHER))).status_code == 200
    assert len({heard.source_id for heard in world.feed.heard}) == 2


async def test_an_issuer_cannot_speak_for_another(world: World) -> None:
    # Its own key, and another's name: both are known here, by the same key id.
    assert (await world.logout(logout_token(OTHERS_KEY))).status_code == 400
    assert (await world.signal(signed(signal_claims(SESSION_REVOKED), OTHERS_KEY, "secevent+jwt"))).status_code == 400
    # Its own name, and another's subjects.
    claims = signal_claims(SESSION_REVOKED, iss=OTHER)
    answer = await world.signal(signed(claims, OTHERS_KEY, "secevent+jwt"), authorization=f"Bearer {BEARER}")
    assert (answer.status_code, answer.json()["err"]) == (400, "access_denied")
    # One who transmits events sends no logouts, and the other way round.
    transmitter = signed(logout_claims(iss="https://signals.example"), TRANSMITTERS_KEY, "logout+jwt")
    assert (await world.logout(transmitter)).status_code == 400
    assert (
        await world.signal(signed(signal_claims(SESSION_REVOKED, iss=ISSUER), KEY, "secevent+jwt"))
    ).status_code == 400
    assert world.feed.heard == []


async def test_a_logout_token_is_no_security_event_and_no_event_is_a_logout(world: World) -> None:
    claims = logout_claims(iss=OTHER, aud=["countersign"])
    answer = await world.signal(signed(claims, OTHERS_KEY, "logout+jwt"), authorization=f"Bearer {BEARER}")
    assert answer.status_code == 400
    event = signed(signal_claims(SESSION_REVOKED, iss=OTHER, aud="countersign"), OTHERS_KEY, "secevent+jwt")
    assert (await world.logout(event)).status_code == 400
    assert world.feed.heard == []


async def test_strangers_cost_no_look_for_keys(world: World) -> None:
    for answer in (
        await world.logout(logout_token(iss="https://stranger.example")),
        await world.signal(signal_token(iss="https://stranger.example")),
        await world.signal(signal_token(iss=OTHER)),
        await world.logout("not a token"),
    ):
        assert answer.status_code in (400, 401)
    assert world.tellers.asked == 0


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", f"Basic {BEARER}", f"Bearer {BEARER}x", f"Bearer {BEARER}, Bearer x"]
)
async def test_a_transmitter_with_a_bearer_token_must_send_it(world: World, header: str) -> None:
    about = {"format": "iss_sub", "iss": OTHER, "sub": "anna"}
    token = signed(signal_claims(SESSION_REVOKED, about=about, iss=OTHER), OTHERS_KEY, "secevent+jwt")
    answer = await world.signal(token, **({"authorization": header} if header else {}))
    assert (answer.status_code, answer.json()["err"]) == (401, "authentication_failed")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert world.feed.heard == []
    assert (await world.signal(token, authorization=f"Bearer {BEARER}")).status_code == 202


async def test_a_verification_is_acknowledged_and_revokes_nothing(world: World) -> None:
    assert (await world.signal(signal_token(events={VERIFICATION: {"state": "s"}}, sub_id=None))).status_code == 202
    assert world.feed.heard == []


async def test_keys_that_cannot_be_had_are_no_verdict(world: World) -> None:
    world.tellers.away = True
    assert (await world.logout(logout_token())).status_code == 503
    assert (await world.signal(signal_token())).status_code == 503
    assert world.feed.heard == []


async def test_who_is_no_longer_named_is_no_longer_heard(world: World) -> None:
    world.without_portal()
    assert (await world.logout(logout_token())).status_code == 400
    answer = await world.signal(signal_token())
    assert (answer.status_code, answer.json()["err"]) == (400, "invalid_issuer")
    assert world.feed.heard == []


async def test_refusals_say_why_and_quote_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = logout_token(aud="canary-audience", jti="canary-id", sub="canary-subject")
    answer = await world.logout(token)
    assert answer.json() == {
        "error": "invalid_request",
        "error_description": "the token is for another audience than gateway.yaml says",
    }
    assert answer.headers["cache-control"] == "no-store"
    event = signal_token(aud="canary-audience", jti="canary-id")
    refused = await world.signal(event)
    assert refused.json() == {
        "err": "invalid_audience",
        "description": "the token is for another audience than gateway.yaml says",
    }
    assert refused.headers["content-language"] == "en"
    said = " ".join(
        f"{record.getMessage()} {record.__dict__}" for record in caplog.records if "httpx" not in record.name
    )
    assert "canary" not in said
    assert token not in said
    assert event not in said


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"token=x", "application/x-www-form-urlencoded"),
        (b"logout_token=", "application/x-www-form-urlencoded"),
        (b"logout_token=a&logout_token=b", "application/x-www-form-urlencoded"),
        (b"logout_token=\xff", "application/x-www-form-urlencoded"),
        (b"logout_token=" + b"a" * 70_000, "application/x-www-form-urlencoded"),
        (b'{"logout_token": "a"}', "application/json"),
    ],
    ids=["nothing", "another field", "empty", "twice", "no text", "too long", "JSON"],
)
async def test_bodies_that_are_no_logout_are_refused(world: World, body: bytes, content_type: str) -> None:
    answer = await world.client.post(LOGOUT_PATH, content=body, headers={"content-type": content_type})
    assert (answer.status_code, answer.headers["cache-control"]) == (400, "no-store")
    assert answer.json()["error"] == "invalid_request"


async def test_bodies_that_are_no_security_event_are_refused(world: World) -> None:
    for body, content_type in (
        (signal_token().encode(), "application/jwt"),
        (signal_token().encode(), "application/x-www-form-urlencoded"),
        (b"", SETS),
        (b"\xff" * 100, SETS),
        (b"a" * 70_000, SETS),
    ):
        answer = await world.client.post(SIGNALS_PATH, content=body, headers={"content-type": content_type})
        assert (answer.status_code, answer.json()["err"]) == (400, "invalid_request")


async def test_only_posts_are_heard(world: World) -> None:
    asked = await world.client.get(LOGOUT_PATH, params={"logout_token": logout_token()})
    assert asked.status_code == 405
    assert (await world.client.get(SIGNALS_PATH)).status_code == 405
    assert (await world.client.post(LOGOUT_PATH, params={"logout_token": logout_token()})).status_code == 400


class Hanging(KeysOf):
    """Keys that nobody ever gets to see."""

    async def find(self, key_id: str | None) -> PyJWK | None:
        await asyncio.Event().wait()
        return await super().find(key_id)


async def test_who_floods_in_the_name_of_an_issuer_that_hangs_keeps_no_other_from_being_heard(world: World) -> None:
    world.tellers.keys[ISSUER] = Hanging(KEY)
    asking = [asyncio.ensure_future(world.logout(logout_token(jti=f"t-{n}"))) for n in range(AT_ONCE + 1)]
    [refused], _ = await asyncio.wait(asking, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    assert refused.result().status_code == 503
    assert (await world.logout(logout_token(OTHERS_KEY, iss=OTHER))).status_code == 200
    assert (await world.signal(signal_token())).status_code == 202
    for one in asking:
        one.cancel()
    await asyncio.wait(asking)


async def test_a_flood_is_bounded_and_passes(world: World) -> None:
    world.feed.held = asyncio.Event()
    asking = [asyncio.ensure_future(world.logout(logout_token(jti=f"t-{n}"))) for n in range(AT_ONCE + 8)]
    refused = [await one for _, one in zip(range(8), asyncio.as_completed(asking), strict=False)]
    assert {(answer.status_code, answer.headers["retry-after"]) for answer in refused} == {(503, "5")}
    world.feed.held.set()
    answers = [(await one).status_code for one in asking]
    assert sorted(answers) == [200] * AT_ONCE + [503] * 8
    assert world.feed.most_at_once == APPLIED_AT_ONCE
    assert (await world.logout(logout_token())).status_code == 200
