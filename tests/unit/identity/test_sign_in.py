"""What issuers are asked when somebody signs in, and what they cannot do to others by how they answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from countersign.config.types import SignInClient
from countersign.config.types_identity import Issuer
from countersign.identity import TokenVerifier, sign_in
from countersign.identity.sign_in import IssuerAway, OidcClient
from countersign.portal.signing_in import Attempt
from tests.support.revoking import FakeRevocations

SLOW, GOOD = "https://slow.test", "https://good.test"
BACK = "https://gateway.test/portal/oidc/callback/x"
ATTEMPT = Attempt("state", "nonce", "v" * 43, "/portal/")
NOTHING: Mapping[str, object] = {}
ENTRA: Mapping[str, object] = {
    "subject_types_supported": ["pairwise"],
    "scopes_supported": ["openid", "profile", "email", "offline_access"],
}


class Dripping(httpx.AsyncByteStream):
    """An answer that never ends, and never rests for long."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.01)
            yield b" "


def client(subject_claim: str = "sub", document: Mapping[str, object] = NOTHING) -> OidcClient:
    async def answer(request: httpx.Request) -> httpx.Response:
        issuer = f"https://{request.url.host}"
        if issuer == SLOW:
            return httpx.Response(200, stream=Dripping())
        endpoints = {"authorization_endpoint": f"{issuer}/authorize", "token_endpoint": f"{issuer}/token"}
        return httpx.Response(200, json={"issuer": issuer, **endpoints, **document})

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    issuers = [Issuer(name, subject_claim=subject_claim) for name in (SLOW, GOOD)]
    return OidcClient(http, TokenVerifier(issuers, http, revocations=FakeRevocations(), cached=0), time.monotonic)


@pytest.mark.parametrize(("claim", "scope"), [("oid", "openid profile"), ("email", "openid email")])
async def test_pairwise_subjects_do_no_harm_where_people_are_named_by_another_claim(claim: str, scope: str) -> None:
    place = await client(claim, ENTRA).place(SignInClient(GOOD, "us"), BACK, ATTEMPT)
    assert parse_qs(urlsplit(place).query)["scope"] == [scope]


async def test_pairwise_subjects_name_nobody_for_certain() -> None:
    with pytest.raises(IssuerAway, match="pairwise"):
        await client(document=ENTRA).place(SignInClient(GOOD, "us"), BACK, ATTEMPT)


async def test_an_issuer_that_drips_its_answer_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "_TIMEOUT_S", 0.3)
    asked = client()
    slow = asyncio.ensure_future(asked.place(SignInClient(SLOW, "us"), BACK, ATTEMPT))
    await asyncio.sleep(0)
    assert (await asked.place(SignInClient(GOOD, "us"), BACK, ATTEMPT)).startswith(GOOD)
    assert not slow.done(), "nor is it waited for"
    async with asyncio.timeout(10):
        with pytest.raises(IssuerAway, match="TimeoutError"):
            await slow
