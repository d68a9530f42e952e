"""Token endpoints: what they are asked, and what of their answers is believed."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from countersign.config import Secret
from countersign.config.types_credentials import Asked, ClientCredentials, IdJag, OAuthClient, TokenExchange
from countersign.credentials import CredentialUnavailable, Surroundings, asking
from countersign.credentials.asking import Asker
from countersign.credentials.kept import Fetched
from countersign.credentials.oauth import (
    LONGEST_LIFE_S,
    UNTOLD_LIFE_S,
    TokenEndpoint,
    by_client_credentials,
    by_exchange,
    by_id_jag,
)
from countersign.credentials.sources import Fixed
from tests.support.token_server import CLIENT_ID, TokenServer, running_token_server

SUBJECT = Secret(jwt.encode({"sub": "alice"}, "k" * 32))
JWT = "urn:ietf:params:oauth:token-type:jwt"
LEAK = "leak-" + "of-the-endpoint"


@dataclass
class Bench:
    server: TokenServer
    asker: Asker
    now: float = 1_000.0
    ids: int = 0

    def endpoint(self, client: OAuthClient | None = None, *, key: str | None = None) -> TokenEndpoint:
        secret = Fixed(Secret(self.server.client_secret)) if key is None else None
        around = Surroundings(lambda: self.now, time.time, lambda: 0.5, self.new_id)
        return TokenEndpoint(client or self.client, secret, Fixed(Secret(key)) if key else None, self.asker, around)

    def new_id(self) -> str:
        self.ids += 1
        return f"id {self.ids}"

    @property
    def client(self) -> OAuthClient:
        return OAuthClient(f"{self.server.url}/token", CLIENT_ID)

    async def own(self, asked: Asked = Asked()) -> Fetched:  # noqa: B008 - it is immutable
        return await by_client_credentials(self.endpoint(), ClientCredentials(self.client, asked))

    async def exchanged(self) -> Fetched:
        return await by_exchange(self.endpoint(), TokenExchange(self.client, Asked(), JWT), SUBJECT)

    async def asserted(self) -> Fetched:
        how = IdJag(self.client, self.client, Asked(audience="https://as.test", scopes=("read",)), JWT)
        return await by_id_jag(self.endpoint(), self.endpoint(), how, SUBJECT)


@pytest.fixture(scope="module")
def server() -> Iterator[TokenServer]:
    with running_token_server() as running:
        yield running


@pytest.fixture
async def bench(server: TokenServer) -> AsyncIterator[Bench]:
    server.lie, server.life_s = None, 3600
    server.asked.clear()
    asker = Asker()
    yield Bench(server, asker)
    await asker.close()


async def test_the_gateway_is_given_a_token_of_its_own(bench: Bench) -> None:
    fetched = await bench.own(Asked(("read", "write"), "https://crm.test/", "crm"))
    assert bench.server.takes(f"Bearer {fetched.secret.reveal()}") == CLIENT_ID
    assert fetched.renew_s < fetched.life_s < 3600
    assert bench.server.asked == [
        {"grant_type": "client_credentials", "scope": "read write", "resource": "https://crm.test/", "audience": "crm"}
    ]


async def test_a_callers_token_is_exchanged_for_its_own(bench: Bench) -> None:
    fetched = await bench.exchanged()
    assert bench.server.takes(f"Bearer {fetched.secret.reveal()}") == "alice"
    assert bench.server.asked[0]["subject_token"] == SUBJECT.reveal()
    assert bench.server.asked[0]["subject_token_type"] == JWT


async def test_an_assertion_is_asked_for_and_then_a_token_for_it(bench: Bench) -> None:
    fetched = await bench.asserted()
    assert bench.server.takes(f"Bearer {fetched.secret.reveal()}") == "alice"
    first, second = bench.server.asked
    assert first["audience"] == "https://as.test"
    assert "subject_token" not in second
    assert second["scope"] == "read"


@pytest.mark.parametrize("kind", ["ec", "rsa", "ed25519"])
async def test_a_key_signs_in_place_of_a_secret(bench: Bench, kind: str) -> None:
    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if kind == "ec":
        private = ec.generate_private_key(ec.SECP256R1())
    elif kind == "rsa":
        private = rsa.generate_private_key(65537, 2048)
    else:
        private = ed25519.Ed25519PrivateKey.generate()
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    seen: list[str | None] = []

    def lie(request: Request) -> Response:
        seen.append(request.headers.get("authorization"))
        return JSONResponse({"access_token": "given", "token_type": "Bearer"})

    bench.server.lie = lie
    endpoint = bench.endpoint(replace(bench.client, key_id="key 1"), key=pem)
    for _ in range(2):
        await by_client_credentials(endpoint, ClientCredentials(bench.client, Asked()))
    assertions = [form["client_assertion"] for form in bench.server.asked]
    algorithm = jwt.get_unverified_header(assertions[0])["alg"]
    claims = [
        jwt.decode(each, private.public_key(), algorithms=[algorithm], audience=bench.client.token_url)
        for each in assertions
    ]
    assert all(claim["iss"] == claim["sub"] == CLIENT_ID and claim["exp"] <= time.time() + 61 for claim in claims)
    assert claims[0]["jti"] != claims[1]["jti"]
    assert jwt.get_unverified_header(assertions[0])["kid"] == "key 1"
    assert seen == [None, None]


async def test_names_and_secrets_are_encoded_before_they_are_joined(bench: Bench) -> None:
    seen: list[str] = []

    def lie(request: Request) -> Response:
        seen.append(base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode())
        return JSONResponse({"access_token": "given", "token_type": "Bearer"})

    bench.server.lie = lie
    client = replace(bench.client, client_id="a:b c")
    await by_client_credentials(bench.endpoint(client), ClientCredentials(client, Asked()))
    assert seen[0].partition(":")[0] == "a%3Ab+c"


def says(members: object, status: int = 200, **headers: str) -> Callable[[Request], Response]:
    return lambda _: JSONResponse(members, status, headers)


GOOD = {"access_token": "given", "token_type": "bearer", "issued_token_type": JWT}
LIES: dict[str, Callable[[Request], Response]] = {
    "redirect": lambda request: RedirectResponse("/token", 307),
    "server error": says({**GOOD, "error": LEAK}, 500),
    "refusal": says({"error": LEAK, "error_description": LEAK}, 400),
    "not JSON": lambda request: PlainTextResponse('{"access_token": "given", "token_type": "bearer"}'),
    "broken JSON": lambda request: Response('{"access_token": ', media_type="application/json"),
    "deep JSON": lambda request: Response("[" * 100_000, media_type="application/json"),
    "a list": says([GOOD]),
    "huge": says({**GOOD, "more": "x" * 3_000_000}),
    "a huge token": says({**GOOD, "access_token": "x" * 20_000}),
    "no token": says({"token_type": "bearer"}),
    "an empty token": says({**GOOD, "access_token": ""}),
    "a token that is a number": says({**GOOD, "access_token": 7}),
    "a token with a line end": says({**GOOD, "access_token": f"x\r\nx-admin: {LEAK}"}),
    "a token with spaces": says({**GOOD, "access_token": "a b"}),
    "no type": says({"access_token": LEAK, "issued_token_type": JWT}),
    "another type": says({**GOOD, "token_type": "DPoP"}),
    "over": says({**GOOD, "expires_in": 0}),
    "long over": says({**GOOD, "expires_in": -1}),
    "no number": says({**GOOD, "expires_in": "soon"}),
    "not finite": lambda request: Response(
        '{"access_token": "given", "token_type": "bearer", "expires_in": NaN}', media_type="application/json"
    ),
    "true": says({**GOOD, "expires_in": True}),
}


@pytest.mark.parametrize("name", LIES)
async def test_a_lying_endpoint_gives_nothing_and_is_not_repeated(
    bench: Bench, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench.server.lie = LIES[name]
    with pytest.raises(CredentialUnavailable) as caught:
        await bench.own()
    assert LEAK not in str(caught.value) + caplog.text
    assert bench.server.client_secret not in str(caught.value) + caplog.text
    assert caught.value.__context__ is None


async def test_exchanges_want_the_kind_of_token_that_was_asked_for(bench: Bench) -> None:
    bench.server.lie = says({**GOOD, "issued_token_type": "urn:ietf:params:oauth:token-type:refresh_token"})
    for get in (bench.exchanged, bench.asserted):
        bench.now += 100
        with pytest.raises(CredentialUnavailable):
            await get()


@pytest.mark.parametrize(
    ("said", "life_s"), [(None, UNTOLD_LIFE_S), ("3600", 3600), (10**9, LONGEST_LIFE_S), (2, 2), (0.5, 0.5)]
)
async def test_a_token_is_used_for_no_longer_than_it_says(bench: Bench, said: object, life_s: float) -> None:
    bench.server.lie = says({**GOOD, **({} if said is None else {"expires_in": said})})
    fetched = await bench.own()
    assert 0 < fetched.renew_s < fetched.life_s < life_s


async def test_an_endpoint_that_fails_is_left_alone_by_all(bench: Bench) -> None:
    bench.server.lie = says({}, 503)
    endpoint, how = bench.endpoint(), TokenExchange(bench.client, Asked(), JWT)
    for number in range(20):
        with pytest.raises(CredentialUnavailable):
            await by_exchange(endpoint, how, Secret(f"token {number}"))
    assert len(bench.server.asked) == 1
    bench.server.lie, bench.now = None, bench.now + 1.5
    await by_exchange(endpoint, how, SUBJECT)


async def test_that_one_caller_is_refused_keeps_no_other_waiting(bench: Bench) -> None:
    endpoint, how = bench.endpoint(), TokenExchange(bench.client, Asked(), JWT)
    bench.server.lie = says({"error": "invalid_grant"}, 400)
    with pytest.raises(CredentialUnavailable, match="invalid_grant"):
        await by_exchange(endpoint, how, SUBJECT)
    bench.server.lie = None
    await by_exchange(endpoint, how, SUBJECT)


async def test_one_that_is_slow_is_not_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "TIMEOUT_S", 0.1)
    monkeypatch.setattr(bench.server, "slow_s", 0.5)
    with pytest.raises(CredentialUnavailable, match="does not answer in time") as caught:
        await bench.own()
    assert caught.value.__context__ is None


async def test_cookies_of_an_endpoint_do_not_come_back(bench: Bench) -> None:
    seen: list[str | None] = []

    def lie(request: Request) -> Response:
        seen.append(request.headers.get("cookie"))
        answer = JSONResponse(GOOD)
        answer.set_cookie("session", "x")
        return answer

    bench.server.lie = lie
    await bench.own()
    await bench.own()
    assert seen == [None, None]


async def test_one_that_is_down_is_told_without_its_address(bench: Bench) -> None:
    client = replace(bench.client, token_url="http://127.0.0.1:1/token")
    with pytest.raises(CredentialUnavailable) as caught:
        await by_client_credentials(bench.endpoint(client), ClientCredentials(client, Asked()))
    assert "127.0.0.1" not in str(caught.value)
    assert caught.value.__context__ is None
