"""An ID token signs in whom it names, at the client and in the attempt that it was made for, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import httpx
import pytest

from countersign.config import Issuer as ConfiguredIssuer
from countersign.demo.issuer import Issuer, SigningKey
from countersign.identity import TokenVerifier, Unidentified
from countersign.identity.jws import MAX_TOKEN_BYTES
from tests.support.issuer import FORGERIES, Mint
from tests.support.revoking import FakeRevocations

ISSUER = "http://127.0.0.1:1"
CLIENT = "countersign-page"
NONCE = "n-1"


class _SigningIn(Issuer):
    def claims(self, person: str, audience: str | Sequence[str]) -> dict[str, object]:
        return {**super().claims(person, audience), "nonce": NONCE}

    def sign(
        self,
        claims: Mapping[str, object],
        *,
        headers: Mapping[str, object] | None = None,
        key: SigningKey | None = None,
    ) -> str:
        return super().sign(claims, headers={"typ": "JWT", **(headers or {})}, key=key)


MINT = Mint(_SigningIn(ISSUER))


def _answer(request: httpx.Request) -> httpx.Response:
    discovery = request.url.path == "/.well-known/openid-configuration"
    return httpx.Response(200, json=MINT.issuer.discovery() if discovery else MINT.issuer.jwks())


@pytest.fixture
def verifier() -> TokenVerifier:
    issuers = (ConfiguredIssuer(ISSUER, audiences=("https://api.test",)), ConfiguredIssuer("http://127.0.0.1:2"))
    return TokenVerifier(
        issuers,
        httpx.AsyncClient(transport=httpx.MockTransport(_answer)),
        revocations=FakeRevocations(),
        cached=10,
    )


async def _signed_in(verifier: TokenVerifier, token: str, issuer: str = ISSUER) -> str:
    signed_in = await verifier.verify_id_token(token, issuer=issuer, client_id=CLIENT, nonce=NONCE)
    return signed_in.principal.subject


@pytest.mark.parametrize(
    "changed",
    [{}, {"nbf": None}, {"aud": [CLIENT]}, {"azp": CLIENT}, {"aud": [CLIENT, "https://api.test"], "azp": CLIENT}],
    ids=["plain", "without nbf", "listed audience", "azp", "several audiences and azp"],
)
async def test_a_good_id_token_signs_in(verifier: TokenVerifier, changed: dict[str, object]) -> None:
    assert await _signed_in(verifier, MINT.token("alice", CLIENT, **changed)) == "alice"


@pytest.mark.parametrize(
    "changed",
    [
        {"nonce": None},
        {"nonce": "n-2"},
        {"nonce": 1},
        {"nonce": "ñ"},
        {"aud": "https://api.test"},
        {"aud": "another-client"},
        {"aud": [CLIENT, "another-client"]},
        {"aud": [CLIENT, "another-client"], "azp": "another-client"},
        {"azp": "another-client"},
        {"exp": 1},
        {"exp": None},
        {"iat": None},
        {"iss": "http://127.0.0.1:2"},
    ],
    ids=lambda changed: " ".join(f"{name}={value}" for name, value in changed.items()),
)
async def test_an_id_token_for_anything_else_does_not(verifier: TokenVerifier, changed: dict[str, object]) -> None:
    with pytest.raises(Unidentified):
        await _signed_in(verifier, MINT.token("alice", CLIENT, **changed))


@pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt", "logout+jwt", "secevent+jwt", 7])
async def test_what_says_that_it_is_no_id_token_signs_nobody_in(verifier: TokenVerifier, typ: object) -> None:
    issuer = MINT.issuer
    with pytest.raises(Unidentified):
        await _signed_in(verifier, issuer.sign(issuer.claims("alice", CLIENT), headers={"typ": typ}))


async def test_another_issuer_of_the_gateway_signs_nobody_in(verifier: TokenVerifier) -> None:
    with pytest.raises(Unidentified):
        await _signed_in(verifier, MINT.token("alice", CLIENT), issuer="http://127.0.0.1:2")


@pytest.mark.parametrize("how", FORGERIES)
async def test_no_forgery_signs_in(verifier: TokenVerifier, how: str) -> None:
    with pytest.raises(Unidentified):
        await _signed_in(verifier, MINT.forged("alice", CLIENT, how))


async def test_a_token_beyond_any_size_is_not_looked_at(verifier: TokenVerifier) -> None:
    with pytest.raises(Unidentified):
        await _signed_in(verifier, "a" * (MAX_TOKEN_BYTES + 1))


async def test_an_id_token_is_no_bearer_token(verifier: TokenVerifier) -> None:
    with pytest.raises(Unidentified):
        await verifier.verify("Bearer " + MINT.token("alice", CLIENT), "https://gateway.test")


async def test_nobody_signs_in_at_an_issuer_that_was_removed_while_its_keys_were_fetched(
    verifier: TokenVerifier,
) -> None:
    under_way = asyncio.ensure_future(_signed_in(verifier, MINT.token("alice", CLIENT)))
    await asyncio.sleep(0)
    verifier.configure((ConfiguredIssuer("http://127.0.0.1:2"),), cached=10)
    with pytest.raises(Unidentified, match="another issuer"):
        await under_way
