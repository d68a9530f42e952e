"""What lets somebody in is left nowhere; and what issuers tell bites live work at once.

First people sign in by OpenID Connect and by SAML, devices are let in, tokens are refreshed, exchanged and revoked,
issuers tell of logouts and events, and some of each goes wrong. Tokens, codes, cookies, assertions and secrets are
noted as they pass; then the database's dump, all files, all refusals, and in the end all spans are searched for them.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from urllib.parse import parse_qs, urlsplit

import grpc
import httpx
import jwt
import pytest

from countersign.api.access.v1 import revocations_pb2
from countersign.api.access.v1.revocations_pb2_grpc import RevocationServiceStub
from countersign.demo.issuer import SigningKey
from countersign.local.postgres import EmbeddedPostgres
from countersign.local.state import StateDir
from tests.e2e.test_nothing_raw import holding
from tests.support.clients import MODERN, call, post
from tests.support.forms import Forms
from tests.support.gateway import Gateway
from tests.support.identity_scene import Scene, scene_of
from tests.support.in_turn import InTurn
from tests.support.postgres import binaries
from tests.support.targets import Steps, answers, event, scripted_target, tool_text
from tests.support.telling import CAEP, RISC

PROGRAM = "countersign-cli"
BACK = "http://127.0.0.1:9/callback"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
WITHIN_S = 10.0


@pytest.fixture(scope="module")
def scene(in_turn: InTurn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene_of(in_turn, tmp_path_factory.mktemp("secrets")) as scene:
        yield scene


async def going(client: httpx.AsyncClient, answer: httpx.Response) -> httpx.Response:
    """Follow where a browser is sent, as alice does, up to the program that waits for her."""
    for _ in range(10):
        if not answer.has_redirect_location or answer.headers["location"].startswith(BACK):
            return answer
        place = str(answer.url.join(answer.headers["location"]))
        asked = "&login_hint=alice" if "/authorize?" in place and "/portal/" not in urlsplit(place).path else ""
        answer = await client.get(place + asked)
    raise AssertionError("it is sent on for ever")


async def sent(client: httpx.AsyncClient, page: httpx.Response, action: str = "", **said: str) -> httpx.Response:
    """Send a page's form (that with this action, or its only one) as a person fills it in."""
    forms = Forms.of(page.text)
    [action] = [action] if action else list(forms)
    answer = await client.post(page.url.join(action), data={**forms[action], **said})
    return await going(client, answer)


async def let_in(scene: Scene, client: httpx.AsyncClient) -> Mapping[str, str]:
    """Have a program let in by who is signed in; return what it got. A code that is used again ends what it gave."""
    verifier = scene.noted.note("verifier", secrets.token_urlsafe(48))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    asked = {
        "response_type": "code",
        "client_id": PROGRAM,
        "redirect_uri": BACK,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "resource": scene.orders,
        "state": "s",
    }
    consent = await going(client, await client.get(scene.at("/portal/authorize"), params=asked))
    back = await sent(client, consent, "/portal/authorize", answer="yes")
    code = parse_qs(urlsplit(back.headers["location"]).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "client_id": PROGRAM}
    wrong = await client.post(scene.at("/portal/token"), data={**form, "code_verifier": "x" * 43})
    assert wrong.status_code == 400
    # What is wrong may use the code up: begin again.
    consent = await going(client, await client.get(scene.at("/portal/authorize"), params=asked))
    back = await sent(client, consent, "/portal/authorize", answer="yes")
    form["code"] = parse_qs(urlsplit(back.headers["location"]).query)["code"][0]
    answer = await client.post(scene.at("/portal/token"), data={**form, "code_verifier": verifier})
    assert answer.status_code == 200, answer.text
    given: dict[str, str] = answer.json()
    return given


async def signed_in_at_the_issuer(scene: Scene) -> str:
    """Sign in by OpenID Connect, refresh, let a device in, use a refresh token twice; return a token."""
    async with scene.client() as client:
        begun = await client.get(scene.at("/portal/oidc/begin"), params={"at": scene.issuer.url})
        home = await going(client, begun)
        assert "alice" in home.text, home.text
        given = await let_in(scene, client)
        form = {"grant_type": "refresh_token", "client_id": PROGRAM, "refresh_token": given["refresh_token"]}
        refreshed = await client.post(scene.at("/portal/token"), data=form)
        assert refreshed.status_code == 200, refreshed.text
        device = await client.post(
            scene.at("/portal/device_authorization"), data={"client_id": PROGRAM, "resource": scene.orders}
        )
        page = await client.get(device.json()["verification_uri_complete"])
        confirm = await sent(client, page, "/portal/device", user_code=device.json()["user_code"])
        await sent(client, confirm, "/portal/device/decide", answer="yes")
        polled = {"grant_type": DEVICE, "client_id": PROGRAM, "device_code": device.json()["device_code"]}
        assert (await client.post(scene.at("/portal/token"), data=polled)).status_code == 200
        token = str(refreshed.json()["access_token"])
        assert (await post(scene.orders, token, call("query"))).status_code == 200
        again = await client.post(scene.at("/portal/token"), data=form)
        assert again.status_code == 400
        return token


async def signed_in_by_saml(scene: Scene) -> str:
    """Sign in at the SAML provider, send its answer once more; return a token."""
    async with scene.client() as client:
        login = await going(client, await client.get(scene.at("/portal/saml/company/login")))
        posts = await client.post(login.url.join(next(iter(Forms.of(login.text)))), data=_filled(login, user="alice"))
        answer = Forms.of(posts.text)
        [(acs, fields)] = answer.items()
        document = base64.b64decode(fields["SAMLResponse"])
        scene.noted.note("SAML response", fields["SAMLResponse"][200:280])
        scene.noted.note("signature of an assertion", document.partition(b"SignatureValue>")[2][:60].decode())
        await going(client, await client.post(acs, data=fields))
        assert (await client.post(acs, data=fields)).status_code >= 400
        return (await let_in(scene, client))["access_token"]


def _filled(page: httpx.Response, **said: str) -> dict[str, str]:
    [fields] = Forms.of(page.text).values()
    return {**fields, **said}


async def called(scene: Scene, client: httpx.AsyncClient, token: str) -> int:
    rpc = call("query")
    headers = {**rpc.headers(MODERN), "authorization": f"Bearer {token}"}
    return (await client.post(scene.orders, content=rpc.body(MODERN), headers=headers)).status_code


async def told(scene: Scene) -> None:
    """Have the issuer tell of logouts and events, rightly and wrongly."""
    for changed, status in (({}, 200), ({"aud": "another"}, 400), ({"exp": 1}, 400)):
        answer = await scene.logout(scene.issuer, sid="sign-in-9", **changed)
        assert answer.status_code == status, answer.text
    for subject, bearer, status in (("nobody", None, 202), ("nobody", "wrong", 401), ("", None, 400)):
        about = {"format": "iss_sub", "iss": scene.issuer.url, "sub": subject}
        answer = await scene.signal(f"{CAEP}session-revoked", about, bearer=bearer)
        assert answer.status_code == status, answer.text


async def revoked(scene: Scene, token: str) -> None:
    """Have an operator revoke a token."""
    operator = scene.noted.note("operator's token", scene.issuer.token("olga", scene.gateway.url))
    wanted = revocations_pb2.Revocation(
        kind=revocations_pb2.REVOCATION_KIND_TOKEN,
        issuer=scene.issuer.url,
        value=str(jwt.decode(token, options={"verify_signature": False})["jti"]),
        reason="case 17",
    )
    metadata = (("authorization", f"Bearer {operator}"),)
    async with grpc.aio.insecure_channel(urlsplit(scene.gateway.url).netloc) as channel:
        asked = revocations_pb2.RevokeRequest(revocation=wanted)
        await RevocationServiceStub(channel).Revoke(asked, metadata=metadata, timeout=15)


def dumped(gateway: Gateway) -> bytes:
    dsn = EmbeddedPostgres(StateDir(gateway.state)).dsn
    return subprocess.run([binaries() / "pg_dump", "-d", dsn], check=True, capture_output=True).stdout


async def use_everything(scene: Scene) -> None:
    """Be identified in all ways, and refused in some."""
    noted = scene.noted
    async with scripted_target(answers(tool_text("reached")), port=scene.port), scene.client() as client:
        by_issuer, by_saml = await signed_in_at_the_issuer(scene), await signed_in_by_saml(scene)
        own = noted.note("the issuer's token", scene.token("alice"))
        for good in (by_saml, own):
            assert await called(scene, client, good) == 200
        forged = noted.note("forged token", scene.issuer.forged("alice", scene.orders, "altered claims"))
        elsewhere = noted.note("token for another", scene.issuer.token("alice", "https://elsewhere.example"))
        # The last was taken back, since a refresh token of its sign-in came twice.
        for bad in (forged, elsewhere, by_issuer):
            assert await called(scene, client, bad) == 401
        await told(scene)
        await revoked(scene, own)
        async with asyncio.timeout(WITHIN_S):
            while True:
                if await called(scene, client, own) == 401:
                    break
                await asyncio.sleep(0.1)
    noted.note("bearer of a transmitter", scene.bearer)
    noted.note("secret of the portal's client", scene.client_secret)
    noted.note("secret of the exchanging client", scene.tokens.client_secret)
    assert scene.tokens.given
    for given in scene.tokens.given:
        noted.note("exchanged token", given)


async def test_what_lets_somebody_in_is_left_nowhere(scene: Scene) -> None:
    await use_everything(scene)
    assert {"code", "access_token", "refresh_token", "device_code", "user_code"} <= set(scene.noted.secrets.values())
    canaries = scene.noted.canaries()
    dump = await asyncio.to_thread(dumped, scene.gateway)
    # The dump is one of what happened, and bytes stand in it as their digits.
    assert b"alice@example.com" in dump
    assert {what for canary, what in canaries.items() if canary in dump or canary.hex().encode() in dump} == set()
    names = [*canaries.values()]
    assert {(file, names[number]) for file, number in holding(scene.gateway.folder, [*canaries])} == set()
    refusals = [(place, text.encode()) for place, text in scene.noted.refusals]
    assert len(refusals) >= 10
    assert [(place, what) for place, text in refusals for canary, what in canaries.items() if canary in text] == []


# What issuers tell, on the same gateway: it bites live work at once, and nobody can tell of another's people.


async def until_answered(scene: Scene, status: int, person: str, **claims: object) -> httpx.Response:
    """Call with fresh tokens until the answer has this status, within bounds."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            answer = await scene.calls(scene.token(person, **claims))
            if answer.status_code == status:
                return answer
            await asyncio.sleep(0.1)


async def rest_of(lines: AsyncIterator[str]) -> list[str]:
    """What comes until the end, within bounds."""
    async with asyncio.timeout(WITHIN_S):
        return [line async for line in lines]


async def test_a_logout_ends_what_its_sign_in_has_open_and_nothing_else(scene: Scene) -> None:
    mine, others = scene.token("alice", sid="sign-in-1"), scene.token("alice", sid="sign-in-2")
    steps = Steps([event({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "first"}})] * 2)
    steps.release()
    rpc = call("query")
    headers = {**rpc.headers(MODERN), "authorization": f"Bearer {mine}"}
    async with (
        scripted_target(steps, port=scene.port),
        httpx.AsyncClient(timeout=WITHIN_S) as http,
        http.stream("POST", scene.orders, content=rpc.body(MODERN), headers=headers) as answer,
    ):
        lines = answer.aiter_lines()
        assert "first" in await anext(line async for line in lines if line.startswith("data:"))
        told = await scene.logout(scene.issuer, sid="sign-in-1", sub="alice")
        assert (told.status_code, told.content, told.headers["cache-control"]) == (200, b"", "no-store")
        with pytest.raises(httpx.HTTPError):
            await rest_of(lines)
    async with scripted_target(answers(tool_text("reached")), port=scene.port):
        refused = await until_answered(scene, 401, "alice", sid="sign-in-1")
        assert "revoked" in refused.headers["www-authenticate"]
        assert (await scene.calls(mine)).status_code == 401
        assert (await scene.calls(others)).status_code == 200
    [revocation] = await scene.listed("sign-in-1")
    assert (revocation.kind, revocation.issuer) == (revocations_pb2.REVOCATION_KIND_SIGN_IN, scene.issuer.url)
    assert (revocation.by_issuer, revocation.by_subject) == (scene.issuer.url, "")


async def test_the_same_logout_again_is_acknowledged_and_changes_nothing(scene: Scene) -> None:
    again = [await scene.logout(scene.issuer, sid="sign-in-3", jti="the-same") for _ in range(2)]
    assert [answer.status_code for answer in again] == [200, 200]
    assert len(await scene.listed("sign-in-3")) == 1


async def test_an_issuer_cannot_end_what_people_of_another_have(scene: Scene) -> None:
    bob = scene.token("alice", sid="sign-in-4")
    async with scripted_target(answers(tool_text("reached")), port=scene.port):
        # In another's name, under a key id that the other publishes.
        forged = SigningKey.new("ES256", scene.issuer.issuer.key.kid)
        for answer in (
            await scene.logout(scene.other, sid="sign-in-4"),
            await scene.logout_signed(scene.other, forged, {"sid": "sign-in-4"}),
        ):
            assert answer.status_code == 400
            assert answer.json()["error"] == "invalid_request"
        # In its own name, of ids that mean somebody else elsewhere.
        assert (await scene.logout(scene.other, iss=scene.other.url, sid="sign-in-4")).status_code == 200
        [revocation] = await scene.listed("sign-in-4")
        assert revocation.issuer == scene.other.url
        assert (await scene.calls(bob)).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [{"aud": "another"}, {"iat": 1}, {"exp": 1}, {"nonce": "n"}, {"events": {}}, {"jti": None}],
    ids=["another audience", "stale", "expired", "an ID token", "no logout", "no id"],
)
async def test_what_is_no_logout_revokes_nothing(scene: Scene, changed: dict[str, object]) -> None:
    sign_in = f"sign-in-{uuid.uuid4().hex[:8]}"
    answer = await scene.logout_signed(scene.issuer, None, {**changed, "sid": sign_in})
    assert (answer.status_code, answer.headers["cache-control"]) == (400, "no-store")
    assert sign_in not in answer.text
    assert await scene.listed(sign_in) == []


async def test_a_disabled_account_stays_out_until_it_is_enabled(scene: Scene) -> None:
    subject = {"format": "iss_sub", "iss": scene.issuer.url, "sub": "alice"}
    async with scripted_target(answers(tool_text("reached")), port=scene.port):
        await until_answered(scene, 200, "alice")
        before = scene.token("alice", iat=int(time.time()) - 60)
        assert (await scene.signal(f"{RISC}account-disabled", subject)).status_code == 202
        await until_answered(scene, 401, "alice")
        assert (await scene.calls(before)).status_code == 401
        assert (await scene.signal(f"{RISC}account-enabled", subject)).status_code == 202
        await until_answered(scene, 200, "alice")
        assert (await scene.calls(before)).status_code == 401


async def test_a_transmitter_must_bring_its_token_and_speak_of_its_own(scene: Scene) -> None:
    subject = {"format": "iss_sub", "iss": scene.issuer.url, "sub": "bob"}
    refused = await scene.signal(f"{CAEP}session-revoked", subject, bearer="wrong")
    assert (refused.status_code, refused.json()["err"]) == (401, "authentication_failed")
    foreign = await scene.signal(f"{CAEP}session-revoked", {**subject, "iss": scene.other.url})
    assert (foreign.status_code, foreign.json()["err"]) == (400, "access_denied")
    assert await scene.listed("bob") == []
